"""Reading what a person marked in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whylook.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image as Pillow


def read_mask(path: str | Path) -> NDArray[np.bool_]:
    """Read a mask: whatever is neither black nor fully transparent is marked.

    In a picture with a palette whose first entry is black or transparent, as label maps have it, every other entry is
    marked, whatever its color; in other palettes colors count.

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
    from PIL import Image as Reader
    from PIL import ImageOps

    try:
        with Reader.open(path, formats=("PNG", "TIFF", "BMP", "GIF")) as picture:
            indexed = picture.mode in ("P", "PA")
            read = picture.convert("RGBA") if indexed and not _starts_black(picture) else picture
            read = ImageOps.exif_transpose(read)  # as pictures are
            values, bands = np.asarray(read), read.getbands()
    except Exception as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise ImageError(
            f"The mask {path} cannot be read: {reason}; give a PNG that is black where nothing is marked."
        ) from error
    marked = np.asarray(values != 0).reshape(values.shape[0], values.shape[1], -1)
    if bands[-1] == "A":
        return np.asarray(marked[..., :-1].any(-1) & marked[..., -1])
    return np.asarray(marked.any(-1))


def _starts_black(picture: Pillow) -> bool:
    """Whether the first entry of a palette is black or transparent: the background of a label map."""
    first = (picture.getpalette("RGBA") or [0, 0, 0, 255])[:4]
    clear = picture.info.get("transparency")
    clear = clear[:1] == b"\0" if isinstance(clear, bytes) else clear == 0
    return clear or not first[3] or not any(first[:3])
