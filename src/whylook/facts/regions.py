"""How much of a map lies where: exact integrals of a map that is constant within its cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whylook.facts.evidence import Box

Floats = NDArray[np.float64]
_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "center", "right")
THIRDS: tuple[str, ...] = tuple(f"{row} {column}" for row in _ROWS for column in _COLUMNS)
"""The nine equal parts of the picture, row by row; left and right as it is displayed."""


def third_of(x: float, y: float, size: tuple[int, int]) -> str:
    """Return the part of the picture of `size` (rows, columns) that the point lies in."""
    row, column = min(int(3 * y / size[0]), 2), min(int(3 * x / size[1]), 2)
    return THIRDS[3 * max(row, 0) + max(column, 0)]


def overlap(edges: Floats, stretches: Floats) -> Floats:
    """Length of each cell between `edges` [n + 1] that lies in each of the stretches [m, 2]: float64 [m, n]."""
    low = np.maximum(edges[None, :-1], stretches[:, :1])
    high = np.minimum(edges[None, 1:], stretches[:, 1:])
    lengths: Floats = np.maximum(high - low, 0)
    return lengths


def edges_of(placement: Box, visible: Box, grid: tuple[int, int]) -> tuple[Floats, Floats]:
    """Edges of a map's rows and columns in picture pixels; the outermost cells go on to the edge of what was shown."""
    rows, columns = (np.linspace(placement[i], placement[i + 2], grid[i] + 1) for i in (0, 1))
    for edges, low, high in ((rows, visible[0], visible[2]), (columns, visible[1], visible[3])):
        edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return rows, columns


def thirds(values: Floats, placement: Box, visible: Box, size: tuple[int, int]) -> tuple[Floats, Floats, float]:
    """Integrate a map of values that are not negative over the nine parts of the picture, as far as it was shown.

    Parameters
    ----------
    values : [h, w], at least 0.
    placement, visible : (top, left, bottom, right) in picture pixels.
    size : (rows, columns) of the picture.

    Returns
    -------
    Shares of the mass [9] and of the area shown [9], each adding up to 1 (the mass to 0 where there is none), and the
    share of the map's whole mass that lies on padding, outside of the picture.
    """
    rows, columns = edges_of(placement, visible, (values.shape[0], values.shape[1]))
    stretches = []
    for length, low, high in ((size[0], visible[0], visible[2]), (size[1], visible[1], visible[3])):
        ends = np.linspace(0, length, 4)
        stretches.append(np.clip(np.stack([ends[:-1], ends[1:]], 1), low, high))
    mass = (overlap(rows, stretches[0]) @ values @ overlap(columns, stretches[1]).T).ravel()
    area = np.outer(*(s[:, 1] - s[:, 0] for s in stretches)).ravel()
    total = float(np.diff(rows) @ values @ np.diff(columns))
    within = np.array([[0.0, size[0]]]), np.array([[0.0, size[1]]])
    inside = float((overlap(rows, within[0]) @ values @ overlap(columns, within[1]).T)[0, 0])
    padding = 1 - inside / total if total > 0 else 0.0
    return mass / mass.sum() if mass.sum() > 0 else mass, area / area.sum(), max(0.0, padding)


def masked(values: Floats, mask: NDArray[np.bool_], placement: Box, visible: Box) -> tuple[float, float]:
    """Integrate a map of values that are not negative over a mask.

    Parameters
    ----------
    values : [h, w], at least 0.
    mask : bool [H, W], in the picture's coordinates.
    placement, visible : (top, left, bottom, right) in picture pixels.

    Returns
    -------
    Share of the mass and of the area in the mask, of what lies in the part of the picture that was shown; NaN where
    there is no mass.
    """
    rows, columns = edges_of(placement, visible, (values.shape[0], values.shape[1]))
    shape = mask.shape
    pixel_rows = _pixels(shape[0], visible[0], visible[2])
    pixel_columns = _pixels(shape[1], visible[1], visible[3])
    by_row, by_column = overlap(rows, pixel_rows), overlap(columns, pixel_columns)
    covered = by_row.T @ mask.astype(np.float64) @ by_column
    everything = np.outer(by_row.sum(0), by_column.sum(0))
    total = float((values * everything).sum())
    share = float((values * covered).sum()) / total if total > 0 else float("nan")
    return share, float(covered.sum() / everything.sum())


def _pixels(count: int, low: float, high: float) -> Floats:
    at = np.arange(count, dtype=np.float64)
    return np.clip(np.stack([at, at + 1], 1), low, high)


def common(
    first: Floats, second: Floats, boxes: tuple[tuple[Box, Box], tuple[Box, Box]]
) -> tuple[Floats, Floats] | None:
    """Bring two maps to one grid over what both models were shown, each cell the mean of what lies in it.

    Parameters
    ----------
    first, second : [h, w] each.
    boxes : (placement, visible) of each.

    Returns
    -------
    Two arrays of one shape, as fine as the coarser map in that area; None where it is empty or a single cell.
    """
    seen = np.array([visible for _, visible in boxes])
    (top, left), (bottom, right) = seen[:, :2].max(0).tolist(), seen[:, 2:].min(0).tolist()
    if bottom <= top or right <= left:
        return None
    grid = []
    for axis, length in ((0, bottom - top), (1, right - left)):
        cells = [
            values.shape[axis] * length / (placement[axis + 2] - placement[axis])
            for values, (placement, _) in zip((first, second), boxes, strict=True)
        ]
        grid.append(max(1, round(min(cells))))
    if grid[0] * grid[1] < 2:
        return None
    out = []
    for values, (placement, visible) in zip((first, second), boxes, strict=True):
        rows, columns = edges_of(placement, visible, (values.shape[0], values.shape[1]))
        weights = []
        for edges, low, high, count in ((rows, top, bottom, grid[0]), (columns, left, right, grid[1])):
            ends = np.linspace(low, high, count + 1)
            part = overlap(edges, np.stack([ends[:-1], ends[1:]], 1))
            weights.append(part / part.sum(1, keepdims=True))
        out.append(weights[0] @ values @ weights[1].T)
    return out[0], out[1]
