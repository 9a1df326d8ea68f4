"""`whylook audit`: is a model fed the way it was trained?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from whylook.cli.explain import Problem, finish, read_models, read_pictures, told
from whylook.cli.own import NONE, OWN, Flag, OwnNetwork, Whole
from whylook.cli.terminal import document, out, progress_bar, say, table
from whylook.errors import ImageError, UsageError

if TYPE_CHECKING:
    from whylook.auditing.audit import Audit
    from whylook.image import Image
    from whylook.models.model import Model


def audit(
    model_and_photos: Annotated[list[str], Parameter(name="MODEL-PHOTO", negative_iterable=())],
    /,
    *,
    labels: Path | None = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("whylook-audit"),
    window: str | None = None,
    seed: Annotated[int, Whole] = 0,
    device: str = "auto",
    json: Annotated[bool, Flag] = False,
    class_names: Annotated[Path | None, Parameter(group=OWN)] = None,
    network: OwnNetwork = NONE,
) -> int:
    """Is a model fed the way it was trained? whylook audit MODEL PHOTO…

    Pictures are run through the plausible input conventions: RGB or BGR, range, mean and std; for gray networks also
    white for black. With their right classes (--labels) conventions are compared by accuracy; without, by how clearly
    views of a picture answer alike, in units that do not grow with the input's scale. Give 12 pictures or more, of
    several classes. Writes audit.html and audit.json.

    Parameters
    ----------
    model_and_photos : list[str]
        A model's name, as for explain -m, then the pictures; with --arch and --checkpoint, the pictures only.
    labels : Path | None
        The right classes: a CSV with the columns file (path or file name) and label (index or name).
    output : Path
        Folder for the results.
    window : str | None
        LO,HI: the raw values of a 16-bit or float picture that become black and white.
    seed : int
        Of the intervals and tests.
    device : str
        auto, cpu, cuda, cuda:1, mps.
    json : bool
        Print the content of audit.json, and nothing else, on standard output.
    class_names : Path | None
        Names of the classes: a text file, one per line, or a JSON list.
    """
    from whylook.auditing.audit import audit as run
    from whylook.auditing.truth import read_truth
    from whylook.report.bundle import check_folder

    own = network.given(class_names)
    names, photos = ([], model_and_photos) if own else (model_and_photos[:1], model_and_photos[1:])
    if not photos:
        raise UsageError("An audit needs a model and pictures: whylook audit MODEL PHOTO….")
    check_folder(output)
    problems: list[Problem] = []
    pictures = read_pictures(photos, window, problems)
    models = read_models(names, own, device, problems) if pictures else []
    pictures = [p for p in once(pictures, problems) if models and feeds(models[0], p, problems)]
    if not pictures:
        if json:
            document({"schema": "whylook-audit/1", "failures": [{"what": w, "reason": r} for w, r in told(problems)]})
        return finish(problems)
    truth = None if labels is None else read_truth(labels, [p.source or p.name for p in pictures])
    with progress_bar("Auditing") as progress:
        found = run(models[0], pictures, truth, seed=seed, progress=progress)
    folder = found.save(output, told(problems))
    if json:
        document(found.as_dict(told(problems)))
    else:
        show(found)
        out(f"Written to {folder}: audit.html (open it in a browser), audit.json")
    return 6 if problems else 0


def once(pictures: list[Image], problems: list[Problem]) -> list[Image]:
    """Pictures without those that are there already; each of these becomes one of `problems`."""
    known: dict[str, Image] = {}
    for picture in pictures:
        twin = known.setdefault(picture.sha256, picture)
        if twin is not picture:
            name, other = (p.source or p.name for p in (picture, twin))
            error = ImageError(f"{name} is the same picture as {other}, and counts once.")
            problems.append(Problem(name, error))
            say(str(error))
    return list(known.values())


def feeds(model: Model, picture: Image, problems: list[Problem]) -> bool:
    """Whether a picture can be fed; one that cannot becomes one of `problems`."""
    try:
        model.preprocess.check(picture)
    except ImageError as error:
        problems.append(Problem(picture.source or picture.name, error))
        say(str(error))
        return False
    return True


def show(found: Audit) -> None:
    """Print the verdict, the tables and the remedy."""
    from whylook.auditing import words

    out(words.verdict(found))
    for said in (words.same(found), words.caution(found)):
        if said:
            out(said)
    if found.remedy is not None:
        out(f"\nTo feed it so:\n  {found.remedy.options}\nin Python:\n  preprocess={found.remedy.python}")
        out("in a model.toml:\n  " + found.remedy.toml.replace("\n", "\n  "))
    out("")
    table("Conventions, best first", words.columns(found), [words.cells(r, words.mark(found, r)) for r in found.ranked])
    shown = [words.cells(r, "as above" if r.versus is None else "") for r in found.variants]
    table("Size and interpolation, around the best", words.columns(found, "less the first"), shown)
    out(f"{words.sizes(found)}\n{words.SIZES}\n{words.EVIDENCE}\n{words.cost(found)}")
