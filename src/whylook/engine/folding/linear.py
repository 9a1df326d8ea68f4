"""A convolution whose kernel covers its whole input is a linear layer, and is run as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from whylook.engine.folding.calls import argument

_LARGE = 1 << 22  # weights; below, the reordering that is saved costs less than telling the calls apart


def is_whole_kernel(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether this call of a 2-D convolution has a single output position, of a kernel as large as its input."""
    x, weight = argument(args, kwargs, 0, "input"), argument(args, kwargs, 1, "weight")
    if weight.ndim != 4 or x.ndim != 4 or x.shape[1:] != weight.shape[1:]:
        return False
    padding, dilation = argument(args, kwargs, 4, "padding"), argument(args, kwargs, 5, "dilation")
    return _all(padding or 0, 0) and _all(dilation or 1, 1)


def as_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """[n, out, 1, 1], the same sums as the convolution, without reordering its weights at every call."""
    return F.linear(x.flatten(1), weight.flatten(1), bias)[:, :, None, None]


class _WholeKernels(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.conv2d and is_whole_kernel(args, kwargs):
            weight = argument(args, kwargs, 1, "weight")
            if weight.numel() >= _LARGE and weight.is_contiguous():
                return as_linear(args[0], weight, argument(args, kwargs, 2, "bias"))
        return func(*args, **kwargs)


def whole_kernels_as_linear(modules: Sequence[nn.Module], device: torch.device) -> AbstractContextManager[Any]:
    """Inside, large convolutions over their whole input (timm's VGG has two) run as linear layers; on the CPU only.

    Parameters
    ----------
    modules : all that may be run.
    device : they are on.
    """
    if device.type != "cpu" or not any(_may_be_whole(m) for m in modules):
        return nullcontext()
    return _WholeKernels()


def _may_be_whole(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == 1
        and max(module.kernel_size) > 3
        and _weights(module) >= _LARGE
    )


def _weights(conv: nn.Conv2d) -> int:
    return conv.in_channels * conv.out_channels * conv.kernel_size[0] * conv.kernel_size[1]


def _all(value: Any, wanted: int) -> bool:
    if isinstance(value, str):
        return value == "valid" and wanted == 0
    return all(v == wanted for v in (value if isinstance(value, list | tuple) else (value,)))
