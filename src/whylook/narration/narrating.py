"""From an explanation to a narrative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from whylook.facts.measure import facts as measure
from whylook.narration.narrative import Narrative
from whylook.narration.template import template
from whylook.narration.verify import verify

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from whylook.explanation import Explanation
    from whylook.facts.evidence import Evidence


def narrate(explanation: Explanation | Evidence, mask: ArrayLike | Mapping[str, ArrayLike] | None = None) -> Narrative:
    """Tell in words what an explanation's maps show, from measured facts, offline.

    Parameters
    ----------
    explanation : of one picture.
    mask : bool [H, W] in the picture's coordinates, or several by name: regions that the words may be about.

    Returns
    -------
    The narrative; its claims have passed the same check as those of a language model.

    Raises
    ------
    UsageError
        If a mask does not fit the picture.
    """
    known = measure(explanation, mask)
    return Narrative("template", known, verify(template(known), known))
