"""Where the model's input lies in the picture: the affine map between the two, both ways."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Geometry:
    """Axis-aligned affine map between picture and input coordinates.

    Coordinates are continuous, in pixels, with (0, 0) at the outer corner of the first pixel:
    `input = scale * picture + offset`, per axis.

    Parameters
    ----------
    picture : (height, width) of the original picture.
    input : (height, width) of the network's input.
    scale : (y, x), input pixels per picture pixel.
    offset : (y, x), in input pixels.
    extent : (begin, end) per axis, in input pixels, that a map's cells divide evenly; None: the whole input.
    """

    picture: tuple[int, int]
    input: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float]
    extent: tuple[tuple[float, float], tuple[float, float]] | None = None

    @property
    def cells(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(begin, end) per axis of the map's cells, in input pixels."""
        return self.extent or ((0.0, float(self.input[0])), (0.0, float(self.input[1])))

    @property
    def placement(self) -> tuple[float, float, float, float]:
        """`(top, left, bottom, right)` of the map's cells in picture coordinates; may reach outside the picture."""
        return self._outline(self.cells)

    def _outline(self, span: tuple[tuple[float, float], tuple[float, float]]) -> tuple[float, float, float, float]:
        (sy, sx), (oy, ox), ((top, bottom), (left, right)) = self.scale, self.offset, span
        return ((top - oy) / sy, (left - ox) / sx, (bottom - oy) / sy, (right - ox) / sx)

    @property
    def visible(self) -> tuple[float, float, float, float]:
        """`(top, left, bottom, right)` of the part of the picture that the model was shown."""
        top, left, bottom, right = self._outline(((0.0, float(self.input[0])), (0.0, float(self.input[1]))))
        return (max(top, 0.0), max(left, 0.0), min(bottom, float(self.picture[0])), min(right, float(self.picture[1])))

    def on_image(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring a map to the picture: bilinear between cell centers, held constant beyond the outermost centers.

        Parameters
        ----------
        values : float array [h', w'], a map whose cells divide `extent` evenly.

        Returns
        -------
        float32 array [H, W] in the picture's coordinates, NaN where the model was not shown the picture.
        """
        sampled = (
            _samples(self.picture[i], self.input[i], values.shape[i], self.scale[i], self.offset[i], self.cells[i])
            for i in (0, 1)
        )
        return _between(values, self.picture, *sampled)


def on_picture(
    values: NDArray[np.float32], picture: tuple[int, int], placement: Box, visible: Box
) -> NDArray[np.float32]:
    """Bring a map that was read from a saved folder to the picture, as `Geometry.on_image` does.

    Parameters
    ----------
    values : float array [h', w'].
    picture : (height, width) of the original picture.
    placement, visible : (top, left, bottom, right) in picture pixels, of the map's cells and of what the model was shown.

    Returns
    -------
    float32 array [H, W] in the picture's coordinates, NaN where the model was not shown the picture.
    """
    sampled = []
    for i in (0, 1):
        begin, end = visible[i], visible[i + 2]
        cells = (placement[i] - begin, placement[i + 2] - begin)
        sampled.append(_samples(picture[i], end - begin, values.shape[i], 1.0, -begin, cells))
    return _between(values, picture, *sampled)


def _between(
    values: NDArray[np.float32],
    picture: tuple[int, int],
    vertical: tuple[slice, NDArray[np.float64]],
    horizontal: tuple[slice, NDArray[np.float64]],
) -> NDArray[np.float32]:
    (rows, ys), (cols, xs) = vertical, horizontal
    out = np.full(picture, np.nan, np.float32)
    y0, x0 = ys.astype(int), xs.astype(int)
    y1, x1 = np.minimum(y0 + 1, values.shape[0] - 1), np.minimum(x0 + 1, values.shape[1] - 1)
    fy, fx = (ys - y0)[:, None], (xs - x0)[None, :]
    top = values[y0][:, x0] * (1 - fx) + values[y0][:, x1] * fx
    bottom = values[y1][:, x0] * (1 - fx) + values[y1][:, x1] * fx
    out[rows, cols] = top * (1 - fy) + bottom * fy
    return out


def _samples(
    picture: int, size: float, cells: int, scale: float, offset: float, extent: tuple[float, float]
) -> tuple[slice, NDArray[np.float64]]:
    """Picture pixels whose centers the input covers, and where each lies in cell-center coordinates of the map."""
    at = (np.arange(picture) + 0.5) * scale + offset
    seen = np.flatnonzero((at > -1e-9) & (at < size + 1e-9))
    if seen.size == 0:
        return slice(0, 0), np.empty(0)
    begin, end = extent
    inside = (at[seen] - begin) * cells / (end - begin) - 0.5
    return slice(int(seen[0]), int(seen[-1]) + 1), np.clip(inside, 0, cells - 1)


def overlaps(cells: int, size: int) -> NDArray[np.float64]:
    """How much of each of `cells` equal cells lies in each of `size` equal pixels on the same stretch.

    Returns
    -------
    float64 array [cells, size], 0 to 1; each row adds up to 1, so that spreading by it keeps the sum.
    """
    edges, pixels = np.arange(cells + 1) * (size / cells), np.arange(size)
    begin = np.maximum(edges[:-1, None], pixels)
    end = np.minimum(edges[1:, None], pixels + 1)
    shares: NDArray[np.float64] = np.clip(end - begin, 0, None) * (cells / size)
    return shares
