"""The calls of PyTorch that folding tells apart, and how to read their arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

CONVOLUTIONS = (torch.conv1d, torch.conv2d, torch.conv3d)
WEIGHTED = (*CONVOLUTIONS, F.linear)
BATCH_NORM = F.batch_norm

# They tell a tensor's shape or kind, which folding leaves alone, not its values.
METADATA = frozenset(
    {
        Tensor.dim, Tensor.size, Tensor.numel, Tensor.nelement, Tensor.ndimension, Tensor.__len__,
        Tensor.is_floating_point, Tensor.is_complex, Tensor.get_device, Tensor.element_size,
        *(getattr(Tensor, name).__get__ for name in (
            "shape", "ndim", "dtype", "device", "layout", "requires_grad", "is_cuda", "is_cpu", "is_mps", "is_meta",
            "is_quantized", "is_nested", "is_sparse", "is_mkldnn", "is_xla", "is_leaf",
        )),
    }
)  # fmt: skip

# They bring values of a tensor into Python, where the network may decide by them what it runs.
READERS = frozenset(
    {
        Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__bool__, Tensor.__int__, Tensor.__float__,
        Tensor.__index__, Tensor.__contains__, Tensor.equal, Tensor.allclose, Tensor.is_nonzero,
        torch.equal, torch.allclose, torch.is_nonzero, torch._assert_async,
    }
)  # fmt: skip


def argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], place: int, name: str) -> Any:
    """The argument called `name`, given by place or by name; None where it is not given."""
    return args[place] if len(args) > place else kwargs.get(name)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors among arguments or results, in lists and mappings, too."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_in(part)
