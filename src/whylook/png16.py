"""All 16 bits of a color PNG: Pillow reads its upper 8, and other decoders crash on damaged files."""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def read(stream: BinaryIO) -> NDArray[np.uint16] | None:
    """Decode a 16-bit PNG that is not interlaced; its checksums are Pillow's business.

    Returns
    -------
    uint16 array [h, w, 1 to 4], gray or RGB with alpha last where there is one; None if it is not such a file.
    """
    stream.seek(8)
    parts: list[bytes] = []
    width = height = channels = 0
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        data = stream.read(length)
        stream.read(4)
        if kind == b"IHDR" and len(data) == 13:
            width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", data)
            if depth != 16 or interlaced or color not in _CHANNELS:
                return None
            channels = _CHANNELS[color]
        elif kind == b"IDAT":
            parts.append(data)
        elif kind == b"IEND":
            break
    row = 1 + width * channels * 2
    try:
        raw = zlib.decompressobj().decompress(b"".join(parts), height * row + 1)
    except zlib.error:
        return None
    if not channels or len(raw) < height * row:
        return None
    lines = np.frombuffer(raw, np.uint8, height * row).reshape(height, row)
    if lines[:, 0].max() > 4:
        return None
    values = _unfiltered(lines[:, 0], lines[:, 1:].reshape(height, width, channels * 2))
    return values.view(">u2").astype(np.uint16)


def _unfiltered(filters: NDArray[np.uint8], lines: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo the filters of PNG (its specification, section 9), one anti-diagonal at a time: a pixel needs only those
    to its left, above, and above left, so the pixels of one anti-diagonal do not need each other.
    """
    height, width, size = lines.shape
    out = np.zeros((height + 1, width + 1, size), np.int16)  # with the zeros that lie outside
    kind = filters[:, None]
    for diagonal in range(height + width - 1):
        y = np.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
        x = diagonal - y
        left, up, corner = out[y + 1, x], out[y, x + 1], out[y, x]
        k = kind[y]
        guess = np.select([k == 1, k == 2, k == 3, k == 4], [left, up, (left + up) >> 1, _paeth(left, up, corner)], 0)
        out[y + 1, x + 1] = (lines[y, x] + guess) & 255
    return out[1:, 1:].astype(np.uint8)


def _paeth(left: NDArray[Any], up: NDArray[Any], corner: NDArray[Any]) -> NDArray[Any]:
    """Whichever of the three is nearest to left + up − corner; on ties in this order."""
    a, b, c = np.abs(up - corner), np.abs(left - corner), np.abs(left + up - 2 * corner)
    return np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
