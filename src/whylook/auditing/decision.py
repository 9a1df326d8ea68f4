"""From evidence to one of three sentences, in words that are fixed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from whylook.statistics import Comparison, adjusted, assessable, compare, fewest_units
from whylook.statistics.significance import ALPHA

DECLARED = "the declared convention is the best supported"
OTHER = "another convention is better supported"
NOT_ASSESSABLE = "not assessable"
NO_OTHER = "these pictures tell no convention from the declared one"
LEAD = 0.02  # share of the higher mean: a smaller lead is the network's taste for contrast, see docs/audit.md
CHANGED = (
    0.05  # share of the pictures whose first class must change: without that, feeding it otherwise changes nothing
)
ONE_CLASS = 0.8  # share of the pictures: where one class has more, there is nothing to tell conventions by
Kind = Literal["declared", "other", "not assessable"]


@dataclass(frozen=True)
class Candidate:
    """One convention as the decision sees it.

    Parameters
    ----------
    name : what it is called.
    values : [pictures], 0 or 1 for wrong or right, or evidence; higher speaks for it.
    top : [pictures], first classes; −1 where the answer is not finite.
    distance : how much of the declared convention it changes.
    """

    name: str
    values: NDArray[np.float64]
    top: NDArray[np.intp]
    distance: int = 0

    @property
    def mean(self) -> float:
        """Mean over pictures."""
        return float(self.values.mean())


@dataclass(frozen=True)
class Decision:
    """What may be said of the declared convention.

    Parameters
    ----------
    kind : `declared`, `other` or `not assessable`.
    words : the sentence.
    named : index of the convention that is named: the better one, the one that is ahead, or the declared.
    comparisons : one per convention, it less the declared one; None for the declared itself.
    same : names of conventions that these pictures cannot tell from the one that is named.
    """

    kind: Kind
    words: str
    named: int
    comparisons: tuple[Comparison | None, ...]
    same: tuple[str, ...] = ()


def decide(candidates: Sequence[Candidate], *, hits: bool, seed: int = 0) -> Decision:
    """Compare every convention with the declared one, which is the first.

    Another one is called better only if its lead passes Holm over all comparisons, its interval excludes 0, the lead is
    at least `LEAD` of the higher mean, and at least `CHANGED` of the pictures get another first class. Of the better
    ones, those that follow the best by less than `LEAD` cannot be told from it, and the one is named that changes least.
    The declared one is called the best supported only if at least one of the others is lower by more than chance, and,
    without labels, if it names more than one class.

    Parameters
    ----------
    candidates : the declared one, then the others.
    hits : whether the values are 0 or 1.
    seed : of bootstrap and sign flips.
    """
    declared, *others = candidates
    made = adjusted([compare(c.values, declared.values, hits=hits, seed=seed) for c in others])
    comparisons = (None, *made)
    n, m = len(declared.values), len(made)
    if not assessable(n, m):
        pictures = "picture" if n == 1 else "pictures"
        made_of = "comparison" if m == 1 else "comparisons"
        why = f"{n} {pictures}; with {m} {made_of} {fewest_units(m)} are the fewest"
        return Decision("not assessable", f"{NOT_ASSESSABLE} ({why})", 0, comparisons)
    better = [i for i, c in enumerate(made, 1) if _higher(c) and _matters(candidates[i], declared, hits=hits)]
    if better:
        best = max(better, key=lambda i: candidates[i].mean)
        tied = [i for i in better if not _leads(candidates[best], candidates[i], hits=hits)]
        named = min(tied, key=lambda i: (candidates[i].distance, -candidates[i].mean))
        one_class = None if hits else _one_class(candidates[named], f"{candidates[named].name} is ahead, and")
        if one_class:
            return Decision("not assessable", f"{NOT_ASSESSABLE} ({one_class})", named, comparisons)
        words = f"{OTHER}: {candidates[named].name} ({told(made[named - 1], hits=hits)}"
        words += f"; {_changes(candidates[named], declared)} of {n} first classes change)"
        return Decision("other", words, named, comparisons, _names(candidates, tied, named))
    ahead = [i for i, c in enumerate(candidates) if _matters(c, declared, hits=hits)]
    if ahead:
        best = max(ahead, key=lambda i: candidates[i].mean)
        why = f"{candidates[best].name} is ahead, but not by more than chance: {told(made[best - 1], hits=hits)}"
        return Decision("not assessable", f"{NOT_ASSESSABLE} ({why})", best, comparisons)
    not_lower = [i for i, c in enumerate(made, 1) if not _lower(c)]
    if not hits and (one_class := _one_class(declared, "the declared convention")):
        return Decision("not assessable", f"{NOT_ASSESSABLE} ({one_class})", 0, comparisons)
    if len(not_lower) == m:
        return Decision("not assessable", f"{NOT_ASSESSABLE} ({NO_OTHER})", 0, comparisons)
    return Decision("declared", DECLARED, 0, comparisons, _names(candidates, not_lower, 0))


def told(c: Comparison, *, hits: bool) -> str:
    """How much more than the declared convention, with interval and adjusted p."""
    return f"{difference(c, hits=hits)}, Holm p = {p_value(c)}"


def difference(c: Comparison, *, hits: bool) -> str:
    """How much more than the declared convention, with its interval; hits in percentage points."""
    d, factor = c.difference, 100 if hits else 1
    unit, digits = (" points", ".0f") if hits else ("", ".2f")
    ends = [] if d.low is None or d.high is None else [f"{factor * v:+{digits}}" for v in (d.low, d.high)]
    interval = f" [{', '.join(ends)}]" if ends else ""
    return f"{factor * d.value:+{digits}}{unit}{interval}".replace("-", "−")


def p_value(c: Comparison) -> str:
    """The adjusted p, or nothing where it was not adjusted."""
    return "" if c.p_holm is None else f"{c.p_holm:.2g}"


def _higher(c: Comparison) -> bool:
    return c.difference.value > 0 and c.difference.excludes_zero and c.p_holm is not None and c.p_holm < ALPHA


def _lower(c: Comparison) -> bool:
    return c.difference.value < 0 and c.difference.excludes_zero and c.p_holm is not None and c.p_holm < ALPHA


def _leads(one: Candidate, other: Candidate, *, hits: bool) -> bool:
    """Whether one mean is higher by more than is read as nothing: `LEAD` of it; of hits, one picture."""
    least = 1 / len(one.values) if hits else LEAD * abs(one.mean)
    return one.mean - other.mean > least


def _matters(one: Candidate, other: Candidate, *, hits: bool) -> bool:
    return _leads(one, other, hits=hits) and _changes(one, other) >= CHANGED * len(one.top)


def _changes(one: Candidate, other: Candidate) -> int:
    return int((one.top != other.top).sum())


def commonest(top: NDArray[np.intp]) -> float:
    """Share of the pictures that get the commonest first class."""
    return float(np.unique(top, return_counts=True)[1].max() / len(top))


def _one_class(candidate: Candidate, who: str) -> str | None:
    share = commonest(candidate.top)
    return f"{who} names one class for {share:.0%} of the pictures; show several classes" if share > ONE_CLASS else None


def _names(candidates: Sequence[Candidate], tied: Sequence[int], named: int) -> tuple[str, ...]:
    return tuple(candidates[i].name for i in tied if i != named)
