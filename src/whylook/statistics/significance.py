"""Tests that assume little: sign flips, discordant pairs, and what many of them at once leave of a p-value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whylook.errors import UsageError
from whylook.statistics.intervals import t_quantile
from whylook.statistics.units import units

EXACT = 12  # units; up to 2^12 sign patterns are all looked at
ALPHA = 0.05
RESAMPLES = 19_999
_CHUNK = 4_000_000  # signs held at once


def sign_flip(
    differences: ArrayLike,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> float:
    """Two-sided p of paired differences: had the two sides of each unit been swapped by the toss of a coin.

    All members of a group are swapped together. Up to 12 units that differ, every pattern of signs is looked at and p
    is exact; beyond, (b + 1) / (B + 1) of B random patterns, which never is 0 and keeps the level
    (doi:10.2202/1544-6115.1585).

    Parameters
    ----------
    differences : [n], NaN where missing.
    groups : one label per difference, or None.
    resamples, seed : B and its randomness, where p is not exact.

    Returns
    -------
    p in (0, 1]; 1 where nothing differs.
    """
    return sign_flips([units(differences, groups).sums], resamples=resamples, seed=seed)[0]


def sign_flips(tests: Sequence[ArrayLike], *, resamples: int = RESAMPLES, seed: int = 0) -> list[float]:
    """`sign_flip` of many tests at once; each p is what it is alone.

    Parameters
    ----------
    tests : per test its units' sums of differences (see `units`), each of its own length.
    resamples, seed : B and its randomness, where p is not exact.
    """
    # A unit that does not differ is the same either way.
    sums = [s[s != 0] for s in (np.asarray(test, np.float64).ravel() for test in tests)]
    found = [_every_pattern(s) if len(s) <= EXACT else 1.0 for s in sums]
    by_length: dict[int, list[int]] = {}
    for i, s in enumerate(sums):
        if len(s) > EXACT:
            by_length.setdefault(len(s), []).append(i)
    for length, members in by_length.items():  # tests of one length share the patterns
        table = np.stack([sums[i] for i in members], 1)
        reached = np.array([_reached(sums[i]) for i in members])
        rng, rows, beyond = np.random.default_rng(seed), max(1, _CHUNK // length), np.zeros(len(members), np.int64)
        for start in range(0, resamples, rows):
            signs = 1.0 - 2 * rng.integers(0, 2, (min(rows, resamples - start), length), dtype=np.int8)
            beyond += (abs(signs @ table) >= reached).sum(0)
        for i, b in zip(members, beyond, strict=True):
            found[i] = (int(b) + 1) / (resamples + 1)
    return found


def _every_pattern(sums: NDArray[np.float64]) -> float:
    if not len(sums):
        return 1.0
    patterns = (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1
    return float((abs((1 - 2 * patterns) @ sums) >= _reached(sums)).mean())


def _reached(sums: NDArray[np.float64]) -> float:
    """What a pattern has to reach: the sum itself, less what sums in another order round differently."""
    return abs(math.fsum(sums)) - 1e-9 * math.fsum(abs(sums))


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p of McNemar's test: are the pictures that only one of two hits split like tosses of a coin?

    Parameters
    ----------
    only_first, only_second : discordant pictures, hit by one of the two only.

    Returns
    -------
    p in (0, 1]; 1 where there are none.
    """
    if min(only_first, only_second) < 0:
        raise UsageError(f"{only_first} and {only_second} discordant pictures cannot be.")
    n, k = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return float(min(1.0, 2 * tail / 2**n)) if n < 1000 else min(1.0, 2 * math.exp(math.log(tail) - n * math.log(2)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of a family of tests, by Holm's step-down method (jstor:4615733); in the order given."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (len(p_values) - rank) * float(p_values[i])))
        adjusted[int(i)] = highest
    return adjusted


def assessable(n: int, comparisons: int = 1, *, alpha: float = ALPHA) -> bool:
    """Whether n units could show anything at all: the smallest p that sign flips leave, 2 / 2ⁿ, must pass Holm."""
    return n >= fewest_units(comparisons, alpha=alpha)


def fewest_units(comparisons: int = 1, *, alpha: float = ALPHA) -> int:
    """Smallest n with 2 · comparisons / 2ⁿ < alpha."""
    if comparisons < 1:
        raise UsageError(f"There is no verdict on {comparisons} comparisons.")
    n = 1
    while 2 * comparisons / 2**n >= alpha:
        n += 1
    return n


def needed_n(effect: float, spread: float, *, comparisons: int = 1, power: float = 0.8, alpha: float = ALPHA) -> int:
    """Units needed to see a mean paired difference, two-sided, as the first of several comparisons.

    The t approximation: the least n at which effect · √n / spread is the sum of Student's quantiles for 1 − α / (2 m)
    and for the power. For normal differences it is within two units of the exact answer.

    Parameters
    ----------
    effect : the difference wished to be seen; its sign does not matter.
    spread : standard deviation of the differences of units.
    comparisons : m; α is divided by it, as Holm does for the smallest p.
    power : probability of seeing it.

    Returns
    -------
    Number of units, never fewer than could pass at all.

    Raises
    ------
    UsageError
        If the effect is 0, the spread not positive, or power or alpha are not in (0, 1).
    """
    if effect == 0 or not math.isfinite(effect) or not (spread > 0 and math.isfinite(spread)):
        raise UsageError(f"No number of pictures shows an effect of {effect} where the spread is {spread}.")
    if not (0 < power < 1 and 0 < alpha < 1):
        raise UsageError(f"power={power} and alpha={alpha} must lie between 0 and 1.")
    ratio, tail = abs(effect) / spread, 1 - alpha / (2 * comparisons)
    wide = NormalDist().inv_cdf(tail)
    start = ((wide + NormalDist().inv_cdf(power)) / ratio) ** 2
    n = max(fewest_units(comparisons, alpha=alpha), math.floor(start))
    if start > 300:  # what Student's t adds to the normal answer does not change any more (Guenther 1981)
        return math.ceil(start + wide * wide / 2)
    while ratio * math.sqrt(n) < t_quantile(tail, n - 1) + t_quantile(power, n - 1):
        n += 1
    return n
