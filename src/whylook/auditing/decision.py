"""From evidence to one of three sentences, in words that are fixed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from whylook.statistics import Comparison, adjusted, assessable, compare, fewest_units
from whylook.statistics.significance import ALPHA

BEST = "the declared convention is the best supported"
OTHER = "another convention is better supported"
UNKNOWN = "not assessable"
Kind = Literal["declared", "other", "not assessable"]


@dataclass(frozen=True)
class Decision:
    """What may be said of the declared convention.

    Parameters
    ----------
    kind : `declared`, `other` or `not assessable`.
    words : the sentence.
    best : index of the convention that is named.
    comparisons : one per convention, less the declared one; None for the declared itself.
    """

    kind: Kind
    words: str
    best: int
    comparisons: tuple[Comparison | None, ...]


def decide(names: Sequence[str], values: NDArray[np.float64], *, hits: bool, seed: int = 0) -> Decision:
    """Compare every convention with the declared one, which is the first.

    Parameters
    ----------
    names : of the conventions.
    values : [conventions, pictures], higher speaks for a convention.
    hits : whether they are 0 or 1 (whether the first class is right).
    seed : of bootstrap and sign flips.
    """
    made = adjusted([compare(other, values[0], hits=hits, seed=seed) for other in values[1:]])
    comparisons = (None, *made)
    means = values.mean(1)
    best = int(np.argmax(means))
    n, m = values.shape[1], len(made)
    if not assessable(n, m):
        few = f"{n} picture{'s' if n > 1 else ''}; {fewest_units(m)} are the fewest for {m} comparisons"
        return Decision("not assessable", f"{UNKNOWN} ({few})", best, comparisons)
    better = [i for i, c in enumerate(comparisons) if c is not None and _higher(c)]
    if better:
        named = max(better, key=lambda i: means[i])
        c = comparisons[named]
        assert c is not None and c.p_holm is not None
        return Decision("other", f"{OTHER}: {names[named]} ({told(c)})", named, comparisons)
    if best == 0:
        return Decision("declared", BEST, 0, comparisons)
    c = comparisons[best]
    assert c is not None
    return Decision(
        "not assessable", f"{UNKNOWN} ({names[best]} is ahead, by no more than chance: {told(c)})", best, comparisons
    )


def told(c: Comparison) -> str:
    """The difference with its interval and p, as text."""
    d = c.difference
    interval = "" if d.low is None or d.high is None else f" [{d.low:+.2f}, {d.high:+.2f}]"
    return f"{d.value:+.2f}{interval}, Holm p = {c.p_holm:.2g}".replace("-", "−")


def _higher(c: Comparison) -> bool:
    passed = c.p_holm is not None and c.p_holm < ALPHA
    return passed and c.difference.value > 0 and c.difference.excludes_zero
