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
        convention; at most √(classes − 1), and 0 where an answer to the picture is not finite.
    agreement : [pictures], share of the views whose first class is that of the picture as it is; 0 where one is not finite.
    logits : float32 [pictures, classes], of the pictures as they are.
    """

    clear: Floats
    agreement: Floats
    logits: NDArray[np.float32]

    @property
    def top(self) -> NDArray[np.intp]:
        """First class of each picture as it is; −1, which is no class, where the answer is not finite."""
        return np.where(np.isfinite(self.logits).all(1), self.logits.argmax(1), -1)


def evidence(logits: NDArray[np.float32]) -> Evidence:
    """Evidence of one convention.

    Margins and entropies grow with the input's scale; what is counted in standard deviations of the logits does not.
    The mean answer is taken off because a network that is fed nonsense names one class for everything, surely and
    steadily. And the class is taken from the other views, so that a class that stands out by luck counts against.

    Parameters
    ----------
    logits : [pictures, views, classes]; the first view is the picture as it is.
    """
    finite = np.isfinite(logits).all((1, 2))
    clear, agreement = np.zeros(len(logits)), np.zeros(len(logits))
    if finite.any():
        clear[finite], agreement[finite] = _clear_and_agreed(logits[finite].astype(np.float64))
    return Evidence(clear, agreement, logits[:, 0])


def _clear_and_agreed(values: Floats) -> tuple[Floats, Floats]:
    first = values.argmax(2)
    agreement = (first[:, 1:] == first[:, :1]).mean(1)
    # A mean of equal numbers may differ from them in the last digit, and that is no evidence.
    centered = values - values.mean((0, 1))
    centered[np.abs(centered) <= 1e-9 * np.abs(values).max(initial=0.0)] = 0
    scaled = standardized(centered)
    others = (scaled.sum(1, keepdims=True) - scaled).argmax(2)
    return np.take_along_axis(scaled, others[:, :, None], 2)[:, :, 0].mean(1), agreement


def standardized(values: Floats) -> Floats:
    """Less the mean and over the standard deviation along the last axis; 0 where all are the same."""
    off = values - values.mean(-1, keepdims=True)
    spread = off.std(-1, keepdims=True)
    flat = spread <= 1e-9 * np.abs(values).max(initial=0.0)  # what differs by rounding only
    return np.where(flat, 0.0, off / np.where(flat, 1.0, spread))
