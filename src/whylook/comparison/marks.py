"""Masks from files, polygons and run lengths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from whylook.comparison.data import LeftOutError, Mask
from whylook.errors import ImageError
from whylook.masks import read_mask


def mask_file(path: Path, what: str = "mask") -> Mask:
    """Read a mask (see `whylook.masks.read_mask`), bool [H, W]; one that cannot be read leaves its picture out.

    Parameters
    ----------
    path : a PNG.
    what : what it is called where it cannot be read.

    Raises
    ------
    LeftOutError
        If it cannot be read.
    """
    try:
        return read_mask(path)
    except ImageError as error:
        raise LeftOutError(f"{what} cannot be read", str(error)) from error


def polygon(points: Sequence[float], size: tuple[int, int]) -> Mask:
    """Fill a polygon: pixels whose center lies inside of it, by the even-odd rule.

    Parameters
    ----------
    points : x1, y1, x2, y2, …, in pixels from the outer corner of the first pixel.
    size : (height, width).

    Returns
    -------
    bool [H, W].
    """
    corners = np.asarray(points, np.float64).reshape(-1, 2)
    height, width = size
    inside = np.zeros(size, bool)
    centers = np.arange(width) + 0.5
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        if y0 == y1:
            continue
        low, high = min(y0, y1), max(y0, y1)
        # Rows whose center the edge crosses, its lower end included.
        first, last = (min(max(0, int(np.ceil(end - 0.5))), height) for end in (low, high))
        rows = np.arange(first, last)
        at = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        inside[first:last] ^= centers[None, :] >= at[:, None]
    return inside


def run_lengths(counts: Iterable[int], size: tuple[int, int]) -> Mask:
    """Lay out run lengths, unmarked first, down one column after the other, as COCO writes them.

    Parameters
    ----------
    counts : lengths of the runs.
    size : (height, width).

    Returns
    -------
    bool [H, W].

    Raises
    ------
    ValueError
        If they do not add up to the size.
    """
    lengths = np.asarray(list(counts), np.int64)
    if (lengths < 0).any() or lengths.sum() != size[0] * size[1]:
        raise ValueError(f"run lengths add up to {lengths.sum()}, not to {size[0]} · {size[1]}")
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return np.ascontiguousarray(flat.reshape(size, order="F"))


def unpacked(text: str) -> list[int]:
    """Run lengths from the string that COCO's own tools pack them into.

    Characters from 48 on hold six bits: five of the number, lowest first, and one that says whether more follow; the
    highest of the last five is the sign. From the fourth run on, what is packed is the difference from the run two before.

    Parameters
    ----------
    text : as in `segmentation.counts`.

    Returns
    -------
    Lengths of the runs, unmarked first, for `run_lengths`.

    Raises
    ------
    ValueError
        If it is no such string.
    """
    lengths: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{character!r} is not of packed run lengths")
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        lengths.append(number + (lengths[-2] if len(lengths) > 2 else 0))
        number = shift = 0
    if shift:
        raise ValueError("the packed run lengths break off")
    return lengths
