"""What is measured about a map for its card, within a budget of evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from whylook.metrics import Case, Score, blocks, measure
from whylook.metrics.dummies import sobel
from whylook.metrics.grids import resample
from whylook.metrics.metric import Floats
from whylook.trustcard.reliance import COPIES


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
        """With parts of the picture filled in, for a map without ties, by the network and (all of it) by its copies."""
        return (self.steps - 1) * (self.orders + 2) + self.samples + 3 + 2 * COPIES

    def plan(self, cost: int) -> Plan:
        """What may be made again of a map that takes `cost` forward passes.

        Counted beforehand, so that nothing depends on what other maps have asked the network for. One network with
        random weights is worth more than the mirrored picture, for it decides; further ones are not.
        """
        if self.budget is None:
            return Plan(draws=self.draws, flip=True, left=None)
        affords = max(0, (self.budget - self.evaluations - cost) // max(1, cost))
        draws = min(self.draws, max(min(affords, 1), affords - 1))
        flip = affords > draws
        return Plan(draws, flip, max(0, self.budget - self.evaluations - cost * (1 + draws + flip)))


class Plan(NamedTuple):
    """How many networks with random weights, whether the mirrored picture, and the forward passes left then."""

    draws: int
    flip: bool
    left: int | None


USUAL = Effort(steps=8, orders=16, samples=24, draws=3, budget=300)
THOROUGH = Effort(steps=16, orders=64, samples=63, draws=10, budget=None)

_CURVES = ("deletion-gap", "insertion-gap")


def marked(case: Case) -> Case:
    """The same case at the grain of deletion, and only what speaks for the target.

    Maps of single pixels change with every breath, and signed ones average out: what a reader takes from a map is which
    places it marks, and that is what may be compared.
    """
    assert case.perturbed is not None
    assert case.remake is not None
    shape, make = case.perturbed.input_shape, case.remake.make

    def again(network: Any, x: Any, target: int) -> Floats:
        return coarse(make(network, x, target), shape)

    values = coarse(np.asarray(case.values, np.float64), shape)
    return replace(case, values=values, remake=replace(case.remake, make=again))


def coarse(values: Floats, shape: tuple[int, int]) -> Floats:
    """What speaks for the target in a map [h, w] of an input of size `shape`, at the grain of deletion."""
    return resample(np.maximum(values, 0), blocks.grain(values, shape, blocks.CELLS))


def dependence(case: Case, effort: Effort) -> dict[str, Score]:
    """Deletion, insertion and knock-out, all of them of the margin."""
    curves: Mapping[str, Any] = {"steps": effort.steps, "orders": effort.orders}
    found = {name: measure(name, case, **curves) for name in _CURVES}
    return {**found, "knock-out": measure("knock-out", case, samples=effort.samples)}


def remade(case: Case, plan: Plan, cost: int) -> dict[str, Score]:
    """Flip consistency of `marked`, and its similarity for networks with random weights: one map and several.

    Parameters
    ----------
    case : from `marked`.
    plan : what may be made again.
    cost : forward passes that one map takes.
    """
    dear = Score(
        None, f"making the map again takes {cost:,} forward passes, more than the budget leaves; --thorough does"
    )
    return {
        "full-randomization": measure("full-randomization", case, draws=plan.draws) if plan.draws else dear,
        "flip-consistency": measure("flip-consistency", case) if plan.flip else dear,
    }


def edges(case: Case) -> Score:
    """Similarity of `marked` to the edges of the picture, averaged over the same blocks."""
    if case.remake is None:
        return Score(None, "the network is not at hand")
    strength = sobel(np.asarray(case.remake.x[0].detach().cpu()))
    return agreement(case, resample(strength, (case.values.shape[0], case.values.shape[1])))


def agreement(case: Case, other: Floats) -> Score:
    """Rank correlation of `marked` with what another map of the picture marks."""
    return measure("rank-correlation", Case(case.values, other=np.maximum(other, 0), seed=case.seed))
