"""`whylook explain`: maps of one or several models, side by side."""

from __future__ import annotations

import json as json_format
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from cyclopts import Parameter

from whylook.cli.llm import NO_SERVICE, Service, Shown, speak
from whylook.cli.own import NONE, OWN, Flag, Many, OwnNetwork, Whole
from whylook.cli.terminal import document, out, progress_bar, say, table
from whylook.errors import ImageError, ModelError, ServiceError, UsageError, WhylookError
from whylook.methods import METHODS
from whylook.parameters import check_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from whylook.explanation import Explanation
    from whylook.image import Image
    from whylook.models.model import Model


class Problem(NamedTuple):
    """A picture or a model that came to nothing, and why; the others are done all the same."""

    what: str
    error: WhylookError


def explain(
    photos: Annotated[list[str], Parameter(name="PHOTO", negative_iterable=())],
    /,
    *,
    model: Annotated[list[str] | None, Many, Parameter(name=["--model", "-m"])] = None,
    method: Annotated[list[str] | None, Many, Parameter(name=["--method", "-x"])] = None,
    target: Annotated[list[str] | None, Many, Parameter(name=["--target", "-t"])] = None,
    against: str | None = None,
    score: Literal["logit", "probability", "margin"] = "logit",
    layer: Annotated[list[str] | None, Many] = None,
    setting: Annotated[list[str] | None, Many, Parameter(name=["--set"])] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("whylook-out"),
    window: str | None = None,
    seed: Annotated[int, Whole] = 0,
    device: str = "auto",
    precision: Literal["bfloat16"] | None = None,
    trust: Annotated[bool, Flag] = False,
    json: Annotated[bool, Flag] = False,
    narrate: Annotated[bool, Flag] = False,
    mask: Annotated[list[str] | None, Many] = None,
    labels: Annotated[Path | None, Parameter(group=OWN)] = None,
    network: OwnNetwork = NONE,
    service: Service = NO_SERVICE,
) -> int:
    """Show where models look in pictures: report.html, figure.png, maps.npz and result.json in a folder.

    Parameters
    ----------
    photos : list[str]
        Pictures: JPEG, PNG, WebP, TIFF, BMP or GIF.
    model : list[str] | None
        A model; may be repeated. Without it, the four reference models resnet50, vgg16, efficientnet_b0, mobilenet.
        `whylook models` lists names; `phantom:resnet` needs no download.
    method : list[str] | None
        An attribution method; may be repeated. `whylook methods` lists them.
    target : list[str] | None
        The class explained, an index or a label; may be repeated. Without it, each model's own top class;
        "shared": one class for all models.
    against : str | None
        A second class: why the target rather than this one?
    score : str
        What is explained of the class.
    layer : list[str] | None
        Dotted name of the layer that CAMs read; found by itself otherwise. May be repeated: the layers' maps are
        averaged, each scaled by its largest value.
    setting : list[str] | None
        A method's parameter, as METHOD.NAME=VALUE (smoothgrad.samples=50, integrated-gradients.baseline=black,white);
        may be repeated. `whylook methods METHOD` lists them.
    output : Path
        Folder for the results.
    window : str | None
        LO,HI: the raw values of a 16-bit or float picture that become black and white.
    seed : int
        Of the methods' random numbers.
    device : str
        auto, cpu, cuda, cuda:1, mps.
    precision : str | None
        bfloat16: methods that need only scores (rise, occlusion, …) run in it, faster and coarser.
    trust : bool
        Measure whether each map can be believed: about 300 forward passes per map. `whylook trust` makes a page of one.
    json : bool
        Print the content of result.json, and nothing else, on standard output.
    narrate : bool
        Say in checked sentences what the maps show: on the terminal, in the report, in narrative.json and narrative.md.
    mask : list[str] | None
        For --narrate: a region of the picture that the sentences may be about, as NAME=FILE or FILE: a picture of the
        same size, black where nothing is marked; may be repeated.
    labels : Path | None
        Names of the classes: a text file, one per line, or a JSON list.
    """
    own = network.given(labels)
    from whylook.cli.narrate import masks, prose
    from whylook.facts.measure import named_masks
    from whylook.narration import narrate as tell
    from whylook.report.bundle import check_folder, save, save_answers
    from whylook.report.section import Section

    problems: list[Problem] = []
    settings = parse_settings(setting or ())
    for wanted in (*(method or ()), *settings):  # what is misspelt is said before anything is loaded
        METHODS[wanted].fill(settings.get(wanted, {}))
    check_seed(seed)
    check_folder(output)
    service.check(len(photos), mask)
    narrate = narrate or service.wanted
    regions = masks(mask, photos, narrate=narrate)
    pictures = read_pictures(photos, window, problems)
    if not pictures:
        return nothing(problems, json)
    if regions:
        named_masks(regions, (pictures[0].height, pictures[0].width))  # before the work is done
    models = read_models(model, own, device, problems)
    if not models:
        return nothing(problems, json)
    explanations = explain_all(
        pictures, models, method, target, against=against, score=score, layer=layer, parameters=settings, seed=seed,
        precision=precision, problems=problems,
    )  # fmt: skip
    if not explanations:
        return nothing(problems, json)
    if trust:
        explanations = trust_each(explanations, seed)
    narratives = [tell(e, regions) for e in explanations] if narrate else []

    def write() -> Path:
        sections = [Section(explanations=(e,), narrative=n) for e, n in zip_longest(explanations, narratives)]
        return save(explanations, output, sections=sections, problems=told(problems), narratives=narratives)

    folder = write()  # before a service is asked: whatever becomes of that, this is there
    if service.wanted:
        shown = [Shown(n.facts, e.image, e.maps) for e, n in zip(explanations, narratives, strict=True)]
        spoken = speak(shown, narratives, service, output, tell=say if json else out)
        narratives = spoken.narratives
        if spoken.error is not None:
            problems.append(Problem("language service", spoken.error))
        write()
        if spoken.answers:  # `write` takes away answers about whatever was in the folder before
            save_answers(spoken.answers, folder)
    if json:
        document(json_format.loads((folder / "result.json").read_text("utf-8")))
    else:
        for explanation in explanations:
            show(explanation)
        for narrative in narratives:
            prose(narrative)
        also = ", narrative.json, narrative.md" if narratives else ""
        out(
            f"Written to {folder}: report.html (open it in a browser), figure.png, maps.npz, facts.json, result.json{also}"
        )
    failures = sum(len(e.failures) for e in explanations)
    for e in explanations:
        for failed_model, failed_method, why in e.failures:
            say(f"{e.image.name}, {failed_model}, {failed_method}: {why}")
    return finish(problems, failures)


def read_pictures(photos: Sequence[str], window: str | None, problems: list[Problem]) -> list[Image]:
    """Read what can be read, and say how; each picture that cannot becomes one of `problems`."""
    from whylook.ahead import all_ahead
    from whylook.image import load_image

    limits = numbers("window", window, (2,)) if window else None

    def read(photo: str) -> Image | ImageError:
        try:
            return load_image(photo, window=(limits[0], limits[1]) if limits else None)
        except ImageError as error:
            return error

    pictures = []
    for photo, found in zip(photos, all_ahead(read, photos), strict=True):
        if isinstance(found, ImageError):
            problems.append(Problem(photo, found))
            say(str(found))
        else:
            pictures.append(found)
    for picture in pictures:
        for note in picture.notes:
            say(f"{picture.name}: {note}")
    return pictures


def read_models(names: Sequence[str] | None, own: dict[str, Any], device: str, problems: list[Problem]) -> list[Model]:
    """Load what can be loaded; each model that cannot becomes one of `problems`."""
    from whylook.engine.devices import pick
    from whylook.explainer import REFERENCE_MODELS
    from whylook.models import load_model

    given = {k: v for k, v in own.items() if v is not None}
    wanted: list[tuple[str, Callable[[], Model]]] = []
    where = pick(device)
    if given:
        arch = given.pop("arch", None)
        if arch is None or "checkpoint" not in given:
            there = ", ".join("--" + k.replace("_", "-") for k in given) or "--arch"
            raise UsageError(
                f"{there} describes a network of your own, which needs both --arch NAME and --checkpoint FILE; "
                "for other models (-m) it is not needed."
            )
        wanted.append((given.get("name") or arch, lambda: load_model(arch, device=where, **given)))
    for name in names or (() if given else REFERENCE_MODELS):
        wanted.append((name, lambda name=name: load_model(name, device=where)))  # type: ignore[misc]
    models: list[Model] = []
    with progress_bar("Loading models") as progress:
        for i, (name, load) in enumerate(wanted):
            progress(i, len(wanted), name)
            try:
                models.append(load())
            except ModelError as error:
                problems.append(Problem(name, error))
                say(str(error))
            progress(i + 1, len(wanted), name)
    for model in models:
        for note in model.notes:
            say(f"{model.name}: {note}")
    return models


def explain_all(
    pictures: Sequence[Image],
    models: Sequence[Model],
    methods: Sequence[str] | None,
    targets: Sequence[str] | None,
    *,
    against: str | None,
    score: Any,
    layer: list[str] | None,
    parameters: dict[str, dict[str, Any]],
    seed: int,
    precision: Any,
    problems: list[Problem],
) -> list[Explanation]:
    """Explain picture by picture; one that fails becomes one of `problems`, and the others go on."""
    from whylook.errors import Unsupported
    from whylook.explainer import DEFAULT_METHODS, explain

    chosen: Any = None if not targets else ("shared" if list(targets) == ["shared"] else list(targets))
    explanations = []
    with progress_bar("Explaining") as progress:
        for i, picture in enumerate(pictures):
            try:
                explanations.append(
                    explain(
                        picture, list(models), list(methods or DEFAULT_METHODS), chosen, against=against, score=score,
                        layer=layer, parameters=parameters, seed=seed, precision=precision,
                        progress=lambda done, total, what, i=i: progress(i * total + done, len(pictures) * total, what),
                    )
                )  # fmt: skip
            except Unsupported as error:
                problems.append(Problem(picture.source or picture.name, error))
                say(f"{picture.name}: {error}")
            except ImageError as error:  # one that can be read, and cannot be fed
                problems.append(Problem(picture.source or picture.name, error))
                say(str(error))
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"{len(explanations)} of {len(pictures)} pictures were done; nothing was written."
                ) from None
    return explanations


def trust_each(explanations: Sequence[Explanation], seed: int) -> list[Explanation]:
    """Measure whether the maps can be believed, picture by picture."""
    from whylook.trustcard import trust_all

    made: list[Explanation] = []
    with progress_bar("Measuring trust") as progress:

        def advance(done: int, total: int, what: str) -> None:
            progress(len(made) * total + done, len(explanations) * total, what)

        for explanation in explanations:
            made.append(trust_all(explanation, seed=seed, progress=advance))
    return made


def parse_settings(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`METHOD.NAME=VALUE` lines as parameters by method; numbers where they look like numbers, lists where commas are."""
    parsed: dict[str, dict[str, Any]] = {}
    for text in settings:
        where, equals, value = text.partition("=")
        method, dot, name = where.partition(".")
        if not equals or not dot:
            raise UsageError(f"--set {text!r} is not METHOD.NAME=VALUE, as in smoothgrad.samples=50.")
        own, name = parsed.setdefault(method.strip(), {}), name.strip()
        if name in own:
            raise UsageError(
                f"--set gives {method.strip()}.{name} twice; several values of one parameter are a list: 1,2."
            )
        own[name] = _value(value.strip())
    return parsed


def _value(text: str) -> Any:
    if "," in text and not Path(text).is_file():
        return [_value(part.strip()) for part in text.split(",")]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def numbers(what: str, text: str, counts: Sequence[int]) -> list[float]:
    """Numbers separated by commas, as many as one of `counts`."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in counts:
        raise UsageError(f"--{what} {text!r} is not {' or '.join(map(str, counts))} numbers separated by commas.")
    return values


def show(explanation: Explanation) -> None:
    """Print what the models said, and what each map is."""
    from whylook.report.section import trust_table
    from whylook.report.words import facts, note

    rows = []
    for name, prediction in explanation.predictions.items():
        top = prediction.top(5)
        rows.append((name, "\n".join(f"{r.probability:6.1%}  {r.label} ({r.index})" for r in top)))
    table(
        f"{explanation.image.name}: what the models say (probabilities are not calibrated)", ("model", "top five"), rows
    )
    table(
        f"{explanation.image.name}: maps",
        ("model", "method", "of", "grid", "seconds", ""),
        [
            (
                m.model,
                facts(m.method).title,
                str(m.target),
                f"{m.grid[0]}×{m.grid[1]}",
                f"{m.seconds:.2f}",
                m.reason or note(m),
            )
            for m in explanation.maps
        ],
    )
    if believed := trust_table([explanation]):
        verdicts = [tuple(str(cell) for cell in row) for row in believed.rows]
        table(f"{explanation.image.name}: can the maps be believed?", believed.columns, verdicts)
        if not explanation.cards:
            out(believed.note or "")


def told(problems: Sequence[Problem]) -> list[tuple[str, str]]:
    """What came to nothing and why, as texts, for `result.json`."""
    return [(p.what, str(p.error)) for p in problems]


def nothing(problems: Sequence[Problem], json: bool) -> int:
    """End a run that has nothing to save: with `json`, its document holds the problems only."""
    if json:
        from whylook.report.manifest import manifest, to_json

        document(json_format.loads(to_json(manifest([], problems=told(problems)))))
    return finish(problems)


def finish(problems: Sequence[Problem], failures: int = 0) -> int:
    """Exit code: that of the problems where they are of one kind, 6 where they are not."""
    codes = {p.error.exit_code for p in problems if isinstance(p.error, ImageError | ModelError | ServiceError)}
    if (
        failures
        or len(codes) > 1
        or any(not isinstance(p.error, ImageError | ModelError | ServiceError) for p in problems)
    ):
        codes.add(6)
    if not codes:
        return 0
    return codes.pop() if len(codes) == 1 else 6
