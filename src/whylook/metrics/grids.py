"""Maps at grids: positive parts, areas, ranks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from whylook.geometry import Geometry
from whylook.metrics.metric import Floats, NotAssessable


def positive(values: Floats) -> Floats:
    """Evidence for the target: negative values count as nothing, as everywhere in localization.

    Raises
    ------
    NotAssessable
        If nothing is left.
    """
    evidence = np.maximum(values, 0)
    if not evidence.any():
        raise NotAssessable("nothing in the map speaks for the target")
    scaled: Floats = evidence / evidence.max()  # sums of very small or large numbers stay finite
    return scaled


def resample(values: Floats, grid: tuple[int, int]) -> Floats:
    """Mean of a map over the cells of another grid that covers the same area, exact for values constant in a cell."""
    rows, columns = (_shares(np.linspace(0, 1, old + 1), new) for old, new in zip(values.shape, grid, strict=True))
    return rows @ values @ columns.T


def entire(values: Floats, geometry: Geometry) -> Floats:
    """A map whose cells cover the whole input evenly, from one whose cells cover a part of it (see `Geometry.extent`).

    Beyond the outermost cells their values go on, as they are drawn. A map that covers the input is returned as it is.
    """
    if geometry.extent is None:
        return values
    sides = []
    for cells, (begin, end), size in zip(values.shape, geometry.extent, geometry.input, strict=True):
        edges = np.clip(np.linspace(begin, end, cells + 1) / size, 0, 1)
        edges[0], edges[-1] = 0, 1
        sides.append(_shares(edges, max(1, round(size * cells / (end - begin)))))
    return np.asarray(sides[0] @ values @ sides[1].T)


def _shares(edges: Floats, new: int) -> Floats:
    """Share [new, old] of each of `new` equal cells of a stretch of length 1 that each old one between `edges` fills."""
    ends = np.arange(new + 1) / new
    low = np.maximum(ends[:-1, None], edges[None, :-1])
    high = np.minimum(ends[1:, None], edges[None, 1:])
    shares = np.maximum(high - low, 0) * new
    shares[shares < 1e-12] = 0
    total: Floats = shares / shares.sum(1, keepdims=True)
    return total


def top_area(values: Floats, area: float) -> Floats:
    """How much of each cell belongs to the highest cells of a given total area (in cells), [h, w] in [0, 1].

    Cells that tie at the border share what is left of the area: what is counted with it is then its expectation over
    random ways to break the tie.
    """
    flat = values.ravel()
    descending = np.sort(flat)[::-1]
    border = descending[min(int(np.ceil(area - 1e-9)), flat.size) - 1]
    above, tied = values > border, values == border
    left = area - above.sum()
    taken: Floats = above + tied * (left / tied.sum())
    return taken


def ranks(values: Floats) -> Floats:
    """Ranks of the flattened values, ties averaged."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[index.ravel()], np.float64)


def pearson(a: Floats, b: Floats) -> float:
    """Correlation of two flattened arrays.

    Raises
    ------
    NotAssessable
        If one of them is constant.
    """
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    if not (_varies(a) and _varies(b)):
        raise NotAssessable("one of the two is the same everywhere, so there is nothing to correlate")
    a, b = a / abs(a).max(), b / abs(b).max()
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))


def _varies(centered: Floats) -> bool:
    return bool(abs(centered).max() > 0)


def spearman(a: Floats, b: Floats) -> float:
    """Rank correlation of two maps; the finer one is averaged to the grid of the coarser one first."""
    grid = (min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1]))
    return pearson(*(ranks(steady(m if m.shape == grid else resample(m, grid))) for m in (a, b)))


def steady(values: Floats) -> Floats:
    """Values rounded to 12 digits of their range, so that sums that should tie do."""
    size = abs(values).max()
    return values if size == 0 else np.round(values / size, 12)


class Shifted(NamedTuple):
    """How much two maps have in common by their smoothness alone: one of them is moved over the other, around the edges.

    Parameters
    ----------
    own : the value where nothing is moved.
    low, high : 2.5 and 97.5 % of the values of all other shifts.
    z : how many of their standard deviations `own` is from their mean; 0 where they do not vary.
    """

    own: float
    low: float
    high: float
    z: float

    @property
    def facts(self) -> dict[str, float]:
        """What a score tells of chance."""
        return {"low": self.low, "high": self.high, "z": self.z}


def shifted(a: Floats, b: Floats) -> Shifted:
    """Product sums Σ a · b of two arrays of one shape for every shift of `b` around the edges, by Fourier transform."""
    sums = np.fft.ifft2(np.fft.fft2(a) * np.fft.fft2(b).conj()).real
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    sums[abs(sums) < 1e-12 * scale] = 0  # rounding
    own, others = float(sums.flat[0]), sums.ravel()[1:]
    if not others.size:
        return Shifted(own, own, own, 0.0)
    low, high = np.quantile(others, [0.025, 0.975])
    spread = float(others.std())
    z = (own - float(others.mean())) / spread if spread > 1e-9 * scale else 0.0
    return Shifted(own, float(low), float(high), z)


def shifted_ranks(a: Floats, b: Floats) -> Shifted:
    """`spearman` of two maps, and what it is by their smoothness alone."""
    grid = (min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1]))
    ranked = [ranks(steady(m if m.shape == grid else resample(m, grid))) for m in (a, b)]
    pearson(*ranked)  # raises for maps that do not vary
    unit = [(r - r.mean()) / np.linalg.norm(r - r.mean()) for r in ranked]
    return shifted(*(u.reshape(grid) for u in unit))
