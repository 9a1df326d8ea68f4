"""Mends what PyTorch's own backward passes get wrong, on the graph of a forward that is done."""

from __future__ import annotations

from torch import Tensor

from whylook.engine.graph import graph


def mended(output: Tensor) -> Tensor:
    """See to it that gradients of `output` are right, and return it.

    On a CPU, a batch normalization (or instance normalization) of one row gives a wrong gradient where what comes back to
    it lies channels last with another batch stride than its sizes say, though nothing but the stride of that single row is
    odd: so it is wherever tokens are made of its output (`x.flatten(2).transpose(1, 2)`: LeViT, EfficientFormer). Such
    gradients are copied before they get there.
    """
    if not output.requires_grad or output.device.type != "cpu":
        return output
    for node in graph(output):
        if node.name().startswith("NativeBatchNorm"):
            node.register_prehook(_laid_out)
    return output


def _laid_out(gradients: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    first, *rest = gradients
    if first is None or first.shape[0] != 1 or first.stride(0) == first.numel() or first.is_contiguous():
        return gradients
    return (first.contiguous(), *rest)
