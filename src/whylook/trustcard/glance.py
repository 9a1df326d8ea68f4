"""What can be said of a map's worth without running anything: read off the maps of a report, for every map in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from whylook.explainer import prepare
from whylook.explanation import Explanation, Map
from whylook.metrics import Case, Score
from whylook.metrics.dummies import sobel
from whylook.metrics.grids import entire, resample
from whylook.metrics.metric import Floats
from whylook.report.words import facts, number, plain
from whylook.trustcard.measured import agreement, coarse
from whylook.trustcard.second import families, order
from whylook.trustcard.warn import empty, warnings

Worth = Literal["no objection", "doubtful", "shows nothing"]


@dataclass(frozen=True)
class Glance:
    """What is known of a map without a further pass through the network; no verdict.

    Parameters
    ----------
    worth : `shows nothing` for a map that is zero, not finite or the same everywhere; `doubtful` where there are
        warnings, or no other kind of method in the report marks the same places; else `no objection`.
    partner : the method of another family that it was compared with, or None where the report has none.
    agreement : rank correlation with the partner's map, block by block; its facts `low` and `high` are what the maps'
        smoothness alone gives.
    edges : the same with the picture's edges.
    missing : share of the score's difference that the map does not add up to, for methods that promise that it does.
    warnings : what to know before reading on.
    """

    worth: Worth
    partner: str | None
    agreement: Score
    edges: Score
    missing: float | None
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "worth": self.worth,
            "partner": self.partner,
            "agreement": _told(self.agreement),
            "edges": _told(self.edges),
            "missing": plain(self.missing),
            "warnings": list(self.warnings),
        }

    def cells(self) -> tuple[str, str, str, str, str]:
        """Worth, agreement, edges, what is missing and the warnings, as people read them."""
        partner = "–" if self.partner is None else f"{facts(self.partner).title}: {_words(self.agreement)}"
        missing = "–" if self.missing is None else f"{number(100 * self.missing)} %"
        return self.worth, partner, _words(self.edges), missing, " ".join(self.warnings)


def glances(explanation: Explanation) -> tuple[Glance, ...]:
    """What can be read off the maps of an explanation, in their order."""
    strengths: dict[str, Floats] = {}
    for name, model in explanation.models.items():
        if any(m.model == name for m in explanation.maps):
            strengths[name] = sobel(prepare(model, explanation.image)[0].detach().float().cpu().numpy())
    nothing = [empty(m) for m in explanation.maps]
    marked = [
        None if why else coarse(entire(np.asarray(m.values, np.float64), m.geometry), m.geometry.input)
        for m, why in zip(explanation.maps, nothing, strict=True)
    ]
    return tuple(
        _glance(explanation, i, marked, strengths.get(m.model), nothing[i]) for i, m in enumerate(explanation.maps)
    )


def _glance(
    explanation: Explanation, i: int, marked: Sequence[Floats | None], strength: Floats | None, nothing: str | None
) -> Glance:
    shown, own = explanation.maps[i], marked[i]
    said: tuple[str, ...] = ()
    if (prediction := explanation.predictions.get(shown.model)) is not None:
        answer = next(r for r in prediction.top(len(prediction.labels)) if r.index == shown.target.index)
        said = tuple(warnings(shown, explanation, answer, prediction.top(1)[0], None))
    if own is None:
        none = Score(None, nothing)
        return Glance("shows nothing", None, none, none, None, said or (nothing or "",))
    case = Case(own)
    partner = _partner(explanation.maps, i, marked)
    other = None if partner is None else marked[partner]
    agrees = Score(None, "the report has no map of another kind of method") if other is None else agreement(case, other)
    edges = Score(None, "the model is not at hand")
    if strength is not None:
        edges = agreement(case, resample(strength, (own.shape[0], own.shape[1])))
    apart = agrees.value is not None and agrees.value <= agrees.facts["high"]
    return Glance(
        worth="doubtful" if said or apart else "no objection",
        partner=None if partner is None else explanation.maps[partner].method,
        agreement=agrees,
        edges=edges,
        missing=shown.facts.get("relative_residual"),
        warnings=said,
    )


def _partner(maps: Sequence[Map], i: int, marked: Sequence[Floats | None]) -> int | None:
    """The map of the same answer that this one is compared with, by the order that cards keep."""
    own = maps[i]
    others = [
        k
        for k, m in enumerate(maps)
        if (m.model, m.target) == (own.model, own.target)
        and marked[k] is not None
        and not set(families(m.method)) & set(families(own.method))
    ]
    return min(others, key=lambda k: (order(maps[k].method), k), default=None)


def _words(score: Score) -> str:
    if score.value is None:
        return "–"
    low, high = (number(round(score.facts[k], 2)) for k in ("low", "high"))
    return f"{number(round(score.value, 2))} (by smoothness alone {low} to {high})"


def _told(score: Score) -> dict[str, Any]:
    band = [score.facts["low"], score.facts["high"]] if score.value is not None else None
    return {"value": plain(score.value), "by_smoothness_alone": plain(band), "reason": score.reason}
