"""Whether a claim says what its facts say; one that cannot be checked is dropped like one that is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from whylook.narration.checks import fault
from whylook.narration.claims import Claim, Dropped, Verified

if TYPE_CHECKING:
    from whylook.facts.fact import Facts


def verify(claims: Iterable[Claim], facts: Facts) -> Verified:
    """Check every claim against the facts that it cites.

    Kept is what passes every rule of `whylook.narration.checks`: numbers equal a cited fact as it is shown, names are
    those of the cited facts, comparisons go the way the values go, and nothing is said of causes, certainty or
    diagnoses. Required limits that no kept claim states are added.

    Parameters
    ----------
    claims : of any narrator.
    facts : of the picture.

    Returns
    -------
    What was kept, what was dropped and why, and which limits were added.
    """
    kept: list[Claim] = []
    dropped: list[Dropped] = []
    for claim in claims:
        reason = fault(claim, facts)
        if reason is None:
            kept.append(claim)
        else:
            dropped.append(Dropped(claim, reason))
    stated = {i for c in kept if c.kind == "limit" for i in c.fact_ids}
    added = tuple(Claim(f.text, (f.id,), "limit") for f in facts.limits if f.id not in stated)
    return Verified(tuple(kept), tuple(dropped), added)
