"""Views of a picture: small changes that leave what it shows as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whylook.image import Image

_KEPT = 0.9  # of each side, in the crops
NAMES = ("as it is", "flipped", "top left", "top right", "bottom left", "bottom right")


def views(image: Image) -> list[Image]:
    """The picture as it is, its mirror image, and its four corners of 90 % of each side; in the order of `NAMES`."""
    pixels: NDArray[Any] = image.pixels
    height, width = image.height, image.width
    tall, wide = max(1, round(_KEPT * height)), max(1, round(_KEPT * width))
    corners = [(top, left) for top in (0, height - tall) for left in (0, width - wide)]
    changed = [pixels[:, ::-1], *(pixels[top : top + tall, left : left + wide] for top, left in corners)]
    return [image, *(replace(image, pixels=np.ascontiguousarray(part)) for part in changed)]
