"""Does the answer rest on the picture by more than that of a network which has learned nothing?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whylook.errors import Unsupported
from whylook.metrics import Case, Score
from whylook.metrics.metric import generator
from whylook.perturbed import Perturbed, perturbing
from whylook.randomize import forgetting

COPIES = 3
_BASELINE = "blur"  # that of deletion, so that the own fall costs nothing more


def falls_of_copies(case: Case, copies: int = COPIES) -> list[float]:
    """What copies of the case's network with random weights lose, each of its own top class, where all is blurred.

    Parameters
    ----------
    case : with the network at hand.
    copies : how many.

    Returns
    -------
    Falls of the margin (log-odds), one per copy whose answers are finite; none where the network cannot forget. They
    depend on the network, the picture and the seed alone: maps and classes share them.
    """
    assert case.perturbed is not None
    assert case.remake is not None
    x, found = case.remake.x, []
    for seed in generator(case.seed, "reliance", case.picture).integers(0, 2**31, copies):
        try:
            twin = next(iter(forgetting(case.remake.network, x, seed=int(seed))))[1]
        except Unsupported:
            return []
        with perturbing(twin, x, seed=case.seed, evaluations=2) as board:
            logits, one_logit = board.logits(np.ones((1, 1, 1), bool), 0)
            top = int(logits[0, 0] > 0) if one_logit else int(logits[0].argmax())
            found.append(_fall(Perturbed(board, top, softmax=case.perturbed.softmax)))
    return [fall for fall in found if np.isfinite(fall)]


def reliance(case: Case, copies: Sequence[float]) -> Score:
    """How much more the target loses where all of the picture is blurred than any copy's answer does.

    Parameters
    ----------
    case : with the network at hand.
    copies : from `falls_of_copies`.

    Returns
    -------
    Score in log-odds. Facts: `fall`, the target's own, and `low` and `high`, the copies'.
    """
    assert case.perturbed is not None
    own = _fall(Perturbed(case.perturbed.board, case.perturbed.target, softmax=case.perturbed.softmax))
    if not np.isfinite(own):
        return Score(None, "the network's answers are not finite")
    if not copies:
        return Score(None, "there is no copy with random weights, or none that answers in finite numbers")
    facts = {"fall": own, "low": min(copies), "high": max(copies)}
    return Score(own - max(0.0, *copies), n=len(copies), facts=facts)


def _fall(seen: Perturbed) -> float:
    return seen.clean("margin") - seen.empty(_BASELINE, "margin")
