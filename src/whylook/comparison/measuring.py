"""One picture and one model: what it answers, and how its maps and the dummies beside them score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from whylook.comparison.data import Mask, Sample
from whylook.comparison.plan import METRIC_PARAMETERS, Plan
from whylook.errors import Unsupported
from whylook.evaluate import Evaluation, evaluate
from whylook.explainer import answer, explain
from whylook.explanation import Explanation

if TYPE_CHECKING:
    from whylook.metrics import Score
    from whylook.models.model import Model


def answered(model: Model, sample: Sample, target: int) -> dict[str, Any]:
    """What a model says of a picture.

    Returns
    -------
    `index`, `label` and `probability` of its top class, `right`, the `own` probability of the target, and how many
    `classes` there are; `right` is None where the target is none of them, or the answer is not finite.
    """
    said = answer(model, sample.image)
    top = said.top(1)[0]
    classes = len(said.logits)
    finite = bool(abs(said.logits).max() < float("inf"))
    known = finite and 0 <= target < classes
    return {
        "index": top.index,
        "label": top.label,
        "probability": top.probability if finite else None,
        "own": float(said.probabilities[target]) if known else None,
        "right": int(top.index == target) if known else None,
        "classes": classes,
    }


def scored(model: Model, sample: Sample, target: int, plan: Plan) -> dict[str, Any]:
    """The scores of a model's maps of one picture.

    Returns
    -------
    `maps` and `suspicious`: by method, by metric, (value or None, chance or None, why it is missing or None);
    `dummies` and `suspicious_dummies`: by method they stand beside, by dummy, by metric, values; `failures`: by method,
    why there is no map; `warnings` and `grids` of maps, by method; `lost`: share of the mask that the crop cut away, or None.
    """
    found: dict[str, Any] = {
        "maps": {}, "dummies": {}, "suspicious": {}, "suspicious_dummies": {}, "failures": {}, "warnings": {},
        "grids": {}, "lost": None,
    }  # fmt: skip
    try:
        explanation = mapped(model, sample, target, plan)
    except Unsupported as error:
        found["failures"] = dict.fromkeys(plan.methods, str(error))
        return found
    found["failures"] = {method: why for _, method, why in explanation.failures}
    found["grids"] = {m.method: list(m.grid) for m in explanation.maps}
    found["warnings"] = {m.method: m.warning for m in explanation.maps if m.warning}
    for one in _evaluated(explanation, plan.metrics, sample.mask, plan.seed):
        found["maps"][one.map.method] = _told(one.scores)
        found["dummies"][one.map.method] = _values(one.dummies)
        found["lost"] = one.lost
    if plan.suspicious and sample.suspicious is not None:
        for one in _evaluated(explanation, plan.suspicious, sample.suspicious, plan.seed):
            found["suspicious"][one.map.method] = _told(one.scores)
            found["suspicious_dummies"][one.map.method] = _values(one.dummies)
    return found


def mapped(model: Model, sample: Sample, target: int, plan: Plan) -> Explanation:
    """The maps of one picture's own class."""
    return explain(sample.image, model, plan.methods, target, parameters=plan.parameters, seed=plan.seed)


def _evaluated(explanation: Explanation, metrics: tuple[str, ...], mask: Mask | None, seed: int) -> list[Evaluation]:
    own = {name: METRIC_PARAMETERS[name] for name in metrics if name in METRIC_PARAMETERS}
    return evaluate(explanation, metrics, mask=mask, with_dummies=True, parameters=own, seed=seed)


def _told(scores: Mapping[str, Score]) -> dict[str, tuple[float | None, float | None, str | None]]:
    return {name: (s.value, _chance(name, s), s.reason) for name, s in scores.items()}


def _chance(name: str, score: Score) -> float | None:
    from whylook.metrics import METRICS

    if score.value is None or score.chance is not None:
        return score.chance
    told = METRICS[name].chance
    return told if isinstance(told, float) else None


def _values(dummies: Mapping[str, Mapping[str, Score]]) -> dict[str, dict[str, float | None]]:
    return {dummy: {name: s.value for name, s in scores.items()} for dummy, scores in dummies.items()}
