"""Maps and masks at block grain: what is filled in are blocks of the picture, never single pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whylook.errors import UsageError
from whylook.metrics.grids import resample, steady
from whylook.metrics.metric import Floats

CELLS = 14  # blocks along a side, at most: finer ones leave holes that networks read as texture


def grain(values: Floats, shape: tuple[int, int], cells: int) -> tuple[int, int]:
    """Grid of blocks for a map: its own grid, but at most `cells` and the input's pixels along each side.

    Raises
    ------
    UsageError
        If `cells` is below 1.
    """
    if cells < 1:
        raise UsageError(f"cells must be 1 or more, not {cells}.")
    rows, columns = (min(n, cells, pixels) for n, pixels in zip(values.shape, shape, strict=True))
    return rows, columns


def block_sums(values: Floats, shape: tuple[int, int], grid: tuple[int, int]) -> tuple[Floats, Floats]:
    """Sum of a map within each block [*grid], and the number of input pixels of each.

    A block is made of whole pixels of the input of size `shape`; the map's sum is kept.
    """
    pixels = resample(values, shape) * (values.size / (shape[0] * shape[1]))
    rows, columns = (
        np.minimum((np.arange(n) + 0.5) * g / n, g - 1).astype(int) for n, g in zip(shape, grid, strict=True)
    )
    index = rows[:, None] * grid[1] + columns[None, :]
    sums, sizes = (
        np.bincount(index.ravel(), weights, grid[0] * grid[1]).reshape(grid).astype(np.float64)
        for weights in (pixels.ravel(), np.ones(pixels.size))
    )
    return sums, sizes


def order(values: Floats, shape: tuple[int, int], grid: tuple[int, int], rng: np.random.Generator) -> NDArray[np.intp]:
    """Flat indices of the blocks, highest mean first; ties in random order."""
    sums, sizes = block_sums(values, shape, grid)
    level = steady(sums / sizes).ravel()
    return np.asarray(np.lexsort((rng.random(level.size), -level)))


def first(ordered: NDArray[np.intp], counts: NDArray[np.intp], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """The first `counts[i]` blocks of an order, bool [len(counts), *grid]."""
    place = np.empty(len(ordered), np.intp)
    place[ordered] = np.arange(len(ordered))
    return (place[None] < counts[:, None]).reshape(-1, *grid)


def counts(n: int, steps: int) -> NDArray[np.intp]:
    """About `steps` steps from 0 to n blocks, symmetric: k is among them exactly where n − k is."""
    half = np.rint(np.arange(steps // 2 + 1) * n / steps).astype(np.intp)
    half = half[2 * half <= n]
    return np.unique(np.concatenate([half, n - half]))
