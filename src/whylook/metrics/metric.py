"""What a metric is: a pure function and the facts about it; and what it gives: a score, or the reason for none."""

from __future__ import annotations

import inspect
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whylook.errors import UsageError
from whylook.parameters import complete
from whylook.registry import Registry

if TYPE_CHECKING:
    from whylook.metrics.region import Region
    from whylook.perturbed import Perturbed
    from whylook.remake import Remake

Floats = NDArray[np.float64]
Need = Literal["map", "mask", "other", "perturbed", "remake"]
Better = Literal["higher", "lower"]

# The names a metric's positional arguments may have, by what it needs beside the map itself.
_SUPPLIED: Mapping[Need, tuple[str, ...]] = {
    "map": (),
    "mask": ("coverage", "instances"),
    "other": ("other",),
    "perturbed": ("perturbed",),
    "remake": ("remake",),
}
_MISSING: Mapping[Need, str] = {
    "map": "there is no map",
    "mask": "no mask was given",
    "other": "there is no other map to compare with",
    "perturbed": "the network is not at hand for evaluations",
    "remake": "the map cannot be made again, for the network is not at hand",
}


class NotAssessable(Exception):  # noqa: N818 - a statement, not a mishap; becomes the reason of a score without value
    """Why a number cannot be known."""


@dataclass(frozen=True)
class Score:
    """A number about a map, or why there is none.

    Parameters
    ----------
    value : the number, or None.
    reason : why it is missing, or None.
    interval : 95 % interval, where the number is estimated from random draws.
    n : number of draws, or of whatever it is estimated from.
    chance : what a map that knows nothing reaches here, where that depends on the picture or its mask.
    facts : further numbers, by name.
    curves : numbers to be drawn, by name; all of the same length.
    """

    value: float | None
    reason: str | None = None
    interval: tuple[float, float] | None = None
    n: int | None = None
    chance: float | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Case:
    """One map with all that may be known beside it; what is missing leaves the metrics that need it without a value.

    Parameters
    ----------
    values : [h, w], the raw map at its native grid, signed where the method is.
    region : the marked region of the picture.
    other : [h', w'], a second map of the same picture.
    perturbed : evaluations of the network with parts of the picture filled in.
    remake : makes the map again, of another network or another input.
    seed : of the metrics' random numbers.
    picture : a number that tells the picture from others (see `fingerprint`): each gets random numbers of its own, so
        that the errors of many average out.
    """

    values: Floats | NDArray[np.float32]
    region: Region | None = None
    other: Floats | NDArray[np.float32] | None = None
    perturbed: Perturbed | None = None
    remake: Remake | None = None
    seed: int = 0
    picture: int = 0

    def give(self, argument: str) -> Any:
        """What a metric calls `argument`."""
        match argument:
            case "values" | "other":
                return _finite(getattr(self, argument))
            case "coverage" | "instances":
                grid = (self.values.shape[0], self.values.shape[1])
                assert self.region is not None
                return self.region.coverage(grid) if argument == "coverage" else self.region.each(grid)
            case _:
                return getattr(self, argument)


def _finite(values: Any) -> Floats:
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or not array.size:
        raise UsageError(f"A map has two axes, not the shape {array.shape}.")
    if not np.isfinite(array).all():
        raise NotAssessable("the map is not finite")
    return array


@dataclass(frozen=True, eq=False)
class Metric:
    """A measure of maps.

    Parameters
    ----------
    name : in kebab case.
    title : as people print it.
    function : takes what `arguments` name; returns a number or a `Score`; raises `NotAssessable`.
    needs : what it takes beside the map: `map` (nothing), `mask`, `other`, `perturbed` or `remake`.
    arguments : names of its positional arguments.
    parameters : its own parameters and their defaults.
    family : `localization`, `faithfulness`, …
    better : `higher` or `lower`, or None where the number only describes.
    range : smallest and largest value there can be.
    chance : what a map that knows nothing reaches, as a number or in words.
    scale_free : whether a map times a positive number scores the same.
    paper : arXiv id, DOI, or `none` where it is defined here.
    formula, cost, limits : one sentence each: what it computes, what it costs in passes, where it misleads.
    seeded : whether it draws random numbers.
    """

    name: str
    title: str
    function: Callable[..., Any]
    needs: Need
    arguments: tuple[str, ...]
    parameters: Mapping[str, Any]
    family: str
    better: Better | None
    range: tuple[float, float]
    chance: float | str
    scale_free: bool
    paper: str
    formula: str
    cost: str
    limits: str
    seeded: bool

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n")[0]


METRICS: Registry[Metric] = Registry("metric")


def metric(
    name: str,
    *,
    title: str,
    better: Better | None,
    range: tuple[float, float],  # noqa: A002 - the field's word
    chance: float | str,
    paper: str,
    formula: str,
    cost: str,
    limits: str,
    needs: Need = "map",
    scale_free: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a metric; see `Metric` for the facts.

    The function's positional arguments are what it is given: `values`, and beside it `coverage` [h, w] and `instances`
    [m, h, w] for a mask, `other`, `perturbed` or `remake`. Its keyword-only arguments are its parameters; `rng` among
    them asks for a seeded `numpy.random.Generator`. The module's name is its family.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function).parameters.values()
        arguments = tuple(p.name for p in signature if p.kind is not p.KEYWORD_ONLY)
        own = {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY}
        supplied = ("values", *_SUPPLIED[needs])
        if unknown := [a for a in arguments if a not in supplied]:
            raise TypeError(f"metric {name!r}: nothing it needs supplies {unknown}; needs={needs!r} gives {supplied}")
        METRICS.add(
            name,
            Metric(
                name=name,
                title=title,
                function=function,
                needs=needs,
                arguments=arguments,
                parameters={k: v for k, v in own.items() if k != "rng"},
                family=function.__module__.rsplit(".", 1)[-1],
                better=better,
                range=range,
                chance=chance,
                scale_free=scale_free,
                paper=paper,
                formula=formula,
                cost=cost,
                limits=limits,
                seeded="rng" in own,
            ),
        )
        return function

    return register


def measure(name: str, case: Case, **parameters: Any) -> Score:
    """Measure a map by the metric called `name`.

    Parameters
    ----------
    name : from `whylook metrics`.
    case : the map and what is known beside it.
    **parameters : the metric's own.

    Returns
    -------
    Score, whose value is missing with a reason where it cannot be known. Neither other metrics nor other maps measured
    before or beside it change a bit of it.

    Raises
    ------
    UsageError
        For an unknown metric or parameter, or arrays that are no maps.
    """
    asked = METRICS[name]
    own = complete(name, asked.function, asked.parameters, parameters)
    source = {"mask": "region"}.get(asked.needs, asked.needs)
    if asked.needs != "map" and getattr(case, source) is None:
        return Score(None, _MISSING[asked.needs])
    extra = {"rng": generator(case.seed, name, case.picture)} if asked.seeded else {}
    try:
        made = asked.function(*(case.give(a) for a in asked.arguments), **own, **extra)
    except NotAssessable as why:
        return Score(None, str(why))
    score = made if isinstance(made, Score) else Score(float(made))
    if score.value is not None and not math.isfinite(score.value):
        return Score(None, "the network's answers are not finite")
    return score


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Random numbers of their own for each purpose, so that none depends on what else was drawn."""
    return np.random.default_rng([seed, *(zlib.crc32(str(p).encode()) for p in purpose)])


def fingerprint(x: ArrayLike) -> int:
    """Tell a picture from others: a checksum of its values."""
    return zlib.crc32(np.ascontiguousarray(x).tobytes())
