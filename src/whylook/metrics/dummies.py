"""Four explainers that know nothing of any network, at the grain of the map they stand beside."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from whylook.metrics.grids import resample
from whylook.metrics.metric import Floats, fingerprint, generator

NAMES = ("random", "sobel", "center", "uniform")


def dummies(x: ArrayLike, grid: tuple[int, int], *, seed: int = 0) -> Mapping[str, Floats]:
    """What every map should do better than.

    Parameters
    ----------
    x : [c, h, w], the network's input.
    grid : (rows, columns) of the map they stand beside.
    seed : of `random`, which also differs from picture to picture.

    Returns
    -------
    By name, float64 [*grid], 0 or more: `random` (uniform numbers), `sobel` (the strength of the input's edges),
    `center` (a Gaussian in the middle, a quarter of each side wide) and `uniform` (the same everywhere).
    """
    return {
        "random": generator(seed, "random dummy", fingerprint(x)).random(grid),
        "sobel": resample(sobel(x), grid),
        "center": np.outer(*(_bell(side) for side in grid)),
        "uniform": np.ones(grid),
    }


def sobel(x: ArrayLike) -> Floats:
    """Strength of the edges of an input [c, h, w], averaged over channels before: float64 [h, w], 0 or more."""
    gray = np.pad(np.asarray(x, np.float64).mean(0), 1, mode="edge")
    smooth, step = (1, 2, 1), (-1, 0, 1)
    across, down = (_filter(gray, a, b) for a, b in ((smooth, step), (step, smooth)))
    return np.asarray(np.hypot(across, down))


def _filter(padded: Floats, rows: tuple[int, ...], columns: tuple[int, ...]) -> Floats:
    """3×3 correlation with the outer product of two kernels, of an array padded by one."""
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    down: Floats = sum((k * padded[i : i + height] for i, k in enumerate(rows)), np.zeros((height, width + 2)))
    return sum((k * down[:, i : i + width] for i, k in enumerate(columns)), np.zeros((height, width)))


def _bell(cells: int) -> Floats:
    at = (np.arange(cells) + 0.5) / cells - 0.5
    return np.asarray(np.exp(-0.5 * (at / 0.25) ** 2))
