"""`whylook trust`: can the map of one model, one method and one picture be believed?"""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from whylook.cli.explain import Problem, finish, parse_settings, read_models
from whylook.cli.own import NONE, OWN, Flag, Many, OwnNetwork, Whole
from whylook.cli.terminal import document, out, progress_bar, say, table
from whylook.errors import UsageError
from whylook.methods import METHODS

if TYPE_CHECKING:
    from whylook.trustcard import TrustCard


def trust(
    photo: str,
    /,
    *,
    model: Annotated[str | None, Parameter(name=["--model", "-m"])] = None,
    method: Annotated[str, Parameter(name=["--method", "-x"])] = "grad-cam",
    target: Annotated[str | None, Parameter(name=["--target", "-t"])] = None,
    mask: Path | None = None,
    thorough: Annotated[bool, Flag] = False,
    layer: str | None = None,
    setting: Annotated[list[str] | None, Many, Parameter(name=["--set"])] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("whylook-trust"),
    seed: Annotated[int, Whole] = 0,
    device: str = "auto",
    json: Annotated[bool, Flag] = False,
    labels: Annotated[Path | None, Parameter(group=OWN)] = None,
    network: OwnNetwork = NONE,
) -> int:
    """Measure whether one map can be believed: a page, trust.html, and trust.json in a folder.

    Whether the map tells where the model looks; not whether the model is right, nor whether it looks at the right thing.

    Parameters
    ----------
    photo : str
        A picture: JPEG, PNG, WebP, TIFF, BMP or GIF.
    model : str | None
        A name from `whylook models`, or a model.toml that describes a network of your own; without it, resnet50.
    method : str
        An attribution method; `whylook methods` lists them.
    target : str | None
        The class explained, an index or a label; without it, the model's own top class.
    mask : Path | None
        A picture of the same size, black where nothing is marked: is the map denser where it is?
    thorough : bool
        No budget of forward passes: more random orders, and methods that take many evaluations are made again, too.
    layer : str | None
        Dotted name of the layer that CAMs read; found by itself otherwise.
    setting : list[str] | None
        A parameter of the method, as METHOD.NAME=VALUE; may be repeated.
    output : Path
        Folder for the results.
    seed : int
        Of all that is random.
    device : str
        auto, cpu, cuda, cuda:1, mps.
    json : bool
        Print the content of trust.json, and nothing else, on standard output.
    labels : Path | None
        Names of the classes: a text file, one per line, or a JSON list.
    """
    settings = parse_settings(setting or ())
    for wanted in (method, *settings):
        METHODS[wanted]  # a misspelt name is said before anything is loaded
    if stray := [name for name in settings if name != method]:
        raise UsageError(f"--set {stray[0]}.… is given, but the method is {method}.")
    from whylook.report.bundle import check_folder

    check_folder(output)
    from whylook.image import load_image
    from whylook.masks import read_mask
    from whylook.trustcard import trust as measured

    picture = load_image(photo)
    marked = None if mask is None else read_mask(mask)
    if marked is not None and marked.shape != (picture.height, picture.width):
        raise UsageError(
            f"The mask {mask} has {marked.shape[1]} × {marked.shape[0]} pixels, the picture {picture.width} × "
            f"{picture.height}; a mask is drawn over the picture, pixel by pixel."
        )
    own = network.given(labels)
    if own and model is not None:
        raise UsageError(
            "A trust card is of one model: give -m, or a network of your own with --arch and --checkpoint."
        )
    for note in picture.notes:
        say(note)
    problems: list[Problem] = []
    loaded = read_models([] if own else [model or "resnet50"], own, device, problems)
    if not loaded:
        return finish(problems)
    with progress_bar("Measuring") as progress:
        card = measured(
            picture, loaded[0], method, target, mask=marked, thorough=thorough, parameters=settings.get(method),
            layer=layer, seed=seed, progress=progress,
        )  # fmt: skip
    folder = card.save(output)
    if json:
        document(json_format.loads((folder / "trust.json").read_text("utf-8")))
        return 0
    show(card)
    out(f"Written to {folder}: trust.html (open it in a browser), trust.json")
    return 0


def show(card: TrustCard) -> None:
    """Print the card."""
    from whylook.report.words import facts, percent
    from whylook.trustcard.words import figure_line, spent

    shown = card.map
    out(f"{card.explanation.image.name}: {facts(shown.method).title} of {shown.model} for {shown.target}")
    out(f"The model gives it a probability of {percent(card.answer.probability)} (not calibrated).\n")
    out(f"{card.verdict.upper()}. {card.because}\n")
    for warning in card.warnings:
        out(f"! {warning}")
    table(
        "Questions",
        ("question", "verdict", "figures"),
        [(q.asks, q.verdict, "\n".join(figure_line(f) for f in q.figures) or q.because) for q in card.questions],
        widths=(34, 22, 66),
    )
    out(spent(card))
