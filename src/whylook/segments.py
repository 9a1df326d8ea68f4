"""Dividing an input into the parts that surrogates switch on and off: a grid, superpixels, or the caller's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from whylook.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

SUPERPIXELS = ("slic", "quickshift")


def divide(x: Tensor, segments: Any = "grid", cells: int = 7) -> Tensor:
    """Number the segment of every element, all channels together.

    Parameters
    ----------
    x : [1, c, *spatial], or [1, d], whose elements are each a segment of their own.
    segments : `grid`, `cells` along each axis (no more than it has elements); `slic` or `quickshift`, superpixels that
        follow the colors, about `cells`² of them (from scikit-image); or integers [*spatial].
    cells : see `segments`; 1 or more.

    Returns
    -------
    int64 [*spatial] (or [d]), on the CPU, numbered from 0 without gaps.

    Raises
    ------
    UsageError
        If the segments are unknown or do not fit, or scikit-image is not there.
    """
    import torch

    sizes = tuple(x.shape[2:]) if x.ndim > 2 else tuple(x.shape[1:])
    if cells < 1:
        raise UsageError(f"cells={cells} must be 1 or more.")
    if isinstance(segments, str):
        if segments == "grid" and x.ndim == 2:
            return torch.arange(sizes[0])
        if segments == "grid":
            return _grid(sizes, cells)
        if segments in SUPERPIXELS:
            return _numbered(_superpixels(x, segments, cells))
        raise UsageError(f"segments={segments!r} is not known; it is grid, {', '.join(SUPERPIXELS)} or an integer map.")
    try:
        given = torch.as_tensor(segments).cpu()
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(
            f"segments={segments!r} is neither {', '.join(('grid', *SUPERPIXELS))} nor a map of whole numbers."
        ) from None
    if given.is_floating_point() or given.dtype == torch.bool or tuple(given.shape) != sizes:
        raise UsageError(
            f"segments has shape {list(given.shape)} and {given.dtype}; it must be whole numbers of shape {list(sizes)}."
        )
    return _numbered(given.numpy())


def _grid(sizes: tuple[int, ...], cells: int) -> Tensor:
    import torch

    number = torch.zeros((), dtype=torch.long)
    for size in sizes:
        count = min(cells, size)
        number = number[..., None] * count + torch.arange(size) * count // size
    return number


def _superpixels(x: Tensor, kind: str, cells: int) -> np.ndarray[Any, Any]:
    if x.ndim != 4:
        raise UsageError(f"{kind} divides pictures [n, c, h, w]; the input has {x.ndim} axes: use segments='grid'.")
    try:
        from skimage.segmentation import quickshift, slic
    except ImportError as error:
        raise UsageError(
            f"segments={kind!r} needs scikit-image, which is not installed: pip install 'whylook[segments]', or use "
            "segments='grid'."
        ) from error
    picture = x[0].detach().double().cpu().numpy()
    low, high = picture.min(), picture.max()
    picture = (picture - low) / (high - low) if high > low else picture * 0
    color = picture.shape[0] == 3
    if kind == "slic":
        # Start labels at 0, as the numbers are made anew anyway; Lab needs red, green and blue.
        found = slic(picture, n_segments=cells**2, convert2lab=color, channel_axis=0, start_label=0)
    else:
        side = max(1.0, (picture.shape[1] * picture.shape[2]) ** 0.5 / cells)
        # A kernel of half a cell finds segments of about a cell: neighbors are sought within one.
        found = quickshift(picture, kernel_size=side / 4, max_dist=side, convert2lab=color, channel_axis=0, rng=0)
    return np.asarray(found)


def _numbered(labels: np.ndarray[Any, Any]) -> Tensor:
    import torch

    _, numbers = np.unique(labels, return_inverse=True)
    return torch.as_tensor(numbers.reshape(labels.shape)).long()
