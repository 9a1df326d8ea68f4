"""What a map looks like, in numbers; none of them is better high or low."""

from __future__ import annotations

import numpy as np

from whylook.metrics.metric import Floats, NotAssessable, Score, metric

_LIMITS = "Describes the map only: a sparse map is easy to read, not more likely to be right. Depends on the grid."


@metric(
    "sparseness",
    title="Sparseness",
    better=None,
    range=(0, 1),
    chance="0 for a uniform map, 1/3 for uniform noise",
    paper="arXiv:1810.06583",
    formula="Gini index of |v|",
    cost="none: no passes",
    limits=_LIMITS,
)
def sparseness(values: Floats) -> Score:
    """How few cells hold the map's mass.

    Returns
    -------
    Score in [0, 1): 0 where all cells are alike, 1 − 1 / n where one holds all.
    """
    mass = np.sort(_mass(values).ravel())
    n = mass.size
    return Score(max(0.0, float(((2 * np.arange(1, n + 1) - n - 1) * mass).sum() / n)))


@metric(
    "entropy",
    title="Entropy",
    better=None,
    range=(0, 1),
    chance="1 for a uniform map",
    paper="none",
    formula="−Σ p log p / log n, p = |v| / Σ |v|",
    cost="none: no passes",
    limits=_LIMITS,
)
def entropy(values: Floats) -> Score:
    """How evenly the map's mass is spread.

    Returns
    -------
    Score in [0, 1]: 0 where one cell holds all, 1 where all are alike.
    """
    if values.size == 1:
        raise NotAssessable("the map has a single cell")
    p = _mass(values)
    p = p[p > 0]
    return Score(min(1.0, max(0.0, float(-(p * np.log(p)).sum() / np.log(values.size)))))


def _mass(values: Floats) -> Floats:
    size = abs(values)
    if not size.any():
        raise NotAssessable("the map is zero everywhere")
    scaled: Floats = size / size.max()
    return np.asarray(scaled / scaled.sum())
