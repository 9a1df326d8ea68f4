"""What speaks for a convention: numbers of each picture's answers that do not change with the input's scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evidence:
    """How the answers under one convention look; one number per picture each, higher speaks for the convention.

    Parameters
    ----------
    margin : how far the first class is ahead of the second, in standard deviations of the picture's logits; the mean
        over views.
    agreement : share of the views whose first class is that of the mean over views.
    top : first class of the mean over views, int [pictures].
    """

    margin: Floats
    agreement: Floats
    top: NDArray[np.intp]


def evidence(logits: Floats) -> Evidence:
    """Evidence from logits [pictures, views, classes] under one convention."""
    spread = logits.std(2, keepdims=True)
    scaled = (logits - logits.mean(2, keepdims=True)) / np.where(spread > 0, spread, 1)
    first_two = np.partition(scaled, -2, axis=2)[:, :, -2:]
    margin = (first_two[:, :, 1] - first_two[:, :, 0]).mean(1)
    top = scaled.mean(1).argmax(1)
    agreement = (scaled.argmax(2) == top[:, None]).mean(1)
    return Evidence(margin, agreement, top)
