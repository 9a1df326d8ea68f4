"""Reading a picture, and remembering how it was read."""

from __future__ import annotations

import hashlib
import io
import os
import re
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from whylook.decoding import clause, decode, diagnosis, flatten
from whylook.errors import ImageError, UsageError

if TYPE_CHECKING:
    from PIL import Image as Pil

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
MAX_PIXELS = 80_000_000  # below Pillow's own limit, so that ours speaks first

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Image:
    """A picture as it was stored, and how it was read.

    Parameters
    ----------
    pixels : array [height, width, channels], 1 (gray) or 3 (RGB) channels; uint8, uint16, or float32. Read-only.
    name : what tables and reports call it.
    source : the file it came from, or None.
    notes : sentences on how it was read.
    window : the stored values (lo, hi) that are shown as black and white, or None for the full range.
    sha256 : of the file's bytes; of shape, type and values for pictures that were in memory.
    """

    pixels: Pixels = field(repr=False)
    name: str = "picture"
    source: str | None = None
    notes: tuple[str, ...] = ()
    window: tuple[float, float] | None = None
    sha256: str = ""

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def channels(self) -> int:
        """1 for gray, 3 for RGB."""
        return int(self.pixels.shape[2])

    def unit(self) -> NDArray[np.float32]:
        """Float32 array [height, width, channels] in [0, 1]: the window, or else the full range of the type."""
        values = self.pixels.astype(np.float32)
        if self.window is not None:
            lo, hi = self.window
            shown: NDArray[np.float32] = np.clip((values - np.float32(lo)) / np.float32(hi - lo), 0, 1)
            return shown
        if self.pixels.dtype == np.uint8:
            values /= 255
        elif self.pixels.dtype == np.uint16:
            values /= 65535
        return values

    def rgb8(self) -> NDArray[np.uint8]:
        """Uint8 array [height, width, 3] for showing."""
        if self.pixels.dtype == np.uint8 and self.window is None:
            shown = self.pixels.astype(np.uint8)
        else:
            shown = np.rint(self.unit() * 255).astype(np.uint8)
        return np.repeat(shown, 3, axis=2) if self.channels == 1 else shown


def load_image(source: Any, *, window: tuple[float, float] | None = None, max_pixels: int = MAX_PIXELS) -> Image:
    """Read a picture.

    Parameters
    ----------
    source : path, bytes, PIL image, NumPy array, or an `Image` (returned as it is, or with
        `window` where that is given). Files may be JPEG, PNG, WebP, TIFF,
        BMP or GIF (of animations the first frame). Arrays are [h, w], [h, w, 1], [h, w, 3] or [h, w, 4] (alpha last),
        uint8, uint16, or float in [0, 1].
    window : stored values that become black and white; needed for floats outside [0, 1].
    max_pixels : files with more are refused before they are decoded.

    Returns
    -------
    Image, upright (EXIF orientation applied), transparency laid on white, CMYK and palettes turned to RGB, 16-bit gray
    kept at 16 bits; each of these is said in `notes`.

    Raises
    ------
    ImageError
        If the picture cannot be read; the message names it.
    UsageError
        If `window` is not two ascending numbers, or `source` is none of the above.
    """
    window = _checked(window)
    if isinstance(source, Image):
        return source if window is None else _rewindowed(source, window)
    if isinstance(source, np.ndarray):
        return _from_array(source, window)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_stream(io.BytesIO(bytes(source)), "picture", None, window, max_pixels)
    if isinstance(source, str | os.PathLike):
        return _from_path(source, window, max_pixels)
    kind = type(source)
    if kind.__module__.partition(".")[0] == "torch":
        raise ImageError(
            "A tensor does not say which axis holds the channels; "
            "pass `tensor.permute(1, 2, 0).numpy()` (height, width, channels) instead."
        )
    if kind.__module__.partition(".")[0] == "PIL":
        return _from_pil(source, window, max_pixels)
    raise UsageError(
        f"A picture is a path, bytes, a PIL image or a NumPy array, not {kind.__module__}.{kind.__qualname__}."
    )


def _checked(window: Any) -> tuple[float, float] | None:
    if window is None:
        return None
    try:
        lo, hi = (float(v) for v in window)
    except (TypeError, ValueError):
        lo = hi = np.nan
    if not (np.isfinite([lo, hi]).all() and lo < hi):
        raise UsageError(f"A window is two ascending numbers such as 0,4095, not {window!r}.")
    with np.errstate(over="ignore", under="ignore"):
        width = np.float32(hi - lo)
    if width == 0 or not np.isfinite(width):
        raise UsageError(f"The window {window!r} is {'narrower' if width == 0 else 'wider'} than float32 can tell.")
    return lo, hi


def _rewindowed(image: Image, window: tuple[float, float]) -> Image:
    """The same stored values under another window; the note on the former one goes."""
    try:
        former = _range_notes(image.pixels, image.name, image.window)
    except ImageError:  # floats that make no picture without a window
        former = []
    kept = [n for n in image.notes if n not in former]
    return replace(image, window=window, notes=(*kept, *_range_notes(image.pixels, image.name, window)))


def _from_path(source: str | os.PathLike[str], window: tuple[float, float] | None, max_pixels: int) -> Image:
    text = os.fspath(source)
    if re.match(r"[a-z][a-z0-9+.-]+://|data:", str(text), re.IGNORECASE):
        raise ImageError(f"{str(text)[:80]} is an address; save the picture to a file and give its path.")
    path = Path(text)
    try:
        if not path.exists():
            raise ImageError(f"{path} is not there (looked in {path.absolute().parent}).")
        if path.is_dir():
            raise ImageError(f"{path} is a folder; give the picture files in it.")
        if not path.is_file():
            raise ImageError(f"{path} is not a regular file.")
        with path.open("rb") as stream:
            return _from_stream(stream, path.name, str(path), window, max_pixels)
    except (OSError, ValueError) as error:  # no permission, name too long, a null byte in it
        if isinstance(error, ImageError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{str(path)!r} cannot be opened: {reason}.") from error


def _from_stream(
    stream: BinaryIO, name: str, source: str | None, window: tuple[float, float] | None, max_pixels: int
) -> Image:
    from PIL import Image as PilImage
    from PIL import UnidentifiedImageError

    what = source or "The picture"
    head = stream.read(1024)
    if not head:
        raise ImageError(f"{what} is empty." if source else "The bytes given as a picture are empty.")
    stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is raised, or said in the notes
            picture = PilImage.open(stream, formats=FORMATS)
    except PilImage.DecompressionBombError as error:
        raise ImageError(f"{what} has more pixels than Pillow opens at all; scale it down first.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{what} {diagnosis(head, name)}") from error
    except Exception as error:
        raise ImageError(f"{what} is damaged: {clause(error)}.") from error
    with picture:
        stored, notes = decode(picture, what, max_pixels, stream)
    pixels, said = _settled(stored, what, window)
    stream.seek(0)
    return Image(pixels, name, source, (*notes, *said), window, hashlib.file_digest(stream, "sha256").hexdigest())  # type: ignore[arg-type]


def _from_pil(picture: Pil.Image, window: tuple[float, float] | None, max_pixels: int) -> Image:
    filename = getattr(picture, "filename", "")
    name = Path(os.fsdecode(filename)).name if filename else "picture"
    what = name if filename else "The picture"
    stored, notes = decode(picture, what, max_pixels)
    pixels, said = _settled(stored, what, window)
    return Image(pixels, name, None, (*notes, *said), window, _digest(pixels))


def _from_array(array: NDArray[Any], window: tuple[float, float] | None) -> Image:
    shape = "×".join(map(str, array.shape)) or "no"
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(f"An array of shape {shape} is not a picture; it must be H×W, H×W×1, H×W×3 or H×W×4.")
    if array.size == 0:
        raise ImageError(f"An array of shape {shape} holds no pixels.")
    if array.dtype not in (np.uint8, np.uint16) and array.dtype.kind != "f":
        raise ImageError(
            f"An array of {array.dtype} is not a picture; convert it to uint8, uint16, or floats in [0, 1]."
        )
    stored: NDArray[Any] = array.astype(np.float32) if array.dtype.kind == "f" else np.array(array)
    stored = stored[:, :, None] if stored.ndim == 2 else stored
    notes: list[str] = []
    if stored.shape[2] == 4:
        stored, notes = flatten(stored[:, :, :3], stored[:, :, 3:])
    pixels, told = _settled(stored, "The array", window)
    return Image(pixels, "picture", None, (*notes, *told), window, _digest(pixels))


def _range_notes(stored: NDArray[Any], what: str, window: tuple[float, float] | None) -> list[str]:
    """Say how stored values become black and white; refuse those that have no known range."""
    lo, hi = float(stored.min()), float(stored.max())
    if not np.isfinite([lo, hi]).all():
        raise ImageError(f"{what} holds values that are not finite.")
    if window is not None:
        return [
            f"Shown with the window {window[0]:g} to {window[1]:g}; it holds {lo:g} to {hi:g}{_flat(lo, hi, window)}."
        ]
    if stored.dtype == np.uint8:
        return []
    limit = 1 if stored.dtype.kind == "f" else 65535
    if lo < 0 or hi > limit:
        raise ImageError(
            f"{what} holds values from {lo:g} to {hi:g}, outside 0 to {limit}; "
            f"say which are black and white: window=({lo:g}, {hi:g}) or --window {lo:g},{hi:g}."
        )
    if stored.dtype.kind == "f":
        return []
    said = f"16-bit values kept, 0 shown as black and 65535 as white; it holds {lo:g} to {hi:g}"
    if 0 < hi < 65535 / 4:  # 12 bits in 16 are the usual case
        top = 2 ** int(hi).bit_length() - 1
        return [f"{said}, so it is dark: --window 0,{top} may be meant."]
    return [said + "."]


def _flat(lo: float, hi: float, window: tuple[float, float]) -> str:
    """What to add where a window leaves nothing to see of values from `lo` to `hi`."""
    black, white = np.float32(window[0]), np.float32(window[1] - window[0])
    darkest, brightest = np.clip((np.array([lo, hi], np.float32) - black) / white, 0, 1)
    if darkest < brightest:
        return ""
    shade = {0.0: "black", 1.0: "white"}.get(float(darkest), "of one gray")
    return f", so all of it is {shade}" + (f": --window {lo:g},{hi:g} may be meant" if lo < hi else "")


def _settled(stored: NDArray[Any], what: str, window: tuple[float, float] | None) -> tuple[Pixels, list[str]]:
    """The stored values as pixels of one of our three types, and how they become black and white."""
    notes = _range_notes(stored, what, window)
    if stored.dtype == np.int32:  # only now is it known that a window makes sense of them
        deep = stored.min() < 0 or stored.max() > 65535
        stored = stored.astype(np.float32 if deep else np.uint16)
    return _frozen(stored), notes


def _frozen(values: NDArray[Any]) -> Pixels:
    pixels: Pixels = np.array(values, order="C")  # a copy of our own: nobody else's write may change it
    pixels.setflags(write=False)
    return pixels


def _digest(pixels: Pixels) -> str:
    digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype}".encode())
    digest.update(pixels.data)
    return digest.hexdigest()
