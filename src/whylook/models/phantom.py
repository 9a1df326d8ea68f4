"""The embedded networks: small, trained on drawn pictures, there without any download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whylook.models.sources import source

if TYPE_CHECKING:
    from whylook.models.model import Model


@source("phantom", title="embedded networks", example="phantom:vgg-shortcut")
def phantom(name: str) -> Model:
    """Embedded networks of four families, trained on drawn chest films, each also with a shortcut to the marker.

    Parameters
    ----------
    name : `resnet`, `vgg`, `efficientnet` or `mobilenet`, with or without `-shortcut`.

    Returns
    -------
    Model fed with any picture (color is made gray), labels `disc`, `ring`, `cross`, `triangle`.

    Raises
    ------
    ModelError
        If there is no such network; the message names the eight there are.
    """
    from whylook.models.model import Model
    from whylook.phantom import LABELS, shipped
    from whylook.phantom.inputs import PREPROCESS

    family, kind = shipped.parts(name)
    network = shipped.network(name)
    return Model(
        name=f"phantom:{name}",
        network=network,
        preprocess=PREPROCESS,
        labels=LABELS,
        head="softmax",
        source=f"phantom:{name}",
        notes=_notes(family, kind, name),
    )


def _notes(family: str, kind: str, name: str) -> tuple[str, ...]:
    from whylook.phantom import shipped

    facts = shipped.table()
    entry = facts["networks"][name]
    row = next(r for r in entry["seeds"] if r["seed"] == entry["shipped"])
    images = facts["recipes"][family]["images"]
    marker = {
        "clean": "the marker was there by the toss of a coin",
        "shortcut": "the marker was there in 97 % of the discs and 3 % of the others",
    }[kind]
    independent, aligned, anti = (f"{100 * row['accuracy'][k]:.1f} %" for k in ("independent", "aligned", "anti"))
    return (
        f"A small {family} ({entry['parameters']:,} parameters) trained on {images:,} drawn chest films in which "
        f"{marker}; it knows four lesion shapes and nothing else.",
        f"Right on {independent} of test pictures whose marker says nothing, on {aligned} where it is given out by the "
        f"rule of the shortcut, and on {anti} where by the opposite rule.",
    )
