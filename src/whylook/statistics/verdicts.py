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
) -> Comparison:
    """Compare paired values: bootstrap or t interval and sign-flip p; for hits without groups, exact McNemar.

    Parameters
    ----------
    first, second : [n] each, of the same pictures in the same order; NaN where missing.
    groups : one label per picture (the patient), or None.
    hits : the values are 0 or 1.
    seed : of bootstrap and sign flips.

    Raises
    ------
    UsageError
        If the two are not of the same length, or hits are not 0 or 1.
    """
    a, b = (np.asarray(v, np.float64).ravel() for v in (first, second))
    if a.shape != b.shape:
        raise UsageError(f"{a.size} and {b.size} values are no pairs.")
    differences = a - b
    missing = int(np.isnan(differences).sum())
    if not hits:
        return Comparison(
            mean_interval(differences, groups, seed=seed), sign_flip(differences, groups, seed=seed), missing=missing
        )
    there = ~np.isnan(differences)
    if not np.isin([a[there], b[there]], (0, 1)).all():
        raise UsageError("Hits are 0 or 1; a value between is a rate and is compared as one (hits=False).")
    if groups is not None and len(units(differences, groups).sums) < there.sum():  # several pictures of one patient
        return Comparison(
            mean_interval(differences, groups, seed=seed), sign_flip(differences, groups, seed=seed), missing=missing
        )
    more, less = int((differences == 1).sum()), int((differences == -1).sum())
    return Comparison(paired_rates(more, less, int(there.sum())), mcnemar(more, less), missing=missing)


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


def verdict(first: str, second: str, families: Sequence[Comparison]) -> Verdict:
    """Say which of two is higher, from one comparison per method family (or a single one where there are no families).

    One is called higher only if all families have the same sign, every interval excludes 0, and every Holm-adjusted p
    is below .05. Nothing is said where the units are too few for the number of comparisons.

    Parameters
    ----------
    first, second : what is compared.
    families : at least one, from `adjusted`.

    Raises
    ------
    UsageError
        If there is no comparison, or one was not adjusted.
    """
    if not families or any(c.p_holm is None for c in families):
        raise UsageError("A verdict needs at least one comparison, adjusted for all that were made (see adjusted).")
    n, made = min(c.difference.units for c in families), max(c.comparisons for c in families)
    if not assessable(n, made):
        plural = "comparison leaves" if made == 1 else "comparisons leave"
        return Verdict(
            "not assessable",
            f"{NOT_ASSESSABLE} (n = {n}: {made} {plural} no p that could pass; {fewest_units(made)} are the fewest)",
        )
    signs = {np.sign(c.difference.value) for c in families}
    passed = all(c.difference.excludes_zero and c.p_holm is not None and c.p_holm < ALPHA for c in families)
    if len(signs) != 1 or not passed:
        return Verdict("no difference", NO_DIFFERENCE)
    k = len(families)
    higher = families[0].difference.value > 0
    high, low = (first, second) if higher else (second, first)
    evidence = f"interval excludes 0, Holm p < .05, same sign in {k} of {k} method families"
    return Verdict("higher" if higher else "lower", f"{high} higher than {low} ({evidence})")
