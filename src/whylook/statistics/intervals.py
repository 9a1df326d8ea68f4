"""Estimates with intervals: of means of (paired) values, of rates, and of differences of paired rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whylook.errors import UsageError
from whylook.statistics.units import Floats, Units, units

FEW = 30  # units; below, a bootstrap is too narrow and Student's t stands in
_CHUNK = 2_000_000  # resampled units held at once

# What to expect of a nominal 95 %, from the simulations in tests/test_statistics_coverage.py.
COVERAGE = {
    "bootstrap": "95 % is kept within 93 to 97 % for differences that are normal, heavy-tailed or exponential, clustered "
    "or not; strongly skewed ones (log-normal) at 30 units: about 91 %; where most units do not differ and the rest differ "
    "one way, less: about 90 % where a fifth differs, under 80 % where a tenth does",
    "t": "95 % for differences that are near normal; about 90 % where they are strongly skewed, and less where most of "
    "them are equal",
    "Wilson": "95 % on average over rates",
    "Bonett-Price": "95 % on average over rates",
}


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Parameters
    ----------
    value : the estimate; NaN where there is nothing to estimate it from.
    low, high : the interval's ends; None where `reason` says why there are none.
    units : number of independent units (groups, or values where there are no groups).
    n : number of values.
    kind : `bootstrap`, `t`, `Wilson` or `Bonett-Price`.
    level : nominal coverage, such as .95.
    reason : why there is no interval, or None.
    """

    value: float
    low: float | None
    high: float | None
    units: int
    n: int
    kind: str
    level: float = 0.95
    reason: str | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and 0 lies outside it."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def coverage(self) -> str:
        """What coverage to expect of it, in words."""
        return COVERAGE[self.kind]


def mean_interval(
    values: ArrayLike,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 4999,
    seed: int = 0,
) -> Estimate:
    """Mean of values, such as paired differences, with an interval that resamples whole groups.

    From 30 units on, the percentile bootstrap with percentiles expanded for the small-sample bias of its spread
    (Hesterberg, arXiv:1411.5279, section 4.2); below, Student's t with the spread of the units about the mean.

    Parameters
    ----------
    values : [n], NaN where missing.
    groups : one label per value (the patient), or None.
    level : nominal coverage, in (0, 1).
    resamples : of the bootstrap.
    seed : of the bootstrap.

    Returns
    -------
    Estimate in the values' unit; its interval is a single point where all units have the same mean.

    Raises
    ------
    UsageError
        If values are infinite, groups do not fit, or the level is not in (0, 1).
    """
    _check_level(level)
    data = units(values, groups)
    count, n = len(data.sums), int(data.counts.sum())
    kind = "bootstrap" if count >= FEW else "t"
    if count == 0:
        return Estimate(math.nan, None, None, 0, 0, kind, level, "there are no values")
    if count == 1:
        return Estimate(data.mean, None, None, 1, n, kind, level, "one unit shows no spread")
    if kind == "t":
        half = t_quantile((1 + level) / 2, count - 1) * _standard_error(data)
        return Estimate(data.mean, data.mean - half, data.mean + half, count, n, kind, level)
    below = NormalDist().cdf(-math.sqrt(count / (count - 1)) * t_quantile((1 + level) / 2, count - 1))
    means = _bootstrap_means(data, resamples, seed)
    low, high = np.quantile(means, [below, 1 - below])
    return Estimate(data.mean, float(low), float(high), count, n, kind, level)


def spread(values: ArrayLike, groups: Sequence[Any] | NDArray[Any] | None = None) -> float:
    """Standard deviation that the mean of units goes by: its standard error times √units; NaN below 2 units.

    Parameters
    ----------
    values : [n], NaN where missing.
    groups : one label per value, or None; without groups it is the values' own standard deviation.
    """
    data = units(values, groups)
    return _standard_error(data) * math.sqrt(len(data.sums)) if len(data.sums) > 1 else math.nan


def _standard_error(data: Units) -> float:
    """Of the mean over all values: a ratio of sums over units, linearized."""
    count = len(data.sums)
    residuals = data.sums - data.mean * data.counts
    return math.sqrt(count / (count - 1) * float(residuals @ residuals)) / float(data.counts.sum())


def _bootstrap_means(data: Units, resamples: int, seed: int) -> Floats:
    count = len(data.sums)
    if np.ptp(data.sums) == 0 and np.ptp(data.counts) == 0:
        return np.full(1, data.mean)  # every resample is the sample: no rounding noise around it
    rng = np.random.default_rng(seed)
    rows, parts = max(1, _CHUNK // count), []
    for start in range(0, resamples, rows):
        drawn = rng.integers(0, count, (min(rows, resamples - start), count), dtype=np.int32)
        parts.append(data.sums[drawn].sum(1) / data.counts[drawn].sum(1))
    return np.concatenate(parts)


def wilson(hits: int, n: int, *, level: float = 0.95) -> Estimate:
    """Rate of `hits` in `n` independent trials, with Wilson's score interval (doi:10.1080/01621459.1927.10502953)."""
    _check_level(level)
    if not 0 <= hits <= n:
        raise UsageError(f"{hits} hits of {n} cannot be.")
    if n == 0:
        return Estimate(math.nan, None, None, 0, 0, "Wilson", level, "there are no trials")
    low, high = _wilson(hits / n, n, level)
    return Estimate(hits / n, low, high, n, n, "Wilson", level)


def rate(hits: ArrayLike, groups: Sequence[Any] | NDArray[Any] | None = None, *, level: float = 0.95) -> Estimate:
    """Rate of hits, with Wilson's interval for as many independent trials as the groups' spread leaves of them.

    Trials within a group are alike, so they count for less: n is divided by the ratio of the variance of the rate with
    groups to that without (as by Korn and Graubard, Survey Methodology 24, 1998). It is never taken for more than n, and where
    all trials are alike, for the number of groups.

    Parameters
    ----------
    hits : [n] of 0 and 1, NaN where missing.
    groups : one label per trial, or None.
    level : nominal coverage.
    """
    _check_level(level)
    data = units(hits, groups)
    count, n = len(data.sums), int(data.counts.sum())
    if count == n:
        return wilson(int(data.sums.sum()), n, level=level)
    share = data.mean
    error = _standard_error(data) if count > 1 else math.inf
    effective = share * (1 - share) / error**2 if 0 < error < math.inf and 0 < share < 1 else float(count)
    low, high = _wilson(share, min(float(n), max(1.0, effective)), level)
    return Estimate(share, low, high, count, n, "Wilson", level)


def _wilson(share: float, n: float, level: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf((1 + level) / 2)
    center, below = share + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if share == 0 else (center - half) / below), (1.0 if share == 1 else (center + half) / below)


def paired_rates(only_first: int, only_second: int, n: int, *, level: float = 0.95) -> Estimate:
    """Difference of two hit rates on the same n pictures, first less second.

    The adjusted Wald interval of Bonett and Price (doi:10.3102/1076998611411915): one is added to both discordant counts.

    Parameters
    ----------
    only_first, only_second : pictures that only one of the two hits.
    n : all pictures.
    """
    _check_level(level)
    if min(only_first, only_second) < 0 or only_first + only_second > n:
        raise UsageError(f"{only_first} and {only_second} discordant pictures of {n} cannot be.")
    if n == 0:
        return Estimate(math.nan, None, None, 0, 0, "Bonett-Price", level, "there are no pictures")
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    middle = first - second
    half = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt((first + second - middle**2) / (n + 2))
    value = (only_first - only_second) / n
    return Estimate(value, max(-1.0, middle - half), min(1.0, middle + half), n, n, "Bonett-Price", level)


@lru_cache(maxsize=4096)
def t_quantile(p: float, df: int) -> float:
    """Quantile of Student's t with a whole number of degrees of freedom, by bisection of its closed form."""
    if not 0 < p < 1 or df < 1:
        raise UsageError(f"Student's t has no quantile at p={p} with {df} degrees of freedom.")
    if p < 0.5:
        return -t_quantile(1 - p, df)
    low, high = 0.0, 1.0
    while _t_cdf(high, df) < p:
        high *= 2
    while high - low > 1e-13 * max(high, 1e-3):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_cdf(middle, df) < p else (low, middle)
    return (low + high) / 2


def _t_cdf(t: float, df: int) -> float:
    """Abramowitz and Stegun 26.7.3 and 26.7.4: finite sums in the angle."""
    angle = math.atan2(t, math.sqrt(df))
    cos2, odd = math.cos(angle) ** 2, df % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0 if df == 1 else term
    for k in range(3 if odd else 2, df - 1, 2):
        term *= cos2 * (k - 1) / k
        total += term
    inside = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return 0.5 + inside / 2


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"level={level} must lie between 0 and 1.")
