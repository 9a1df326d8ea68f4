"""What a trust card is made of: figures with their chance levels, questions with their verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from whylook.explanation import Explanation, Map, Ranked
from whylook.metrics.metric import Better

Verdict = Literal["supported", "not better than chance", "not assessable"]
SUPPORTED: Verdict = "supported"
CHANCE: Verdict = "not better than chance"
NOT_ASSESSABLE: Verdict = "not assessable"


@dataclass(frozen=True)
class Figure:
    """One number about a map.

    Parameters
    ----------
    name : of the metric.
    title : as people read it.
    value : the number, or None.
    reason : why it is missing, or None.
    text : the number as people read it.
    chance : what knows nothing reaches, or None.
    band : low and high of what knows nothing reaches, or None.
    band_is : what the band is, in words.
    interval : 95 % interval, where there is one.
    better : `higher`, `lower`, or None.
    axis : low and high end for drawing.
    meaning : what the number says, in a sentence.
    curves : numbers to be drawn, by name.
    """

    name: str
    title: str
    value: float | None
    text: str
    meaning: str
    better: Better | None
    axis: tuple[float, float]
    reason: str | None = None
    chance: float | None = None
    band: tuple[float, float] | None = None
    band_is: str = ""
    interval: tuple[float, float] | None = None
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """A question to a map, and the answer.

    Parameters
    ----------
    name : `dependence`, `learned`, `stability`, `agreement` or `place`.
    asks : the question.
    verdict : `supported`, `not better than chance` or `not assessable`.
    because : why, in a sentence.
    figures : what was measured.
    decides : whether the card's verdict rests on it.
    statistic, threshold : what was compared with what, or None.
    """

    name: str
    asks: str
    verdict: Verdict
    because: str
    figures: tuple[Figure, ...]
    decides: bool
    statistic: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class TrustCard:
    """Whether one map can be believed: as an account of where the network looks, not of whether the network is right.

    Parameters
    ----------
    explanation : the picture, the model and the one map.
    map : the map.
    answer : what the model says of the target; the probability is not calibrated.
    top : the model's own first answer.
    verdict : `supported`, `not better than chance` or `not assessable`.
    because : why, in a sentence.
    questions : those that decide come first.
    warnings : what to know before reading on.
    lost : share of the mask that the crop cut away, or None without a mask.
    second : name of the method of another family that was compared with, or None.
    passes : forward and backward passes spent on the card, the map itself included.
    budget : forward passes it was made for, or None: thorough.
    seconds : wall time.
    seed : of all that is random.
    """

    explanation: Explanation
    map: Map
    answer: Ranked
    top: Ranked
    verdict: Verdict
    because: str
    questions: tuple[Question, ...]
    warnings: tuple[str, ...]
    lost: float | None
    second: str | None
    passes: Mapping[str, int]
    budget: int | None
    seconds: float
    seed: int

    def question(self, name: str) -> Question:
        """The question called `name`; one that was not asked raises `KeyError`."""
        return {q.name: q for q in self.questions}[name]

    def figure(self, name: str) -> Figure:
        """The figure called `name`; one that is not there raises `KeyError`."""
        return {f.name: f for q in self.questions for f in q.figures}[name]

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON: the content of `trust.json`."""
        from whylook.trustcard.record import record

        return record(self)

    def summary(self) -> dict[str, Any]:
        """What it says of its map, ready for JSON, without the picture, the model and the map."""
        from whylook.trustcard.record import summary

        return summary(self)

    def html(self) -> str:
        """The card as one self-contained HTML document."""
        from whylook.trustcard.page import page

        return page(self)

    def save(self, folder: str | Path) -> Path:
        """Write `trust.html` and, last and atomically, `trust.json`; return the folder."""
        from whylook.trustcard.record import save

        return save(self, Path(folder))
