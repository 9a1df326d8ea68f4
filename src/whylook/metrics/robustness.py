"""Does the map stay where it must? The same picture, mirrored or changed a little, has the same evidence in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from whylook.errors import UsageError
from whylook.metrics.grids import shifted_ranks, spearman
from whylook.metrics.metric import Floats, NotAssessable, Score, metric

if TYPE_CHECKING:
    from whylook.remake import Remake


@metric(
    "flip-consistency",
    title="Flip consistency",
    needs="remake",
    better="higher",
    range=(-1, 1),
    chance="0; dummies that follow the picture reach 1",
    paper="none",
    formula="rank correlation of the map with that of the mirrored picture, mirrored back",
    cost="1 map",
    limits="Only where left and right mean the same: letters, organs and markers have a side. A map can be stable and "
    "wrong.",
)
def flip_consistency(values: Floats, remake: Remake) -> Score:
    """Whether the map of the mirrored picture is the mirrored map.

    Returns
    -------
    Score in [−1, 1]. The facts are those of the rank correlation.
    """
    mirrored = remake(x=remake.x.flip(-1))[:, ::-1]
    return Score(spearman(values, mirrored), n=1, facts=shifted_ranks(values, mirrored).facts)


@metric(
    "max-sensitivity",
    title="Max-sensitivity",
    needs="remake",
    better="lower",
    range=(0, np.inf),
    chance="0 for an explainer that never changes",
    paper="arXiv:1901.09392",
    formula="max over noise |ε| ≤ `radius` · range of ‖map(x + ε) − map(x)‖",
    cost="`samples` maps",
    limits="In the map's own units, so not comparable between methods: take the fact `relative`, divided by ‖map(x)‖. "
    "A largest value of few samples underestimates.",
    scale_free=False,
)
def max_sensitivity(
    values: Floats, remake: Remake, *, samples: int = 8, radius: float = 0.02, rng: np.random.Generator
) -> Score:
    """How far the map moves, at most, under noise that nobody sees.

    Returns
    -------
    Score in the map's units (Euclidean norm over cells); the fact `relative` is divided by the map's own norm.
    """
    import torch

    if samples < 1 or not radius > 0:
        raise UsageError(
            f"max-sensitivity needs samples of 1 or more and a radius above 0, not {samples} and {radius}."
        )
    x, size = remake.x, float(np.linalg.norm(values))
    reach = radius * float(x.max() - x.min())
    noises = (torch.from_numpy(rng.uniform(-reach, reach, tuple(x.shape))).to(x) for _ in range(samples))
    again = [remake(x=x + noise) for noise in noises]
    if any(m.shape != values.shape for m in again):
        raise NotAssessable("the map that was made again has another grid")
    moved = max(float(np.linalg.norm(m - values)) for m in again)
    return Score(moved, n=samples, facts={"relative": moved / size} if size else {})
