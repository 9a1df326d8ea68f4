"""Do two maps of the same picture say the same? `values` and `other` may have different grids."""

from __future__ import annotations

from whylook.errors import UsageError
from whylook.metrics.grids import resample, shifted_ranks, spearman, top_area
from whylook.metrics.metric import Floats, Score, metric


@metric(
    "rank-correlation",
    title="Rank correlation",
    needs="other",
    better=None,
    range=(-1, 1),
    chance="0 for unrelated maps, more for smooth ones",
    paper="arXiv:1810.03292",
    formula="Spearman's ρ over the cells of the coarser grid",
    cost="none: no passes",
    limits="Methods that share a weakness agree; agreement is no proof. An unsigned map is compared with a signed one as "
    "it is.",
)
def rank_correlation(values: Floats, other: Floats) -> Score:
    """Whether two maps rank the parts of the picture alike.

    Returns
    -------
    Score in [−1, 1]. The facts `low` and `high` hold the middle 95 % of what the maps' smoothness alone gives: the
    correlations with one of them moved over the other; `z` is the distance from their mean in their standard deviations.
    """
    facts = shifted_ranks(values, other).facts
    return Score(spearman(values, other), n=min(values.size, other.size), facts=facts)


@metric(
    "top-overlap",
    title="Overlap of the top",
    needs="other",
    better=None,
    range=(0, 1),
    chance="share / (2 − share)",
    paper="none",
    formula="|top of one ∩ top of the other| / |their union|, the tops being the highest `share` of the coarser grid",
    cost="none: no passes",
    limits="Looks at the top only. Methods that share a weakness agree; agreement is no proof.",
)
def top_overlap(values: Floats, other: Floats, *, share: float = 0.1) -> Score:
    """Whether the highest parts of two maps are the same.

    Returns
    -------
    Score in [0, 1]; ties by expectation, each map's by themselves.
    """
    if not 0 < share < 1:
        raise UsageError(f"share={share} must lie between 0 and 1.")
    grid = (min(values.shape[0], other.shape[0]), min(values.shape[1], other.shape[1]))
    area = share * grid[0] * grid[1]
    a, b = (top_area(m if m.shape == grid else resample(m, grid), area) for m in (values, other))
    common = min(float((a * b).sum()), area)
    return Score(common / (2 * area - common), chance=share / (2 - share))
