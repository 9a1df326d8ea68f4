"""Overlapping regions of a picture, and the gathering of its pixels' shares in them (XRAI, arXiv:1906.02825)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whylook.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

# The paper's segmentation: of the picture at this side, in [-1, 1], at these scales, no segment below so many pixels.
_SIDE = 224
_SCALES = (50, 100, 150, 250, 500, 1200)
_SIGMA = 0.8
_SMALLEST = 150
_GROWTH = 5  # pixels, at that side, by which a segment is dilated to hold its edges
_LEAST = 0.001  # of the picture's area: what a region has to add


def masks(x: Tensor, segments: Any = "felzenszwalb") -> NDArray[np.bool_]:
    """Regions [m, h, w] of a picture.

    Parameters
    ----------
    x : [1, c, h, w].
    segments : `felzenszwalb`, or whole numbers [h, w] or [several, h, w]: each number is a region.

    Raises
    ------
    UsageError
        If the segments are neither, or scikit-image is not there.
    """
    if isinstance(segments, str):
        if segments != "felzenszwalb":
            raise UsageError(f"segments={segments!r} is not known; it is felzenszwalb or an integer map.")
        return _grown(_felzenszwalb(x))
    given = np.asarray(segments.cpu() if hasattr(segments, "cpu") else segments)
    if given.dtype.kind not in "iu" or given.ndim not in (2, 3) or given.shape[-2:] != tuple(x.shape[2:]):
        raise UsageError(
            f"segments has shape {list(given.shape)} and {given.dtype}; it must be whole numbers of shape "
            f"{list(x.shape[2:])}, or several such maps."
        )
    return _apart(given.reshape(-1, *given.shape[-2:]))


def gathered(shares: NDArray[np.float64], regions: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
    """Give each pixel the mean share of what its region added when it was taken.

    Parameters
    ----------
    shares : [h, w].
    regions : [m, h, w].

    Returns
    -------
    [h, w], whose sum is that of `shares`, and the number of regions taken. Pixels that none of these holds get the mean
    of their own.
    """
    flat = shares.ravel()
    inside = regions.reshape(len(regions), flat.size)
    least = max(1, round(_LEAST * flat.size))
    out, free = np.zeros_like(flat), np.ones(flat.size, bool)
    count = inside.sum(1)
    total = np.array([flat[region].sum() for region in inside])
    left = count >= least
    taken = 0
    while left.any():
        best = int(np.where(left, total / np.maximum(count, 1), -np.inf).argmax())
        new = np.flatnonzero(inside[best] & free)
        out[new], free[new] = flat[new].mean(), False
        count = count - inside[:, new].sum(1)
        total = total - inside[:, new] @ flat[new]
        left &= count >= least
        left[best] = False
        taken += 1
    if free.any():
        out[free] = flat[free].mean()
    return out.reshape(shares.shape), taken


def _felzenszwalb(x: Tensor) -> NDArray[np.bool_]:
    try:
        from skimage.segmentation import felzenszwalb
        from skimage.transform import resize
    except ImportError as error:
        raise UsageError(
            "xrai finds its regions with scikit-image, which is not installed: pip install 'whylook[segments]', or give "
            "it an integer map as segments."
        ) from error
    picture = x[0].detach().cpu().double().numpy().transpose(1, 2, 0)
    low, high = picture.min(), picture.max()
    picture = 2 * (picture - low) / (high - low) - 1 if high > low else picture * 0
    large = resize(picture, (_SIDE, _SIDE), order=3, mode="reflect", anti_aliasing=True)
    levels = [felzenszwalb(large, scale=s, sigma=_SIGMA, min_size=_SMALLEST, channel_axis=2) for s in _SCALES]
    # Back to the picture's own pixels, each with the label in its middle.
    rows, columns = ((np.arange(n) * 2 + 1) * _SIDE // (2 * n) for n in picture.shape[:2])
    return _apart(np.stack([level[rows][:, columns] for level in levels]))


def _apart(maps: NDArray[Any]) -> NDArray[np.bool_]:
    """Each number of each map [several, h, w] as a region of its own."""
    return np.concatenate([labels == np.unique(labels)[:, None, None] for labels in maps])


def _grown(regions: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dilate by a disk."""
    height, width = regions.shape[1:]
    radius = round(_GROWTH * min(height, width) / _SIDE)
    out = regions.copy()
    for dy in range(-radius, radius + 1):
        reach = int((radius**2 - dy**2) ** 0.5)
        for dx in range(-reach, reach + 1):
            from_rows, to_rows = slice(max(-dy, 0), height - max(dy, 0)), slice(max(dy, 0), height - max(-dy, 0))
            from_columns, to_columns = slice(max(-dx, 0), width - max(dx, 0)), slice(max(dx, 0), width - max(-dx, 0))
            out[:, to_rows, to_columns] |= regions[:, from_rows, from_columns]
    return out
