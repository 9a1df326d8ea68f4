"""Taking in pictures: checked by decoding them once, kept under a random name, shown under what their owner calls them."""

from __future__ import annotations

import os
import threading
import time
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from whylook.errors import ImageError, WhylookError
from whylook.web.errors import TooLarge
from whylook.web.jobs.job import new_id
from whylook.web.jobs.store import Picture

if TYPE_CHECKING:
    from pathlib import Path

    from whylook.web.house import House

_PIECE = 1 << 20
_LONGEST_NAME = 80
DECODING = threading.BoundedSemaphore(2)  # of pictures at once: each may take a gigabyte


def take(house: House, stream: BinaryIO, name: str | None) -> Picture:
    """Keep a picture that a client sends.

    Parameters
    ----------
    house : whose store it goes to.
    stream : its bytes.
    name : what the client calls it; shown as text, used for nothing else.

    Raises
    ------
    ImageError
        If it cannot be read; the message says why.
    TooLarge
        If it has more bytes than a request may have.
    """
    from whylook.image import load_image

    house.store.check_room()
    called = shown_name(name)
    ref = new_id()
    file = house.store.picture_file(ref)
    try:
        _copy(stream, file, house.settings.limits.bytes)
        with DECODING:
            try:
                image = load_image(file, max_pixels=house.settings.limits.pixels)
            except ImageError as error:
                raise ImageError(without_path(str(error), file, called)) from error
        now = time.time()
        kept = Picture(ref, called, image.width, image.height, image.notes, now, now + house.settings.keep)
        house.store.add_picture(kept)
    except BaseException:
        with suppress(OSError):
            file.unlink(missing_ok=True)
        raise
    return kept


def _copy(stream: BinaryIO, file: Path, most: int) -> None:
    count = 0
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            while piece := stream.read(_PIECE):
                count += len(piece)
                if count > most:
                    raise TooLarge(f"The picture has more than {most:,} bytes, the limit of this server.")
                out.write(piece)
    except OSError as error:
        raise WhylookError(f"The picture cannot be kept: {error.strerror or error}.") from error


def without_path(sentence: str, file: Path, called: str) -> str:
    """Return what is said of a file of the server, without its path."""
    return sentence.replace(str(file), called).replace("or raise the limit (max_pixels).", "and hand it in again.")


def shown_name(name: str | None) -> str:
    """Return a client's name of a file as one short line of printable text, without folders."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    plain = "".join(c for c in unicodedata.normalize("NFC", last) if c.isprintable() and not "\ud800" <= c <= "\udfff")
    plain = " ".join(plain.split())
    if len(plain) > _LONGEST_NAME:
        stem, dot, suffix = plain.rpartition(".")
        end = dot + suffix if dot and len(suffix) < 8 else ""
        plain = (stem if end else plain)[: _LONGEST_NAME - len(end) - 1] + "…" + end
    return plain or "picture"
