"""The pictures that go to a language service: made anew from pixels, so that nothing else of a file goes along."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from whylook.explanation import Map
    from whylook.image import Image

Which = Literal["none", "overlay", "all"]
SIDE = 768  # pixels of the longer side: what services scale pictures to before a model sees them
MOST = 12  # overlays of one request


@dataclass(frozen=True)
class Part:
    """One picture as it is sent.

    Parameters
    ----------
    caption : what it shows.
    data : the encoded picture.
    size : (width, height).
    kind : media type.
    """

    caption: str
    data: bytes = field(repr=False)
    size: tuple[int, int] = (0, 0)
    kind: str = "image/jpeg"


def pictures(image: Image, maps: Sequence[Map], which: Which = "overlay") -> tuple[Part, ...]:
    """Return what is sent of a picture and its maps.

    Parameters
    ----------
    image, maps : of one explanation.
    which : `none`; `overlay`: one per map, with its color bar, at most 12 (zero maps have none); `all`: also the
        picture itself, first.
    """
    from whylook.draw import shrunk

    if which == "none":
        return ()
    pixels = shrunk(image, SIDE)
    parts = [_part("the picture itself", pixels)] if which == "all" else []
    shown = [m for m in maps if m.reason is None][:MOST]
    return (*parts, *(_part(_caption(m), _with_bar(m, pixels)) for m in shown))


def left_out(maps: Sequence[Map], which: Which) -> int:
    """Return how many maps get no overlay because there are too many."""
    return 0 if which == "none" else max(0, sum(m.reason is None for m in maps) - MOST)


def _caption(m: Map) -> str:
    colors = "red is positive, blue negative" if m.signed else "bright is high, unpainted is 0"
    return f"{m.method} map of {m.model} for {m.target}, laid over the picture in gray; {colors}; color bar below"


def _with_bar(m: Map, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The overlay and under it the map's color bar with the values at its ends, uint8 [h + bar, w, 3]."""
    from PIL import Image as Pil
    from PIL import ImageDraw, ImageFont

    from whylook.draw import overlay
    from whylook.report import colors

    span = colors.limits(m.values, m.signed)
    painted = overlay(m, pixels, span=span)
    width = painted.shape[1]
    size = max(10, min(18, width // 16))
    strip = Pil.new("RGB", (width, 3 * size), "white")
    table = colors.table(colors.map_table(m.signed))[:, :3]
    ramp = table[np.linspace(0, len(table) - 1, width).round().astype(int)]
    strip.paste(Pil.fromarray(np.repeat(ramp[None], size, axis=0).astype(np.uint8)), (0, size // 3))
    draw, font, below = ImageDraw.Draw(strip), ImageFont.load_default(size), 1.5 * size
    draw.text((2, below), f"{span.low:.3g}", fill="black", font=font)
    draw.text((width - 2, below), f"{span.high:.3g}", fill="black", font=font, anchor="ra")
    return np.concatenate([painted, np.asarray(strip)])


def _part(caption: str, pixels: NDArray[np.uint8]) -> Part:
    from PIL import Image as Pil

    stream = io.BytesIO()
    Pil.fromarray(pixels).save(stream, "JPEG", quality=90)
    return Part(caption, stream.getvalue(), (pixels.shape[1], pixels.shape[0]))
