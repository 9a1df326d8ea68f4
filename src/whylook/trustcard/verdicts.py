"""From what was measured to the three verdicts, by thresholds that were frozen on pictures with known truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import NormalDist
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
    """The threshold of each question's statistic; `dependence:16` is that for maps of at most 16 cells."""
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
    """Mean of three standard scores: deletion and insertion among random orders, knock-out among other places."""
    curves, out = [scores[name] for name in ("deletion-gap", "insertion-gap")], scores["knock-out"]
    lost = next((s.reason for s in (*curves, out) if s.value is None), None)
    if lost is not None:
        return Statistic(None, lost)
    if any("z" not in s.facts for s in curves):
        return Statistic(None, "the score does not depend on which blocks are filled in")
    assert out.value is not None
    assert out.n is not None
    return Statistic((sum(s.facts["z"] for s in curves) + standard(out.value, out.n)) / 3)


def standard(percentile: float, n: int) -> float:
    """Standard score of a percentile among n: half a place is kept from both ends, which are infinitely far away."""
    least = 0.5 / (n + 1)
    return NormalDist().inv_cdf(min(max(percentile, least), 1 - least))


def plain(name: str, scores: Scores) -> Statistic:
    """The figure itself."""
    return Statistic(scores[name].value, scores[name].reason)


def place(scores: Scores) -> Statistic:
    """How many standard deviations more the map has on the region than on its shape at other places."""
    score = scores["enrichment"]
    return Statistic(score.facts.get("z"), score.reason)


STATISTICS: Mapping[str, Callable[[Scores], Statistic]] = {
    "dependence": dependence,
    "reliance": partial(plain, "reliance"),
    "learned": partial(plain, "full-randomization"),
    "stability": partial(plain, "flip-consistency"),
    "agreement": partial(plain, "rank-correlation"),
    "place": place,
}
# Cells of maps whose dependence has a threshold of its own: few blocks leave little room for extremes.
COARSE = (16, 64)
LOW = ("learned",)  # supported from the threshold down, the others from it up
DECIDE = ("dependence", "reliance", "learned")


def limit(name: str, limits: Mapping[str, float], cells: int) -> float:
    """The threshold of a question for a map of so many cells."""
    own = (f"{name}:{most}" for most in COARSE if cells <= most)
    return limits[next((key for key in own if key in limits), name)]


def judged(name: str, statistic: Statistic, limits: Mapping[str, float], cells: int) -> tuple[Verdict, str]:
    """The verdict on a question to a map of so many cells, and the reason where there is none."""
    if statistic.value is None:
        return NOT_ASSESSABLE, statistic.reason or "it was not measured"
    edge = limit(name, limits, cells)
    passed = statistic.value <= edge if name in LOW else statistic.value >= edge
    return (SUPPORTED if passed else CHANCE), ""


def overall(questions: Sequence[Question]) -> Verdict:
    """The card's verdict: supported only if every question that decides is."""
    found = [q.verdict for q in questions if q.decides]
    if CHANCE in found:
        return CHANCE
    return NOT_ASSESSABLE if NOT_ASSESSABLE in found or not found else SUPPORTED
