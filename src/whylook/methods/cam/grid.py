"""Sums over a layer's grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def total(t: Tensor) -> Tensor:
    """Sum over the grid, [n, c, 1, …]."""
    return t.sum(tuple(range(2, t.ndim)), keepdim=True)


def mean(t: Tensor) -> Tensor:
    """Mean over the grid, [n, c, 1, …]."""
    return total(t) / math.prod(t.shape[2:])
