"""Networks of torchvision."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from whylook.errors import ModelError
from whylook.models import labels, weights
from whylook.models.network import head
from whylook.models.sources import source
from whylook.models.timm import url_file

if TYPE_CHECKING:
    from torch import nn

    from whylook.models.model import Model


@source("torchvision", title="torchvision's pretrained networks", example="torchvision:resnet50")
def torchvision_model(name: str) -> Model:
    """Load a pretrained classifier by its torchvision name, or a certain one of its weights as `NAME.TAG`.

    Parameters
    ----------
    name : such as `resnet50` (torchvision's default weights) or `resnet50.IMAGENET1K_V1`.

    Returns
    -------
    Model, fed by the transforms of its weights.

    Raises
    ------
    ModelError
        If there is no such network, or its weights are neither on this machine nor to be had.
    """
    import torchvision

    from whylook.models.model import Model
    from whylook.preprocess import Preprocess

    arch, _, tag = name.partition(".")
    entry = entry_of(arch, tag)
    path = url_file(entry.url, f"torchvision:{arch}.{entry.name}", f"--arch torchvision:{arch}")

    def build() -> nn.Module:
        return torchvision.models.get_model(arch, weights=None)  # type: ignore[no-any-return]

    state = weights.read(path).state
    shell = weights.outline(build)
    own = shell.state_dict()
    # with weights, some constructors also transform the input, or leave out a head: those do it themselves
    plain = not hasattr(shell, "transform_input") and own.keys() == state.keys()
    network = weights.fill(build, state, shell) if plain else torchvision.models.get_model(arch, weights=entry).eval()
    names = entry.meta.get("categories") or []
    notes = [] if tag else [f"torchvision:{arch} without a tag is {entry.name}, torchvision's default."]
    return Model(
        name=f"torchvision:{name}",
        network=network,
        preprocess=Preprocess.from_torchvision(entry),
        labels=labels.unique(list(names)) if names else None,
        head=head(len(names), None),
        source=f"torchvision:{arch}.{entry.name}",
        notes=tuple(notes),
    )


def entry_of(arch: str, tag: str = "") -> Any:
    """The weights enum entry of a torchvision classifier; an unknown one raises `ModelError` with the nearest names."""
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if arch not in known:
        near = get_close_matches(arch, known, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known)}."
        raise ModelError(f"torchvision has no classifier called {arch!r}; {hint}")
    entries = torchvision.models.get_model_weights(arch)
    if not tag:
        return entries.DEFAULT
    if tag not in entries.__members__:
        raise ModelError(f"torchvision has no weights {tag!r} of {arch}; it has {', '.join(e.name for e in entries)}.")
    return entries[tag]
