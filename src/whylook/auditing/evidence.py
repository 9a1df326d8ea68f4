"""What speaks for a convention: numbers of each picture's answers that do not change with the input's scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evidence:
    """How the answers under one convention look.

    Parameters
    ----------
    clear : [pictures], how far the class that the other views name stands out in a view, in standard deviations over
        the classes, once the mean answer to all pictures is taken off; the mean over views. Higher speaks for the
        convention; at most √(classes − 1).
    agreement : [pictures], share of the views whose first class is that of the picture as it is.
    logits : float32 [pictures, classes], of the pictures as they are.
    """

    clear: Floats
    agreement: Floats
    logits: NDArray[np.float32]

    @property
    def top(self) -> NDArray[np.intp]:
        """First class of each picture as it is."""
        first: NDArray[np.intp] = self.logits.argmax(1)
        return first


def evidence(logits: NDArray[np.float32]) -> Evidence:
    """Evidence of one convention.

    Margins and entropies grow with the input's scale; what is counted in standard deviations of the logits does not.
    The mean answer is taken off because a network that is fed nonsense names one class for everything, surely and
    steadily. And the class is taken from the other views, so that a class that stands out by luck counts against.

    Parameters
    ----------
    logits : [pictures, views, classes]; the first view is the picture as it is.
    """
    values = logits.astype(np.float64)
    first = values.argmax(2)
    agreement = (first[:, 1:] == first[:, :1]).mean(1)
    scaled = standardized(values - values.mean((0, 1)))
    others = (scaled.sum(1, keepdims=True) - scaled).argmax(2)
    clear = np.take_along_axis(scaled, others[:, :, None], 2)[:, :, 0].mean(1)
    return Evidence(clear, agreement, logits[:, 0])


def standardized(values: Floats) -> Floats:
    """Less the mean and over the standard deviation along the last axis; 0 where all are the same."""
    off = values - values.mean(-1, keepdims=True)
    spread = off.std(-1, keepdims=True)
    flat = spread <= 1e-9 * np.abs(values).max(initial=0.0)  # what differs by rounding only
    return np.where(flat, 0.0, off / np.where(flat, 1.0, spread))
