"""Pictures of one patient are not independent: what is counted are units, whole groups of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whylook.errors import UsageError

Floats = NDArray[np.float64]


class Units(NamedTuple):
    """Per unit the sum of its values and how many there are, float64 [units] each."""

    sums: Floats
    counts: Floats

    @property
    def mean(self) -> float:
        """Mean over all values, not over units."""
        return float(self.sums.sum() / self.counts.sum())


def units(values: ArrayLike, groups: Sequence[Any] | NDArray[Any] | None = None) -> Units:
    """Sum `values` [n] within groups; without groups every value is a unit.

    Missing values (NaN) are left out; a value whose group is missing (None or NaN) stands for itself.

    Raises
    ------
    UsageError
        If the values are infinite, or the groups are not one per value.
    """
    numbers = np.asarray(values, np.float64).ravel()
    if np.isinf(numbers).any():
        raise UsageError("A value is infinite; statistics are taken of finite numbers (NaN marks a missing one).")
    there = ~np.isnan(numbers)
    if groups is None:
        return Units(numbers[there], np.ones(int(there.sum())))
    labels = np.asarray([f"alone {i}" if g is None or g != g else f"group {g}" for i, g in enumerate(groups)])
    if labels.shape != numbers.shape:
        raise UsageError(f"There are {labels.size} groups for {numbers.size} values; give one per value.")
    _, index = np.unique(labels[there], return_inverse=True)
    sums, counts = np.bincount(index, numbers[there]), np.bincount(index)
    return Units(sums.astype(np.float64), counts.astype(np.float64))
