"""Reading what a person marked in a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whylook.errors import ImageError


def read_mask(path: str | Path) -> NDArray[np.bool_]:
    """Read a mask: whatever is neither black (palette entry 0) nor fully transparent is marked.

    Parameters
    ----------
    path : a PNG, or another format without loss.

    Returns
    -------
    bool [H, W].

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    from PIL import Image as Pillow

    try:
        with Pillow.open(path, formats=("PNG", "TIFF", "BMP", "GIF")) as picture:
            values, bands = np.asarray(picture), picture.getbands()
    except Exception as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise ImageError(
            f"The mask {path} cannot be read: {reason}; give a PNG that is black where nothing is marked."
        ) from error
    marked = np.asarray(values != 0).reshape(values.shape[0], values.shape[1], -1)
    if bands[-1] == "A":
        return np.asarray(marked[..., :-1].any(-1) & marked[..., -1])
    return np.asarray(marked.any(-1))
