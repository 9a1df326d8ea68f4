"""From paired values to one of three sentences, in words that are fixed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whylook.errors import UsageError
from whylook.statistics.intervals import Estimate, mean_interval, paired_rates
from whylook.statistics.significance import ALPHA, assessable, fewest_units, holm, mcnemar, sign_flip
from whylook.statistics.units import units

NO_DIFFERENCE = "no detectable difference"
NOT_ASSESSABLE = "not assessable"


@dataclass(frozen=True)
class Comparison:
    """Two things measured on the same pictures: how much the first has more than the second.

    Parameters
    ----------
    difference : mean of first less second, with its interval.
    p : two-sided, of this comparison alone.
    p_holm : adjusted for all comparisons made, or None as long as they have not been put together (see `adjusted`).
    missing : pairs left out because a value was missing.
    comparisons : how many were made.
    """

    difference: Estimate
    p: float
    p_holm: float | None = None
    missing: int = 0
    comparisons: int = 1


def compare(
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    *,
    hits: bool = False,
    seed: int = 0,
    test: bool = True,
) -> Comparison:
    """Compare paired values: bootstrap or t interval and sign-flip p; for hits without groups, exact McNemar.

    Parameters
    ----------
    first, second : [n] each, of the same pictures in the same order; NaN where missing.
    groups : one label per picture (the patient), or None.
    hits : the values are 0 or 1.
    seed : of bootstrap and sign flips.
    test : whether signs are flipped here; else p is NaN where they should be, for `sign_flips` of many at once.

    Raises
    ------
    UsageError
        If the two are not of the same length, or hits are not 0 or 1.
    """
    a, b = (np.asarray(v, np.float64).ravel() for v in (first, second))
    if a.shape != b.shape:
        raise UsageError(f"{a.size} and {b.size} values are no pairs.")
    differences = a - b
    there = ~np.isnan(differences)
    missing = int(a.size - there.sum())
    if hits and not np.isin([a[there], b[there]], (0, 1)).all():
        raise UsageError("Hits are 0 or 1; a value between is a rate and is compared as one (hits=False).")
    grouped = groups is not None and len(units(differences, groups).sums) < there.sum()
    if hits and not grouped:
        more, less = int((differences == 1).sum()), int((differences == -1).sum())
        return Comparison(paired_rates(more, less, int(there.sum())), mcnemar(more, less), missing=missing)
    p = sign_flip(differences, groups, seed=seed) if test else np.nan
    return Comparison(mean_interval(differences, groups, seed=seed), p, missing=missing)


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Put all comparisons of a report together: their p-values adjusted by Holm."""
    p_holm = holm([c.p for c in comparisons])
    return [replace(c, p_holm=p, comparisons=len(comparisons)) for c, p in zip(comparisons, p_holm, strict=True)]


@dataclass(frozen=True)
class Verdict:
    """What may be said.

    Parameters
    ----------
    kind : `higher` (the first), `lower`, `no difference` or `not assessable`.
    words : the sentence, made of fixed words and measured numbers.
    """

    kind: Literal["higher", "lower", "no difference", "not assessable"]
    words: str


def verdict(first: str, second: str, made: Sequence[Comparison], *, families: int | None = None) -> Verdict:
    """Say which of two is higher, from one comparison per method (or a single one where no method is meant).

    One is called higher only if all comparisons have the same sign, every interval excludes 0, and every Holm-adjusted
    p is below .05. Nothing is said where the units are too few for the number of comparisons.

    Parameters
    ----------
    first, second : what is compared.
    made : at least one, from `adjusted`.
    families : of how many families their methods are; by default each is of its own, and 0 leaves the words out.

    Raises
    ------
    UsageError
        If there is no comparison, or one was not adjusted.
    """
    if not made or any(c.p_holm is None for c in made):
        raise UsageError("A verdict needs at least one comparison, adjusted for all that were made (see adjusted).")
    n, together = min(c.difference.units for c in made), max(c.comparisons for c in made)
    if not assessable(n, together):
        plural = "comparison leaves" if together == 1 else "comparisons leave"
        fewest = fewest_units(together)
        return Verdict(
            "not assessable",
            f"{NOT_ASSESSABLE} (n = {n}: {together} {plural} no p that could pass; {fewest} are the fewest)",
        )
    signs = {np.sign(c.difference.value) for c in made}
    passed = all(c.difference.excludes_zero and c.p_holm is not None and c.p_holm < ALPHA for c in made)
    if len(signs) != 1 or not passed:
        return Verdict("no difference", NO_DIFFERENCE)
    k = len(made) if families is None else families
    higher = made[0].difference.value > 0
    high, low = (first, second) if higher else (second, first)
    evidence = "interval excludes 0, Holm p < .05"
    if k:
        evidence += f", same sign in {k} of {k} method {'family' if k == 1 else 'families'}"
    return Verdict("higher" if higher else "lower", f"{high} higher than {low} ({evidence})")
