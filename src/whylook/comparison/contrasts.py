"""Every comparison that a report makes, put together: paired differences, intervals, p-values, and their correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from whylook.comparison.gathered import Floats, Gathered
from whylook.errors import UsageError
from whylook.statistics import Comparison as Tested
from whylook.statistics import (
    Estimate,
    Verdict,
    adjusted,
    compare,
    mean_interval,
    needed_n,
    rate,
    sign_flips,
    spread,
    verdict,
)
from whylook.statistics.significance import RESAMPLES
from whylook.statistics.units import units

ACCURACY = "accuracy"
CHANCE = "its area share"
# Differences that one would wish to see, for the number of pictures that it takes.
WISHED: Mapping[str, float] = {
    ACCURACY: 0.05, "enrichment": 1.0, "rank-accuracy": 0.1, "pointing": 0.1, "iou": 0.1, "deletion-gap": 0.1, "mass": 0.05,
}  # fmt: skip
Kind = Literal["accuracy", "maps", "suspicious", "chance"]


@dataclass(frozen=True)
class Contrast:
    """Two models (or a model and chance) by one metric of the maps of one method.

    Parameters
    ----------
    kind : `accuracy`; `maps`; `suspicious`, of two models given the second mask; or `chance`, of a model against the
        area share of the second mask.
    metric, method : names; no method for accuracy.
    first, second : names of models, or `its area share`.
    tested : the difference, first less second, its interval and p.
    needed : units that would show the wished difference with a power of 80 %, or None where that cannot be told.
    """

    kind: Kind
    metric: str
    method: str
    first: str
    second: str
    tested: Tested
    needed: int | None = None


@dataclass(frozen=True)
class Finding:
    """What may be said of two, from one contrast per method.

    Parameters
    ----------
    contrasts : those that it rests on.
    verdict : the words.
    """

    contrasts: tuple[Contrast, ...]
    verdict: Verdict

    @property
    def kind(self) -> Kind:
        """Of its contrasts."""
        return self.contrasts[0].kind

    @property
    def metric(self) -> str:
        """Of its contrasts."""
        return self.contrasts[0].metric

    @property
    def pair(self) -> tuple[str, str]:
        """First and second."""
        return self.contrasts[0].first, self.contrasts[0].second


@dataclass(frozen=True)
class Level:
    """The mean of a metric over pictures, of one model's maps by one method.

    Parameters
    ----------
    kind, metric, method, model : what of.
    estimate : mean and interval.
    chance : mean chance level, or None.
    dummies : by name, their means.
    """

    kind: Kind
    metric: str
    method: str
    model: str
    estimate: Estimate
    chance: float | None
    dummies: Mapping[str, float]


def contrasts(gathered: Gathered, *, wished: Mapping[str, float] | None = None, seed: int = 0) -> list[Contrast]:
    """All comparisons: of accuracy, of every metric of every method, and of the suspicious region, corrected together.

    Each is computed with its two models in the order of their names and turned round where they were given otherwise,
    so that no order changes a bit.

    Parameters
    ----------
    gathered : what was measured.
    wished : by metric, the difference that one would wish to see.
    seed : of bootstraps and random signs.
    """
    pairs = list(combinations(gathered.models, 2))
    drafts: list[tuple[Contrast, Floats, Sequence[str] | None]] = []

    def draft(kind: Kind, metric: str, method: str, pair: tuple[str, str], a: Floats, b: Floats) -> None:
        groups = gathered.units(common=kind != "accuracy")
        turned = kind != "chance" and pair[0] > pair[1]
        first, second = (b, a) if turned else (a, b)
        both = np.concatenate([a, b])
        hits = bool(metric in (ACCURACY, "pointing") and np.isin(both[~np.isnan(both)], (0, 1)).all())
        found = compare(first, second, groups, hits=hits, seed=seed, test=False)
        drafts.append((Contrast(kind, metric, method, *pair, turn(found) if turned else found), first - second, groups))

    for pair in pairs:
        draft("accuracy", ACCURACY, "", pair, *(gathered.right(m) for m in pair))
    for kind, metrics in (("maps", gathered.plan.metrics), ("suspicious", gathered.plan.suspicious)):
        for metric in metrics:
            if kind == "suspicious" and metric == "mass":
                continue  # the same mask, so its enrichment is the same comparison
            for pair in pairs:
                for method in gathered.plan.methods:
                    if all(gathered.measured(m, method, metric, kind) for m in pair):
                        values = (gathered.values(m, method, metric, kind) for m in pair)
                        draft(kind, metric, method, pair, *values)  # type: ignore[arg-type]
    if "mass" in gathered.plan.suspicious:
        for model in gathered.models:
            for method in gathered.plan.methods:
                if gathered.measured(model, method, "mass", "suspicious"):
                    share = gathered.chance(model, method, "mass", "suspicious")
                    values_ = gathered.values(model, method, "mass", "suspicious")
                    draft("chance", "mass", method, (model, CHANCE), values_, share)
    return _corrected(drafts, {**WISHED, **(wished or {})}, seed)


def _corrected(
    drafts: Sequence[tuple[Contrast, Floats, Sequence[str] | None]], wished: Mapping[str, float], seed: int
) -> list[Contrast]:
    """Fill in the p-values that are tossed for, all at once, and adjust all of them."""
    tossed = [i for i, (c, _, _) in enumerate(drafts) if math.isnan(c.tested.p)]
    # So many patterns that the smallest p there can be passes the correction with room to spare.
    resamples = max(RESAMPLES, 40 * len(drafts) - 1)
    sums = [units(drafts[i][1], drafts[i][2]).sums for i in tossed]
    p = dict(zip(tossed, sign_flips(sums, resamples=resamples, seed=seed), strict=True))
    tested = [replace(c.tested, p=p.get(i, c.tested.p)) for i, (c, _, _) in enumerate(drafts)]
    done = []
    for (contrast, differences, groups), final in zip(drafts, adjusted(tested), strict=True):
        try:
            effect = wished[contrast.metric]
            needed = needed_n(effect, spread(differences, groups), comparisons=len(drafts))
        except UsageError:  # nothing differs, or one unit
            needed = None
        done.append(replace(contrast, tested=final, needed=needed))
    return done


def turn(tested: Tested) -> Tested:
    """The comparison of second and first."""
    old = tested.difference
    low, high = (None if v is None else 0.0 - v for v in (old.high, old.low))
    return replace(tested, difference=replace(old, value=0.0 - old.value, low=low, high=high))


def findings(gathered: Gathered, made: Sequence[Contrast], suspicious: str | None) -> list[Finding]:
    """What may be said: one verdict per metric and pair, from the contrasts of all its methods.

    Parameters
    ----------
    gathered : what was measured.
    made : from `contrasts`.
    suspicious : what the second masks mark.
    """
    by: dict[tuple[str, str, str, str], list[Contrast]] = {}
    for c in made:
        by.setdefault((c.kind, c.metric, c.first, c.second), []).append(c)
    out = []
    for (kind, _, first, second), members in by.items():
        families = 0 if kind == "accuracy" else len(gathered.plan.families([c.method for c in members]))
        who = (f"mass on the {suspicious}", second) if kind == "chance" else (first, second)
        found = verdict(*who, [c.tested for c in members], families=families)
        if kind == "chance" and found.kind == "lower":  # of the model, not of its area
            found = replace(found, words=f"{who[0]} lower than {second} {found.words[found.words.rindex('(') :]}")
        out.append(Finding(tuple(members), found))
    return out


def levels(gathered: Gathered, *, seed: int = 0) -> list[Level]:
    """The mean of every metric, model and method, with chance and dummies beside it."""
    from whylook.metrics import METRICS
    from whylook.metrics.dummies import NAMES

    groups = gathered.units()
    found = []
    for kind, metrics in (("maps", gathered.plan.metrics), ("suspicious", gathered.plan.suspicious)):
        for metric in metrics:
            for model in gathered.models:
                for method in gathered.plan.methods:
                    values = gathered.values(model, method, metric, kind)
                    if not np.isfinite(values).any():
                        continue
                    hits = metric == "pointing" and bool(np.isin(values[np.isfinite(values)], (0, 1)).all())
                    there = ~np.isnan(values)
                    some = None if groups is None else [g for g, t in zip(groups, there, strict=True) if t]
                    estimate = (
                        rate(values[there], some)
                        if hits
                        else _within(mean_interval(values[there], some, seed=seed), METRICS[metric].range)
                    )
                    chance = _mean(gathered.chance(model, method, metric, kind))
                    dummies = {d: _mean(gathered.dummy(model, method, d, metric, kind)) for d in NAMES}
                    told = {d: v for d, v in dummies.items() if v is not None}
                    found.append(Level(kind, metric, method, model, estimate, chance, told))  # type: ignore[arg-type]
    return found


def accuracies(gathered: Gathered) -> dict[str, Estimate]:
    """By model, how often it is right, with Wilson's interval."""
    groups = gathered.units(common=False)
    return {model: rate(gathered.right(model), groups) for model in gathered.models}


def _within(estimate: Estimate, limits: tuple[float, float]) -> Estimate:
    """An interval without what the mean cannot be."""
    if estimate.low is None or estimate.high is None:
        return estimate
    return replace(estimate, low=max(estimate.low, limits[0]), high=min(estimate.high, limits[1]))


def _mean(values: Floats) -> float | None:
    there = values[np.isfinite(values)]
    return math.fsum(there) / len(there) if len(there) else None
