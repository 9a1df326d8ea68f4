"""Does the map change where it must? A map of a network that has forgotten all, or of another class, is another map.

`values` is the map [h, w], `remake` makes it again. Similarity is Spearman's rank correlation of the raw values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from whylook.errors import Unsupported, UsageError
from whylook.metrics.grids import spearman
from whylook.metrics.metric import Floats, NotAssessable, Score, metric
from whylook.statistics import t_quantile

if TYPE_CHECKING:
    from torch import nn

    from whylook.remake import Remake

_PASSES = "as many maps as"
_LOW = (
    "Near 0 shows only that the map depends on the weights, not that it is right; methods that multiply by the input, "
)
_LOW += "and smooth maps, stay similar for reasons of their own."


@metric(
    "full-randomization",
    title="Full model randomization",
    needs="remake",
    better="lower",
    range=(-1, 1),
    chance="0; 1 for an explainer that does not look at the network",
    paper="arXiv:1810.03292",
    formula="rank correlation with the map of the same network with random weights, mean over draws",
    cost=f"{_PASSES} `draws`",
    limits=_LOW,
)
def full_randomization(values: Floats, remake: Remake, *, draws: int = 3, rng: np.random.Generator) -> Score:
    """How similar the map stays when the network forgets all that it learned.

    Returns
    -------
    Score; the interval by Student's t over draws, where there are several.
    """
    _at_least_one(draws=draws)
    found = []
    for seed in _seeds(rng, draws):
        twin = next(_twins(remake, 1, seed))[1]
        found.append(_similarity(values, lambda twin=twin: remake(network=twin)))  # type: ignore[misc]
    return _mean(found)


@metric(
    "cascading-randomization",
    title="Cascading model randomization",
    needs="remake",
    better="lower",
    range=(-1, 1),
    chance="0; 1 for an explainer that does not look at the network",
    paper="arXiv:1810.03292",
    formula="rank correlation with the map while layers are randomized from the output inward, mean over stages",
    cost=f"{_PASSES} `stages`",
    limits=_LOW,
)
def cascading_randomization(values: Floats, remake: Remake, *, stages: int = 5, rng: np.random.Generator) -> Score:
    """How similar the map stays while the network forgets layer by layer, the output first.

    Returns
    -------
    Score, the mean over stages; the curves hold the `share` of layers randomized and the `similarity`.
    """
    _at_least_one(stages=stages)
    shares, found = [0.0], [1.0]
    reasons = []
    for share, twin in _twins(remake, stages, _seeds(rng, 1)[0]):
        similarity = _similarity(values, partial(remake, network=twin))
        if isinstance(similarity, NotAssessable):
            reasons.append(similarity)
        else:
            shares.append(share)
            found.append(similarity)
    if len(found) == 1:
        raise reasons[0]
    curves = {"share": tuple(shares), "similarity": tuple(found)}
    return Score(float(np.mean(found[1:])), n=len(found) - 1, curves=curves)


@metric(
    "random-target",
    title="Random target",
    needs="remake",
    better="lower",
    range=(-1, 1),
    chance="1 for an explainer that does not look at the target",
    paper="arXiv:1912.09818",
    formula="rank correlation with the map of another class, drawn at random, mean over draws",
    cost=f"{_PASSES} `draws`",
    limits="Classes that share evidence have similar maps for good reason.",
)
def random_target(values: Floats, remake: Remake, *, draws: int = 3, rng: np.random.Generator) -> Score:
    """How similar the map is to that of another class.

    Returns
    -------
    Score; the interval by Student's t over draws, where there are several.
    """
    _at_least_one(draws=draws)
    others = [c for c in range(remake.classes) if c != remake.target]
    if not others:
        raise NotAssessable("there is no other class")
    chosen = rng.permutation(others)[:draws].tolist()
    return _mean([_similarity(values, partial(remake, target=c)) for c in chosen])


def _twins(remake: Remake, stages: int, seed: int) -> Iterator[tuple[float, nn.Module]]:
    """The network as it forgets, stage by stage; a network that cannot leaves the metric without a value."""
    from whylook.randomize import forgetting

    try:
        yield from forgetting(remake.network, remake.x, stages=stages, seed=seed)
    except Unsupported as why:
        raise NotAssessable(f"there is no such network with random weights: {why}") from why


def _seeds(rng: np.random.Generator, n: int) -> list[int]:
    return [int(s) for s in rng.integers(0, 2**31, n)]


def _similarity(values: Floats, make: Callable[[], Floats]) -> float | NotAssessable:
    """Similarity to a map that is made now, or why it cannot be known; a map of one value is similar to its like only."""
    try:
        other = make()
    except NotAssessable as why:
        return why
    flat = [np.ptp(m) == 0 for m in (values, other)]
    return spearman(values, other) if not any(flat) else float(all(flat))


def _mean(found: Iterable[float | NotAssessable]) -> Score:
    everything = list(found)
    known = [one for one in everything if isinstance(one, float)]
    if not known:
        raise next(one for one in everything if isinstance(one, NotAssessable))
    mean, n = float(np.mean(known)), len(known)
    if n == 1:
        return Score(mean, n=1)
    half = t_quantile(0.975, n - 1) * float(np.std(known, ddof=1)) / n**0.5
    return Score(mean, interval=(max(-1.0, mean - half), min(1.0, mean + half)), n=n)


def _at_least_one(**given: int) -> None:
    for name, value in given.items():
        if value < 1:
            raise UsageError(f"{name} must be 1 or more, not {value}.")
