"""Does the map lie on the region that a person marked?

Throughout, `values` is the map and `coverage` the share of each of its cells that the mask covers, both [h, w]. Signed
maps are taken by their positive part, the evidence for the target. Everything is computed at the map's own grid, so a
coarse map is not made to look finer than it is.
"""

from __future__ import annotations

import numpy as np

from whylook.metrics.grids import positive, shifted, top_area
from whylook.metrics.metric import Floats, Score, metric

_FREE = "none: no passes"
_ATTENTION = (
    "It measures where a map lies, not whether the map tells what the network reads; a network may be right for "
)
_MAY = _ATTENTION + "a reason outside of the mask."


@metric(
    "mass",
    title="Mass in mask",
    needs="mask",
    better="higher",
    range=(0, 1),
    chance="the mask's share of the area",
    paper="arXiv:2003.07258",
    formula="Σ relu(v) · coverage / Σ relu(v)",
    cost=_FREE,
    limits="Grows with the mask, so it says nothing without the area share beside it: prefer the enrichment.",
)
def mass(values: Floats, coverage: Floats) -> Score:
    """Share of the map's evidence that lies in the mask.

    Returns
    -------
    Score in [0, 1]; chance is the mask's share of the area.
    """
    evidence = positive(values)
    return Score(min(1.0, float((evidence * coverage).sum() / evidence.sum())), chance=float(coverage.mean()))


@metric(
    "enrichment",
    title="Enrichment in mask",
    needs="mask",
    better="higher",
    range=(0, np.inf),
    chance=1.0,
    paper="none",
    formula="mass / area share of the mask",
    cost=_FREE,
    limits="Its largest value is 1 / area share, less where the mask fills no cell of the map: small masks can reach more "
    "than large ones, and fine maps more than coarse ones. " + _MAY,
)
def enrichment(values: Floats, coverage: Floats) -> Score:
    """How much denser the map's evidence is in the mask than over the whole picture.

    Returns
    -------
    Score from 0; 1 for a map that is the same everywhere, 1 / area share for one that is nothing outside of the mask.
    The facts hold the `area` share and the `largest` value that there can be at the map's grid (all of it in the cell that
    the mask fills most), and, as `low` and `high`, the middle 95 % of what the same mask holds at other places of the
    picture; `z` is the distance from their mean in their standard deviations.
    """
    share = float(coverage.mean())
    inside = mass(values, coverage).value
    assert inside is not None
    evidence = positive(values)
    moved = shifted(evidence / evidence.sum(), coverage)
    largest = float(coverage.max()) / share
    facts = {"area": share, "largest": largest, "low": moved.low / share, "high": moved.high / share, "z": moved.z}
    return Score(inside / share, chance=1.0, facts=facts)


@metric(
    "rank-accuracy",
    title="Relevance rank accuracy",
    needs="mask",
    better="higher",
    range=(0, 1),
    chance="the mask's share of the area",
    paper="arXiv:2003.07258",
    formula="share of the mask's area K that the K highest cells cover",
    cost=_FREE,
    limits="Looks at the order only, not at how much higher the highest cells are. " + _MAY,
)
def rank_accuracy(values: Floats, coverage: Floats) -> Score:
    """How much of the highest part of the map, as large as the mask, lies in the mask.

    Returns
    -------
    Score in [0, 1]; ties by expectation.
    """
    area = float(coverage.sum())
    return Score(_overlap(values, coverage) / area, chance=float(coverage.mean()))


@metric(
    "iou",
    title="IoU at equal area",
    needs="mask",
    better="higher",
    range=(0, 1),
    chance="a / (2 − a) for the mask's share a of the area",
    paper="arXiv:1512.04150",
    formula="|top ∩ mask| / |top ∪ mask|, the top being the highest cells of the mask's area",
    cost=_FREE,
    limits="A monotone function of the rank accuracy, r / (2 − r): not a second witness. Needs no threshold, because "
    "the area is the mask's. " + _MAY,
)
def iou(values: Floats, coverage: Floats) -> Score:
    """Intersection over union of the mask and the highest part of the map of the same area.

    Returns
    -------
    Score in [0, 1]; ties by expectation of the intersection.
    """
    common, area, share = _overlap(values, coverage), float(coverage.sum()), float(coverage.mean())
    return Score(common / (2 * area - common), chance=share / (2 - share))


@metric(
    "auprc",
    title="Area under the precision-recall curve",
    needs="mask",
    better="higher",
    range=(0, 1),
    chance="the mask's share of the area",
    paper="doi:10.1148/ryai.2021200267",
    formula="Σ (recall step) · precision, from the highest cells down; ties in one step",
    cost=_FREE,
    limits="Depends on the mask's share of the area, its chance level. " + _MAY,
)
def auprc(values: Floats, coverage: Floats) -> Score:
    """Average precision of the map as a detector of the mask, over all thresholds.

    Returns
    -------
    Score in (0, 1].
    """
    evidence = positive(values).ravel()
    order = np.argsort(-evidence, kind="stable")
    found, looked = np.cumsum(coverage.ravel()[order]), np.arange(1, evidence.size + 1)
    ends = np.append(np.flatnonzero(np.diff(evidence[order])), evidence.size - 1)  # last cell of each group of ties
    recall, precision = found[ends] / found[-1], found[ends] / looked[ends]
    value = float((np.diff(recall, prepend=0.0) * precision).sum())
    return Score(min(1.0, value), chance=float(coverage.mean()))


@metric(
    "pointing",
    title="Pointing game",
    needs="mask",
    better="higher",
    range=(0, 1),
    chance="the share of cells that the mask touches",
    paper="arXiv:1608.00507",
    formula="whether the mask lies within half a cell of the map's maximum",
    cost=_FREE,
    limits="One point of the map decides; needs many pictures. The tolerance, half a cell of the map's grid, favors "
    "coarse maps: compare with the chance level. " + _MAY,
)
def pointing(values: Floats, coverage: Floats) -> Score:
    """Whether the map's highest cell touches the mask.

    Returns
    -------
    Score of 0 or 1; where several cells are highest, the share of them that touch.
    """
    evidence, touched = positive(values), coverage > 0
    return Score(float(touched[evidence == evidence.max()].mean()), chance=float(touched.mean()))


@metric(
    "hit-rate",
    title="Hit rate over instances",
    needs="mask",
    better="higher",
    range=(0, 1),
    chance="that of the random dummy",
    paper="none",
    formula="share of instances of which at least half lies in the highest cells, as many as all instances cover",
    cost=_FREE,
    limits="With a single instance it only says whether the rank accuracy reaches one half; an instance much smaller "
    "than a cell is hit or missed with its cell. " + _MAY,
)
def hit_rate(values: Floats, coverage: Floats, instances: Floats) -> Score:
    """How many of several marked things the map finds.

    Returns
    -------
    Score in [0, 1], n the number of instances that the model was shown.
    """
    top = top_area(positive(values), float(coverage.sum()))
    found = (top * instances).sum((1, 2)) >= instances.sum((1, 2)) / 2 - 1e-9
    return Score(float(found.mean()), n=len(instances))


def _overlap(values: Floats, coverage: Floats) -> float:
    """Area of the mask within the highest cells of the mask's area, at most that area."""
    area = float(coverage.sum())
    return min(float((top_area(positive(values), area) * coverage).sum()), area)
