"""`whylook audit`: is a model fed the way it was trained?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from whylook.cli.explain import Problem, finish, read_models, read_pictures
from whylook.cli.own import NONE, OWN, Flag, OwnNetwork
from whylook.cli.terminal import document, out, progress_bar, table
from whylook.errors import UsageError

if TYPE_CHECKING:
    from whylook.auditing.audit import Audit


def audit(
    model_and_photos: Annotated[list[str], Parameter(name="MODEL-PHOTO", negative_iterable=())],
    /,
    *,
    labels: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    window: str | None = None,
    seed: int = 0,
    device: str = "auto",
    json: Annotated[bool, Flag] = False,
    class_names: Annotated[Path | None, Parameter(group=OWN)] = None,
    network: OwnNetwork = NONE,
) -> int:
    """Say whether a model is fed the way it was trained: MODEL PHOTO…

    The pictures are run through the plausible input conventions (RGB or BGR, range, mean and std, crop,
    interpolation). With the right classes (--labels) accuracy decides; without them, how sure and how steady the
    answers are, in ways that do not depend on the input's scale.

    Parameters
    ----------
    model_and_photos : list[str]
        A model's name, as for explain -m, and the pictures; with --arch and --checkpoint, pictures only.
    labels : Path | None
        CSV of two columns, picture (its file name) and right class (index or label).
    output : Path | None
        Folder for audit.html and audit.json.
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

    own = network.given() | ({} if class_names is None else {"labels": class_names})
    names, photos = ([], model_and_photos) if own else (model_and_photos[:1], model_and_photos[1:])
    if not photos:
        raise UsageError("An audit needs a model and pictures: whylook audit MODEL PHOTO…")
    problems: list[Problem] = []
    pictures = read_pictures(photos, window, problems)
    models = read_models(names, own, device, problems) if pictures else []
    if not pictures or not models:
        return finish(problems)
    with progress_bar("Auditing") as progress:
        found = run(models[0], pictures, seed=seed, progress=progress)
    if json:
        document({})
    else:
        show(found)
    return finish(problems)


def show(found: Audit) -> None:
    """Print the verdict and the table."""
    out(f"{found.model.name}: {found.decision.words}\n")
    rows = []
    for i in sorted(range(len(found.conventions)), key=lambda i: -found.evidence[i].margin.mean()):
        c, e, k = found.conventions[i], found.evidence[i], found.decision.comparisons[i]
        rows.append(
            (
                c.name + (" (declared)" if c.declared else ""),
                f"{e.margin.mean():.2f}",
                f"{e.agreement.mean():.0%}",
                "" if k is None else f"{k.difference.value:+.2f}",
                "" if k is None else f"{k.p_holm:.2g}",
            )
        )
    table("Conventions", ("convention", "evidence", "agreement", "less declared", "Holm p"), rows)
