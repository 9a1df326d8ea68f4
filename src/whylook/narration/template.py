"""The narrator that needs no one: sentences put together from facts, the same for the same facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whylook.narration.claims import Claim
from whylook.narration.telling_answers import answers, first_answers
from whylook.narration.telling_collections import findings, levels, of_collection
from whylook.narration.telling_maps import may_read, of_model, places, warnings_and_gaps
from whylook.narration.telling_pairs import agreement, agreement_in_short, believed, believed_in_short

if TYPE_CHECKING:
    from whylook.facts.fact import Facts

_LAST = ("limit.untested", "limit.cause", "limit.no-finding")  # limits that the summary ends with


def template(facts: Facts) -> tuple[Claim, ...]:
    """Tell the facts in sentences.

    Parameters
    ----------
    facts : of one picture, or of a comparison.

    Returns
    -------
    Claims, in reading order: a summary (what the models say, where their maps lie, whether they agree, whether they can
    be believed, what must not be concluded), and then the same in full, with limits at the end.
    """
    summary = (
        *first_answers(facts), *of_collection(facts), *places(facts), *may_read(facts), *agreement_in_short(facts),
        *believed_in_short(facts), *findings(facts),
    )  # fmt: skip
    last = [Claim(facts[i].text, (i,), "limit", True) for i in _LAST if i in facts]
    return (
        *summary,
        *last,
        *answers(facts),
        *(claim for model in facts.models for claim in of_model(facts, model)),
        *agreement(facts),
        *believed(facts),
        *levels(facts),
        *warnings_and_gaps(facts),
        *(Claim(f.text, (f.id,), "limit") for f in facts.named("limit") if f.id not in _LAST),
    )
