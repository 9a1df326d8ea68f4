"""A marked region of a picture, as the model was shown it: through the same resize and crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whylook.errors import UsageError
from whylook.geometry import Geometry
from whylook.metrics.metric import Floats, NotAssessable

_NOTHING = 1e-6  # pixels: what rounding leaves of a difference of sums; a cell that holds so little is not touched


@dataclass(frozen=True, eq=False)
class Region:
    """One or several marked things in a picture.

    Parameters
    ----------
    masks : bool [m, H, W] in the picture's coordinates, one per instance.
    geometry : where the model's input lies in the picture.
    """

    masks: NDArray[np.bool_]
    geometry: Geometry

    @classmethod
    def of(cls, mask: ArrayLike | Sequence[ArrayLike], geometry: Geometry) -> Region:
        """Read a mask.

        Parameters
        ----------
        mask : [H, W] in the picture's coordinates: bool; whole numbers, where every value but 0 is an instance of its
            own (255 alone: one instance); or floats of 0 and 1. Or a list of such, one per instance: [m, H, W].
        geometry : of the model's preprocessing, `model.preprocess.geometry(image)`.

        Raises
        ------
        UsageError
            If it has another size than the picture, or values that mark nothing.
        """
        geometry = replace(geometry, extent=None)  # of the input, whatever a map covers of it
        array = np.asarray(mask)
        if array.shape[-2:] != tuple(geometry.picture) or array.ndim not in (2, 3):
            raise UsageError(f"The mask has shape {array.shape}; the picture is {geometry.picture} (rows, columns).")
        if array.dtype.kind == "f" and not np.isin(array, (0, 1)).all():
            raise UsageError("A mask of floats holds 0 and 1 only; give one that is bool, or whole numbers.")
        if array.dtype.kind not in "buif":
            raise UsageError(f"A mask is bool or whole numbers, not {array.dtype}.")
        if array.ndim == 3:
            return cls(array != 0, geometry)
        if array.dtype.kind not in "ui":
            return cls(array[None] != 0, geometry)
        labels = [v for v in np.unique(array) if v != 0]
        return cls(np.stack([array == v for v in labels]) if labels else np.zeros((1, *array.shape), bool), geometry)

    @property
    def _whole(self) -> NDArray[np.bool_]:
        return np.asarray(self.masks.any(0))

    def coverage(self, grid: tuple[int, int]) -> Floats:
        """Share of each cell of a map's grid that the region covers, float64 [h, w] in [0, 1]; padding is not covered.

        Raises
        ------
        NotAssessable
            If no cell is touched, or nothing lies outside the region: then no map can be right or wrong.
        """
        covered = _shares(self._whole, self.geometry, grid)
        if not self.masks.any():
            raise NotAssessable("the mask is empty")
        if not covered.any():
            raise NotAssessable("the mask lies outside of what the model was shown")
        if covered.min() > 1 - 1e-9:
            raise NotAssessable("the mask covers all that the model was shown")
        return covered

    def each(self, grid: tuple[int, int]) -> Floats:
        """`coverage` by each instance that is seen at all, [m, h, w]."""
        self.coverage(grid)
        shares = [_shares(mask, self.geometry, grid) for mask in self.masks]
        return np.stack([s for s in shares if s.any()])

    @property
    def lost(self) -> float:
        """Share of the region's area that the crop cut away; NaN for an empty one."""
        whole = self._whole
        if not whole.any():
            return float("nan")
        top, left, bottom, right = self.geometry.visible
        return 1 - float(_areas(whole, np.array([top, bottom]), np.array([left, right]))[0, 0]) / float(whole.sum())


def _shares(mask: NDArray[np.bool_], geometry: Geometry, grid: tuple[int, int]) -> Floats:
    top, left, bottom, right = geometry.placement
    rows, columns = np.linspace(top, bottom, grid[0] + 1), np.linspace(left, right, grid[1] + 1)
    cell = (bottom - top) * (right - left) / (grid[0] * grid[1])
    return np.clip(_areas(mask, rows, columns) / cell, 0, 1)


def _areas(mask: NDArray[np.bool_], rows: Floats, columns: Floats) -> Floats:
    """Exact area of the mask between the edges `rows` and `columns`, picture coordinates: [len − 1, len − 1]."""
    by_rows = _between(mask.astype(np.float64), rows)
    areas = _between(by_rows.T, columns).T
    return np.where(areas < _NOTHING, 0.0, areas)


def _between(values: Floats, edges: Floats) -> Floats:
    """Integral over the first axis between successive edges, of values that are constant within a pixel."""
    total = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(0)])
    at = np.clip(edges, 0, len(values))
    at = np.where(abs(at - np.rint(at)) < 1e-9, np.rint(at), at)  # an edge that is meant to lie on a pixel's
    below = np.minimum(at.astype(int), len(values) - 1)
    part = (at - below)[:, None]
    return np.diff(total[below] * (1 - part) + total[below + 1] * part, axis=0)
