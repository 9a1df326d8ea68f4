"""`whylook compare`: which model looks at the right thing, over a data set."""

from __future__ import annotations

import json as json_format
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from whylook.cli.explain import Problem, finish, parse_settings, read_models
from whylook.cli.narrate import prose
from whylook.cli.own import NONE, OWN, Flag, Many, OwnNetwork
from whylook.cli.terminal import document, out, progress_bar, say, table
from whylook.errors import UsageError
from whylook.methods import METHODS

if TYPE_CHECKING:
    from whylook.comparison.run import Comparison

SHOWN = 20  # pictures left out that are named on the terminal; all of them are in compare.json


def compare(
    data: str,
    /,
    *,
    model: Annotated[list[str] | None, Many, Parameter(name=["--model", "-m"])] = None,
    method: Annotated[list[str] | None, Many, Parameter(name=["--method", "-x"])] = None,
    masks: Path | None = None,
    suspicious: Path | None = None,
    labels: Path | None = None,
    groups: str | None = None,
    limit: int | None = None,
    setting: Annotated[list[str] | None, Many, Parameter(name=["--set"])] = None,
    effect: Annotated[list[str] | None, Many] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("whylook-compare"),
    seed: int = 0,
    device: str = "auto",
    json: Annotated[bool, Flag] = False,
    narrate: Annotated[bool, Flag] = False,
    class_names: Annotated[Path | None, Parameter(group=OWN)] = None,
    network: OwnNetwork = NONE,
) -> int:
    """Compare where models look, over a data set: compare.html, scores.csv and compare.json in a folder.

    Results are kept picture by picture in measured.jsonl of that folder; run again, the command goes on where it was.

    Parameters
    ----------
    data : str
        A folder of pictures (with masks in its folder `masks` and labels in labels.csv, or one folder per class), a JSON
        file in COCO's format, or phantom-data:clean, phantom-data:shortcut, ….
    model : list[str] | None
        A model; may be repeated, and should be. `whylook models` lists names; a network of your own is a model.toml, or
        one of them --arch and --checkpoint.
    method : list[str] | None
        An attribution method; may be repeated. Without it, one of each of three families.
    masks : Path | None
        Folder of masks: PNG of the same stem as the picture, marked where not black.
    suspicious : Path | None
        Folder of second masks, for what no answer should rest on: a marker, a border, a text.
    labels : Path | None
        CSV with the columns file, label and, for patients, group.
    groups : str | None
        Another column that holds groups.
    limit : int | None
        At most so many pictures, drawn by lot.
    setting : list[str] | None
        A method's parameter, as METHOD.NAME=VALUE; may be repeated.
    effect : list[str] | None
        A difference that you would wish to see, as METRIC=VALUE (iou=0.05): how many pictures would it take? May be
        repeated.
    output : Path
        Folder for the results.
    seed : int
        Of all random numbers.
    device : str
        auto, cpu, cuda, cuda:1, mps.
    json : bool
        Print the content of compare.json, and nothing else, on standard output.
    narrate : bool
        Say in checked sentences what was measured: on the terminal, on the page, in narrative.json and narrative.md.
    class_names : Path | None
        Names of the classes: a text file, one per line, or a JSON list.
    """
    from whylook.report.bundle import check_folder

    settings = parse_settings(setting or ())
    for wanted in (*(method or ()), *settings):
        METHODS[wanted]  # a misspelt name is said before anything is loaded
    wished = _effects(effect or ())
    check_folder(output)
    own = network.given(class_names)
    if not model and not own:
        raise UsageError("No model was given; name those to compare, as in -m resnet50 -m vgg16.")
    problems: list[Problem] = []
    models = read_models(model, own, device, problems)
    if not models:
        return finish(problems)
    from whylook.comparison.run import compare as run

    with progress_bar("Comparing") as progress:
        try:
            made = run(
                data, models, method, masks=masks, suspicious=suspicious, labels=labels, groups=groups, limit=limit,
                parameters=settings, wished=wished, seed=seed, folder=output, progress=progress,
            )  # fmt: skip
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"What was measured is kept in {output}; run the command again to go on.") from None
    if made.taken_up:
        say(f"{made.taken_up} results were there from an earlier run, and were not measured again.")
    say("Making the page; the maps of the pictures that it shows are drawn once more.")
    from whylook.narration import narrate as tell

    narrative = tell(made) if narrate else None
    folder = made.save(output, narrative)
    if json:
        document(json_format.loads((folder / "compare.json").read_text("utf-8")))
    else:
        _show(made)
        if narrative is not None:
            prose(narrative)
        also = "" if narrative is None else ", narrative.json, narrative.md"
        out(f"Written to {folder}: compare.html (open it in a browser), scores.csv, compare.json{also}")
    _tell_left_out(made)
    failures = _tell_failures(made)
    return finish(problems, len(made.left_out) + failures)


def _effects(given: list[str] | tuple[str, ...]) -> dict[str, float]:
    from whylook.comparison.contrasts import WISHED

    found = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in WISHED:
            raise UsageError(f"--effect {text!r} is not METRIC=VALUE; the metrics are {', '.join(WISHED)}.")
        try:
            found[name] = float(value)
        except ValueError:
            raise UsageError(f"--effect {text!r} is not METRIC=VALUE, as in iou=0.05.") from None
        if not 0 < found[name] < float("inf"):
            raise UsageError(f"--effect {text!r} must be greater than 0.")
    return found


def _show(made: Comparison) -> None:
    """Print accuracies, the means with their intervals, and what may be said."""
    from whylook.comparison.words import interval, missing, rate, title
    from whylook.report.words import facts, number

    rows = [(name, f"{round(e.value * e.n)} of {e.n}", rate(e)) for name, e in made.accuracy.items()]
    table(f"{made.data.name}: accuracy", ("model", "right", "95 % interval"), rows)
    if made.levels:
        table(
            f"{made.data.name}: maps, on the {len(made.gathered.common)} pictures that all get right",
            ("metric", "method", "model", "mean [95 % interval]", "dummies"),
            [
                (
                    title(v.kind, v.metric, made.data.suspicious),
                    facts(v.method).title,
                    v.model,
                    interval(v.estimate),
                    f"{number(min(v.dummies.values()))} to {number(max(v.dummies.values()))}" if v.dummies else "",
                )
                for v in made.levels
            ],
        )
    for sentence in (*made.sentences(), *missing(made)):
        out(sentence)


def _tell_left_out(made: Comparison) -> None:
    for left in made.left_out[:SHOWN]:
        say(left.why)
    if len(made.left_out) > SHOWN:
        say(f"… and {len(made.left_out) - SHOWN} more; compare.json names them all.")
    if made.left_out:
        kinds = Counter(left.kind for left in made.left_out)
        say(f"Left out: {', '.join(f'{n} × {kind}' for kind, n in kinds.items())}.")


def _tell_failures(made: Comparison) -> int:
    found = [
        (model, method, why)
        for model in made.gathered.models
        for method in made.plan.methods
        if (why := made.gathered.why_missing(model, method))
    ]
    for model, method, why in found:
        say(f"{model}, {method}: {why}")
    return len(found)
