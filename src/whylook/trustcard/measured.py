"""What is measured about a map for its card, within a budget of evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whylook.metrics import Case, Score, measure
from whylook.metrics.dummies import dummies


@dataclass(frozen=True)
class Effort:
    """How much is spent on a card.

    Parameters
    ----------
    steps, orders : of the curves, and of the band of random orders.
    samples : places that the top region is compared with.
    draws : networks with random weights.
    budget : forward passes in all, or None: as many as it takes.
    """

    steps: int
    orders: int
    samples: int
    draws: int
    budget: int | None

    @property
    def evaluations(self) -> int:
        """Of the network with parts of the picture filled in, for a map without ties."""
        return (self.steps - 1) * (self.orders + 2) + self.samples + 3

    def affords(self, cost: int, spent: int) -> int:
        """How many more maps of that `cost` there may be, when so much is `spent`."""
        return self.draws if self.budget is None else max(0, (self.budget - spent) // max(1, cost))


USUAL = Effort(steps=8, orders=16, samples=24, draws=3, budget=300)
THOROUGH = Effort(steps=16, orders=64, samples=63, draws=10, budget=None)

Spent = Callable[[], int]
_CURVES = ("deletion-gap", "insertion-gap")


def dependence(case: Case, effort: Effort) -> dict[str, Score]:
    """Deletion, insertion and knock-out, all of them of the margin."""
    curves: Mapping[str, Any] = {"steps": effort.steps, "orders": effort.orders}
    found = {name: measure(name, case, **curves) for name in _CURVES}
    return {**found, "knock-out": measure("knock-out", case, samples=effort.samples)}


def remade(case: Case, effort: Effort, cost: int, spent: Spent) -> dict[str, Score]:
    """Flip consistency, and the similarity to maps of networks with random weights: one map and several.

    Parameters
    ----------
    cost : forward passes that one map takes.
    spent : forward passes so far.
    """
    found = {}
    too_dear = Score(
        None, f"making the map again takes {cost:,} forward passes, more than are left; --thorough does it"
    )
    # One draw is worth more than the flip: it decides.
    flips = effort.affords(cost, spent() + cost) > 0
    draws = min(effort.draws, effort.affords(cost, spent() + cost * flips))
    found["full-randomization"] = measure("full-randomization", case, draws=draws) if draws else too_dear
    found["flip-consistency"] = measure("flip-consistency", case) if flips else too_dear
    return found


def edges(case: Case) -> Score:
    """Similarity to the edges of the picture."""
    if case.remake is None:
        return Score(None, "the network is not at hand")
    grid = (case.values.shape[0], case.values.shape[1])
    strange = dummies(np.asarray(case.remake.x[0].detach().cpu()), grid, seed=case.seed)["sobel"]
    return agreement(case, strange)


def agreement(case: Case, other: Any) -> Score:
    """Rank correlation with another map of the picture."""
    return measure("rank-correlation", Case(case.values, other=other, seed=case.seed))
