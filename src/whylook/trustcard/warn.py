"""What to know of a map before its figures are read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from whylook.explanation import Explanation, Map, Ranked
from whylook.report.words import percent

_TIED = 0.5  # share of the cells that have company at their value
_LOW, _SATURATED = 0.5, 0.999


def empty(shown: Map) -> str | None:
    """Why nothing can be measured of a map, or None."""
    if shown.reason is not None:
        return shown.reason
    values = np.asarray(shown.values)
    if not np.isfinite(values).all():
        return "The map is not finite."
    if np.ptp(values) == 0:
        return "The map is the same everywhere, so it points nowhere."
    if values.max() <= 0:
        return "Nothing in the map speaks for the target."
    return None


def warnings(shown: Map, explanation: Explanation, answer: Ranked, top: Ranked, lost: float | None) -> Iterator[str]:
    """Sentences, the most serious first."""
    if shown.reason is not None:
        yield shown.reason
    if shown.warning is not None:
        yield shown.warning
    if answer.index != top.index:
        yield (
            f"The model's first answer is {top.label} ({percent(top.probability)}), not {answer.label} "
            f"({percent(answer.probability)}): the map explains an answer that the model does not give."
        )
    elif answer.probability < _LOW:
        yield (
            f"The model gives {answer.label} a probability of {percent(answer.probability)} only: "
            "there may be little to explain."
        )
    head = explanation.models[shown.model].head
    if head != "softmax" and answer.probability > _SATURATED:
        yield (
            f"The sigmoid is saturated ({percent(answer.probability)}): the probability hardly moves whatever is "
            "removed. The figures are made of its log-odds, which do."
        )
    values = np.asarray(shown.values)
    if shown.reason is None and np.isfinite(values).all() and np.ptp(values) > 0:
        tied = 1 - float((np.unique(values, return_counts=True)[1] == 1).sum()) / values.size
        if tied > _TIED:
            yield (
                f"{100 * tied:.0f} % of the map's cells share their value with others, most of them "
                f"{'zero' if (values == 0).mean() > _TIED / 2 else 'equal'}: among them the order of deletion is random."
            )
    if lost is not None and lost > 0.005:
        yield f"The crop cut away {percent(lost)} of the mask: the model was not shown it."
