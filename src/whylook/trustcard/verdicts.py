"""From what was measured to the three verdicts, by thresholds that were frozen on pictures with known truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from whylook.metrics import Score
from whylook.trustcard.card import CHANCE, NOT_ASSESSABLE, SUPPORTED, Question, Verdict

FILE = Path(__file__).with_name("thresholds.json")
Scores = Mapping[str, Score]


@cache
def frozen() -> dict[str, Any]:
    """What `python -m whylook.phantom.calibrate` found: thresholds, and their error rates on the phantom."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def thresholds() -> dict[str, float]:
    """The threshold of each question's statistic."""
    return {name: float(value) for name, value in frozen()["thresholds"].items()}


@dataclass(frozen=True)
class Statistic:
    """The one number of a question that a threshold is laid on.

    Parameters
    ----------
    value : the number, or None.
    reason : why it is missing, or None.
    """

    value: float | None
    reason: str | None = None


def dependence(scores: Scores) -> Statistic:
    """How far deletion and insertion are beyond random orders, in their standard deviations: the mean of the two."""
    found = [scores[name] for name in ("deletion-gap", "insertion-gap")]
    lost = next((s.reason for s in found if s.value is None), None)
    if lost is not None:
        return Statistic(None, lost)
    if any("z" not in s.facts for s in found):
        return Statistic(None, "the score does not depend on which blocks are filled in")
    return Statistic(sum(s.facts["z"] for s in found) / len(found))


def learned(scores: Scores) -> Statistic:
    """Similarity to the maps of networks with random weights."""
    return Statistic(scores["full-randomization"].value, scores["full-randomization"].reason)


def by_place(name: str, scores: Scores) -> Statistic:
    """How many of the other places agree as much: the p that the metric gives."""
    score = scores[name]
    return Statistic(score.facts.get("p"), score.reason)


HIGH = ("dependence",)  # supported from the threshold up; the others from it down
STATISTICS: Mapping[str, Callable[[Scores], Statistic]] = {
    "dependence": dependence,
    "learned": learned,
    "stability": partial(by_place, "flip-consistency"),
    "agreement": partial(by_place, "rank-correlation"),
    "place": partial(by_place, "enrichment"),
}
DECIDE = ("dependence", "learned")


def judged(name: str, statistic: Statistic, limits: Mapping[str, float], cells: int) -> tuple[Verdict, str]:
    """The verdict on a question, and the reason where there is none.

    Parameters
    ----------
    cells : of the map; with too few, no p could pass.
    """
    if statistic.value is None:
        return NOT_ASSESSABLE, statistic.reason or "it was not measured"
    limit = limits[name]
    if name in HIGH:
        return (SUPPORTED if statistic.value >= limit else CHANCE), ""
    if name not in DECIDE and 1 / cells > limit:
        return NOT_ASSESSABLE, f"the map has {cells} cells, too few for its place to be no chance"
    return (SUPPORTED if statistic.value <= limit else CHANCE), ""


def overall(questions: Sequence[Question]) -> Verdict:
    """The card's verdict: supported only if every question that decides is."""
    found = [q.verdict for q in questions if q.decides]
    if CHANCE in found:
        return CHANCE
    return NOT_ASSESSABLE if NOT_ASSESSABLE in found or not found else SUPPORTED
