"""From an explanation to a narrative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from whylook.errors import UsageError
from whylook.explanation import Explanation
from whylook.facts.evidence import Evidence
from whylook.facts.measure import facts as measure
from whylook.narration.narrative import Narrative
from whylook.narration.template import template
from whylook.narration.verify import verify

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from whylook.comparison.run import Comparison
    from whylook.facts.fact import Facts


def narrate(
    explanation: Explanation | Evidence | Comparison, mask: ArrayLike | Mapping[str, ArrayLike] | None = None
) -> Narrative:
    """Tell in words what an explanation's maps show, from measured facts, offline.

    Parameters
    ----------
    explanation : of one picture; or a comparison of models (`whylook.compare`).
    mask : bool [H, W] in the picture's coordinates, or several by name: regions that the words may be about.

    Returns
    -------
    The narrative; its claims have passed the same check as those of a language model.

    Raises
    ------
    UsageError
        If a mask does not fit the picture, or is given for a comparison.
    """
    known = (
        measure(explanation, mask) if isinstance(explanation, Explanation | Evidence) else _compared(explanation, mask)
    )
    return Narrative("template", known, verify(template(known), known))


def _compared(comparison: Comparison, mask: object) -> Facts:
    from whylook.facts.compared import of_comparison

    if mask is not None:
        raise UsageError("A comparison has its own masks: mask= is for the explanation of one picture.")
    return of_comparison(comparison)
