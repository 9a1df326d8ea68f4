"""All that was measured, as arrays over pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whylook.comparison.plan import Plan

Floats = NDArray[np.float64]
Where = str  # `maps` or `suspicious`: which mask a score was taken with


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture that every model answered.

    Parameters
    ----------
    name, label : of the picture.
    group : whom it belongs to, or None.
    targets : by model, the index of its class.
    answers : by model; see `measuring.answered`.
    scores : by model; see `measuring.scored`. Empty where a model was wrong.
    """

    name: str
    label: str
    group: str | None
    targets: Mapping[str, int]
    answers: Mapping[str, Mapping[str, Any]]
    scores: Mapping[str, Mapping[str, Any]]

    @property
    def unit(self) -> str:
        """What it is resampled with."""
        return f"group {self.group}" if self.group is not None else f"picture {self.name}"


@dataclass(frozen=True, eq=False)
class Gathered:
    """Pictures in order of their names, and what was measured of them.

    Parameters
    ----------
    pictures : all that every model answered.
    models : their names.
    plan : what was measured.
    """

    pictures: tuple[Seen, ...]
    models: tuple[str, ...]
    plan: Plan

    @property
    def common(self) -> tuple[Seen, ...]:
        """The pictures that all models get right, on which maps are compared."""
        return tuple(p for p in self.pictures if p.scores)

    def right(self, model: str) -> Floats:
        """1 where the model is right, over all pictures."""
        return np.array([float(p.answers[model]["right"]) for p in self.pictures])

    def units(self, common: bool = True) -> list[str] | None:
        """The unit of each picture; None where each is its own."""
        labels = [p.unit for p in (self.common if common else self.pictures)]
        return labels if len(set(labels)) < len(labels) else None

    def values(self, model: str, method: str, metric: str, where: Where = "maps") -> Floats:
        """Scores over the common pictures, NaN where missing."""
        return self._column(model, method, metric, where, 0)

    def chance(self, model: str, method: str, metric: str, where: Where = "maps") -> Floats:
        """Chance levels over the common pictures, NaN where there is none."""
        return self._column(model, method, metric, where, 1)

    def dummy(self, model: str, method: str, dummy: str, metric: str, where: Where = "maps") -> Floats:
        """Scores of a dummy at the grain of a model's maps, over the common pictures."""
        key = "dummies" if where == "maps" else "suspicious_dummies"
        found = (p.scores[model][key].get(method, {}).get(dummy, {}).get(metric) for p in self.common)
        return np.array([math.nan if v is None else v for v in found])

    def measured(self, model: str, method: str, metric: str, where: Where = "maps") -> bool:
        """Whether there is a single value."""
        return bool(np.isfinite(self.values(model, method, metric, where)).any())

    def grids(self, method: str) -> dict[str, str]:
        """By model, the grid of its maps, as `7 × 7`, of the first picture; only models that have such maps."""
        first = ((m, p.scores[m].get("grids", {}).get(method)) for m in self.models for p in self.common[:1])
        return {m: f"{g[0]} × {g[1]}" for m, g in first if g}

    def why_missing(self, model: str, method: str) -> str | None:
        """The first reason why a model has no map by a method, or None."""
        return next(
            (p.scores[model]["failures"][method] for p in self.common if method in p.scores[model]["failures"]), None
        )

    def _column(self, model: str, method: str, metric: str, where: Where, part: int) -> Floats:
        found = (p.scores[model][where].get(method, {}).get(metric, (None, None))[part] for p in self.common)
        return np.array([math.nan if v is None else v for v in found], np.float64)
