"""A network that is in memory already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whylook.errors import UsageError
from whylook.models import labels as names
from whylook.models.network import classes, head
from whylook.models.sources import source

if TYPE_CHECKING:
    from whylook.models.model import Model
    from whylook.preprocess import Preprocess


@source("module", title="any torch.nn.Module, from Python", example="load_model(network, preprocess=…)")
def module_model(network: Any, *, preprocess: Preprocess | None = None, labels: Any = None) -> Model:
    """Make a model of a `torch.nn.Module`, which is put into eval mode and otherwise left as it is.

    Parameters
    ----------
    network : the module; it takes [n, c, h, w] and answers with class scores [n, classes].
    preprocess : how it is fed; only networks that timm made need none.
    labels : class names, or a file of them.

    Raises
    ------
    UsageError
        If it is not known how the network is fed.
    ModelError
        If it cannot be fed that way, or answers with something else than class scores.
    """
    from torch import nn

    from whylook.models.model import Model
    from whylook.preprocess import Preprocess

    if not isinstance(network, nn.Module):
        raise UsageError(f"{network!r} is not a torch.nn.Module; `module` is for networks in memory, from Python.")
    kind = type(network).__name__
    notes: list[str] = []
    if preprocess is None:
        if not getattr(network, "pretrained_cfg", None):
            raise UsageError(
                f"How {kind} is fed is not known: pass preprocess=, a whylook.Preprocess, timm's data config or "
                "torchvision's weights.transforms()."
            )
        preprocess = Preprocess.from_timm(network)
        notes.append(f"No preprocessing was given, so it is {preprocess.origin}")
    if network.training:
        network.eval()
        notes.append("The network was in training mode and was put into eval mode.")
    outputs = classes(network, preprocess)
    known = names.of_timm(network, outputs) if getattr(network, "pretrained_cfg", None) else None
    return Model(
        name=kind,
        network=network,
        preprocess=preprocess,
        labels=names.read(labels, outputs) if labels is not None else known,
        head=head(outputs, None),
        source=f"{type(network).__module__}.{type(network).__qualname__}",
        notes=tuple(notes),
    )
