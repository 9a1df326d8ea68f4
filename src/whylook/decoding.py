"""From an opened file to arrays: turning, transparency, color spaces, and what damage looks like."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from whylook import png16
from whylook.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image as Pil

# What the EXIF orientations ask for, on arrays [h, w, c].
_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}


def decode(
    picture: Pil.Image, what: str, max_pixels: int, stream: BinaryIO | None = None
) -> tuple[NDArray[Any], list[str]]:
    """Stored values of an opened PIL image, and what was done to get them.

    Parameters
    ----------
    picture : as opened, or in memory.
    what : its name, for messages.
    max_pixels : the limit; it is checked before anything is decoded.
    stream : the file it came from, if it did.

    Returns
    -------
    array [h, w, 1 or 3] of uint8, uint16, int32 or float32, and sentences.

    Raises
    ------
    ImageError
        If it is too large, cut off or damaged.
    """
    if picture.width * picture.height > max_pixels:
        raise ImageError(
            f"{what} has {picture.width}×{picture.height} pixels, more than the limit of {max_pixels:,}; "
            "scale it down, or raise the limit (max_pixels)."
        )
    notes: list[str] = []
    with _damage(what):
        stored_format = picture.format
        deep = _sixteen_bit_color(picture)  # before anything loads it
        turned = _orientation(picture)
        frames = 1 if stored_format == "MPO" else getattr(picture, "n_frames", 1)  # a phone's MPO holds one picture
        picture.load()
    left = _orientation(picture)  # a TIFF has been turned by now; a PNG tells only now
    if turned in _TURNS or left in _TURNS:
        notes.append(f"Turned upright as the file asks (EXIF orientation {left if left in _TURNS else turned}).")
    if frames > 1:
        notes.append(f"The first of {frames} {'pages' if stored_format == 'TIFF' else 'frames'} was read.")
    stored = png16.read(stream) if deep and stream is not None and stored_format == "PNG" else None
    if stored is None:
        with _damage(what):
            stored, said = _channels(picture)
        said += ["Stored as 16-bit color, of which the upper 8 bits were read."] if deep else []
    else:
        stored, said = flatten(stored[:, :, :-1], stored[:, :, -1:]) if stored.shape[2] in (2, 4) else (stored, [])
    return _TURNS[left](stored) if left in _TURNS else stored, notes + said


@contextmanager
def _damage(what: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"{what} is cut off or damaged: {clause(error)}.") from error


def clause(error: Exception) -> str:
    """The first line of what an error says, to go on a sentence with."""
    return (str(error) or type(error).__name__).partition("\n")[0].rstrip(". ")


def _orientation(picture: Pil.Image) -> int:
    try:
        return int(picture.getexif().get(0x0112, 1))
    except Exception:  # noqa: BLE001 - damaged EXIF data are no reason to refuse the pixels
        return 1


def _sixteen_bit_color(picture: Pil.Image) -> bool:
    """Whether Pillow will cut 16-bit channels to 8: it names the stored layout in the tile's arguments."""
    args = [tile[3] for tile in getattr(picture, "tile", [])]
    return picture.mode in ("RGB", "RGBA", "LA", "RGBX") and any(";16" in str(a) for a in args)


def _channels(picture: Pil.Image) -> tuple[NDArray[Any], list[str]]:
    """Stored values [h, w, 1 or 3] in gray or RGB, and what was converted."""
    mode = picture.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        notes = ["Its transparent value is shown as stored."] if "transparency" in picture.info else []
        values = np.asarray(picture)
        return values.astype(values.dtype.newbyteorder("="))[:, :, None], notes
    if mode in ("L", "RGB") and "transparency" not in picture.info:
        values = np.asarray(picture)
        return values.reshape(*values.shape[:2], -1), []
    if mode == "1":
        return np.asarray(picture.convert("L"))[:, :, None], ["Stored with one bit per pixel."]
    notes = []
    if mode in ("P", "PA"):
        notes.append("Its palette was turned into RGB.")
    elif mode == "CMYK":
        notes.append("CMYK was turned into RGB by the plain formula, without a color profile.")
    elif mode not in ("L", "LA", "La", "RGB", "RGBA", "RGBa"):
        notes.append(f"{mode} was turned into RGB.")
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        values = np.asarray(picture.convert("LA" if mode in ("L", "LA", "La") else "RGBA"))
        flat, said = flatten(values[:, :, :-1], values[:, :, -1:])
        return flat, notes + said
    return np.asarray(picture.convert("RGB")), notes


def flatten(color: NDArray[Any], alpha: NDArray[Any]) -> tuple[NDArray[Any], list[str]]:
    """Lay color [h, w, c] with alpha [h, w, 1] of the same type on white."""
    white = 1.0 if color.dtype.kind == "f" else float(np.iinfo(color.dtype).max)
    if (alpha == white).all():
        return color, []
    share = alpha.astype(np.float64) / white
    flat = color * share + white * (1 - share)
    flat = flat if color.dtype.kind == "f" else np.rint(flat)
    return flat.astype(color.dtype), ["Transparent parts were laid on white."]


# First bytes of what people take for pictures, and what to do about it.
_KNOWN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "is a PDF; export the page as PNG."),
    (0, b"\x93NUMPY", "is a NumPy file; pass `numpy.load(…)` to load_image, or save it as PNG."),
    (0, b"\x1f\x8b", "is gzip-compressed (NIfTI volumes are, too); export one slice as a 16-bit PNG."),
    (0, b"PK\x03\x04", "is a ZIP archive; unpack it."),
    (0, b"8BPS", "is a Photoshop file; export it as PNG."),
    (0, b"\x00\x00\x00\x0cjP  ", "is JPEG 2000, which is not read; export it as PNG."),
    (0, b"\x00\x00\x00\x0cJXL ", "is JPEG XL, which is not read; export it as PNG."),
    (4, b"ftyp", "is HEIC, AVIF or a video, which are not read; export it as JPEG or PNG."),
    (344, b"n+1\x00", "is a NIfTI volume; export one slice as a 16-bit PNG."),
    (0, b"version https://git-lfs", "is a Git LFS pointer; fetch the file itself with `git lfs pull`."),
)
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"II*\x00", b"MM\x00*", b"BM", b"GIF8")


def diagnosis(head: bytes, name: str) -> str:
    """Rest of the sentence that says what a file is, when it is not one of the formats read."""
    if head[128:132] == b"DICM" or name.lower().endswith((".dcm", ".dicom")):
        return (
            "is a DICOM file, which whylook cannot read yet; export it as a 16-bit PNG, "
            "for example with `dcmj2pnm --write-16-bit-png FILE.dcm FILE.png`."
        )
    if b"<svg" in head.lower():
        return "is an SVG drawing, which has no pixels; export it as PNG."
    for at, magic, advice in _KNOWN:
        if head[at : at + len(magic)] == magic:
            return advice
    if head.startswith(_PICTURES):
        return "begins like a picture, but is cut off or damaged."
    formats = "JPEG, PNG, WebP, TIFF, BMP or GIF"
    try:
        head[: len(head) - 3].decode("utf-8") if len(head) == 1024 else head.decode("utf-8")
    except UnicodeDecodeError:
        return f"is not a picture in a format that is read ({formats})."
    return f"is text, not a picture; give a {formats} file."
