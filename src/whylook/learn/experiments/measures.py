"""Numbers and phrases that several experiments use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whylook.errors import UsageError
from whylook.report.words import number, percent

if TYPE_CHECKING:
    from torch import Tensor, nn

    from whylook.explanation import Explanation, Map
    from whylook.image import Image
    from whylook.models.model import Model
    from whylook.statistics import Estimate

__all__ = [
    "foreign",
    "half_mass",
    "interval",
    "logits",
    "number",
    "percent",
    "roughness",
    "saying",
    "share",
    "signed",
    "similarity",
]

_FILM = (128, 128, 1)


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign: `+1.20`, `−0.30`."""
    return f"{value:+.{digits}f}".replace("-", "−")


def share(value: float) -> str:
    """A share as a percentage: `31 %`, `3.2 %`; what is small is not rounded to nothing."""
    if 0 < value < 0.001:
        return "less than 0.1 %"
    return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.1f} %"


def logits(network: nn.Module, x: Tensor) -> Tensor:
    """Logits [n, classes] of inputs [n, …]; a head of one logit has two classes, 0 with its negative."""
    from whylook.engine.targets import class_logits

    return class_logits(network(x), x.shape[0])[0]


def saying(explanation: Explanation, model: str) -> str:
    """What a model answers, in a sentence."""
    first = explanation.predictions[model].top(1)[0]
    return f"{model} says {first.label}, with a probability of {percent(first.probability)} (not calibrated)."


def foreign(model: Model, image: Image) -> tuple[str, ...]:
    """What must be said where an embedded network is shown what it was not trained on: a sentence, or nothing."""
    if not model.name.startswith("phantom:") or image.pixels.shape == _FILM:
        return ()
    return (
        f"{model.name} knows four shapes in drawn films and nothing else: what it says of this picture means nothing. "
        "How the map comes about is the same.",
    )


def similarity(one: Map | NDArray[Any], other: Map | NDArray[Any]) -> float:
    """Spearman's rank correlation of two maps, over the cells of the coarser grid; 0 where one of them is constant."""
    from whylook.metrics.grids import spearman
    from whylook.metrics.metric import NotAssessable

    first, second = (np.asarray(getattr(m, "values", m), np.float64) for m in (one, other))
    try:
        return float(spearman(first, second))
    except NotAssessable:
        return 0.0


def half_mass(values: NDArray[Any]) -> float | None:
    """Smallest share of a map's cells that holds half of its mass (absolute values); None where it is zero."""
    sizes = np.sort(np.abs(np.asarray(values, np.float64)).ravel())[::-1]
    total = sizes.sum()
    if not np.isfinite(total) or total == 0:
        return None
    return float(np.searchsorted(np.cumsum(sizes), total / 2 * (1 - 1e-12)) + 1) / sizes.size


class Interval(NamedTuple):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


def interval(estimate: Estimate) -> Interval:
    """Return an estimate from two or more units, whose interval is therefore known."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        raise UsageError("An interval takes two or more pictures.")
    return Interval(estimate.value, estimate.low, estimate.high)


def roughness(values: NDArray[Any]) -> float | None:
    """Mean difference of neighboring cells over the mean size of a cell; None where the map is zero."""
    v = np.asarray(values, np.float64)
    level = np.abs(v).mean()
    if level == 0 or min(v.shape) < 2:
        return None
    steps = np.concatenate([np.abs(np.diff(v, axis=0)).ravel(), np.abs(np.diff(v, axis=1)).ravel()])
    return float(steps.mean() / level)
