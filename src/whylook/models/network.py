"""What a network answers: how many classes, and what kind of head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from whylook.errors import ModelError, UsageError

if TYPE_CHECKING:
    from torch import nn

    from whylook.models.model import Head
    from whylook.preprocess import Preprocess


def classes(network: nn.Module, preprocess: Preprocess) -> int:
    """Number of outputs: a timm network's own word, else found by one forward pass of a black picture.

    Raises
    ------
    ModelError
        If the network has no classifier, cannot be fed what `preprocess` makes, or answers with something else than
        one row of class scores.
    """
    import torch

    if hasattr(network, "pretrained_cfg") and isinstance(getattr(network, "num_classes", None), int):
        count = int(cast(int, network.num_classes))
        if count < 1:
            raise ModelError(f"{_name(network)} has no classifier (num_classes={count}), so no class can be explained.")
        return count
    first = next(network.parameters(), torch.zeros(0))
    height, width = preprocess.input_size
    x = torch.zeros(1, preprocess.channels, height, width, dtype=first.dtype, device=first.device)
    try:
        with torch.no_grad():
            answer: Any = network(x)
    except Exception as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        size = f"{preprocess.channels}×{height}×{width}"
        raise ModelError(f"{_name(network)} cannot be fed an input of {size}: {reason}.") from error
    if not isinstance(answer, torch.Tensor):
        raise ModelError(f"{_name(network)} answers with {type(answer).__name__}, not with a tensor of class scores.")
    if answer.ndim not in (1, 2) or answer.shape[0] != 1 or answer.numel() == 0:
        shape = "×".join(map(str, answer.shape))
        raise ModelError(f"{_name(network)} answers one picture with a tensor of {shape}, not with 1×classes.")
    return answer.numel()


def head(outputs: int, wanted: str | None) -> Head:
    """The head of a network with so many outputs: `softmax`, or `binary` for one, unless `wanted` says `sigmoid`.

    Raises
    ------
    UsageError
        If what is wanted cannot be.
    """
    if wanted not in (None, "softmax", "sigmoid", "binary"):
        raise UsageError(f"head={wanted!r} is not known; it is softmax, sigmoid or binary.")
    if outputs == 1 and wanted == "sigmoid":  # one class by itself is the binary head
        return "binary"
    if (outputs == 1) != (wanted == "binary") and wanted is not None:
        raise UsageError(
            f"head={wanted!r} cannot be: the model has {outputs} output{'s' if outputs > 1 else ', so it is binary'}."
        )
    return cast("Head", wanted or ("binary" if outputs == 1 else "softmax"))


def _name(network: nn.Module) -> str:
    return str(getattr(network, "title", type(network).__name__))  # a black box has the name of its function
