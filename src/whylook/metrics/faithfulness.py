"""Does the network's answer depend on what the map marks? Blocks of the picture are filled in, and the answer watched.

Throughout, `values` is the map [h, w], signed where the method is, and `perturbed` evaluates the network. Blocks are as
coarse as the map, and at most `cells` along a side. `baseline` is what fills them: `blur`, `mean`, `noisy-linear`, a
number or a tensor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whylook.errors import UsageError
from whylook.geometry import Geometry
from whylook.metrics import blocks
from whylook.metrics.grids import pearson, positive
from whylook.metrics.metric import Floats, NotAssessable, Score, generator, metric
from whylook.statistics import t_quantile

if TYPE_CHECKING:
    from whylook.engine.targets import ScoreName
    from whylook.perturbed import Perturbed

_FILLED = "A filled picture is none that the network was trained on, so part of the change is surprise. "
_RAW = (
    _FILLED
    + "Depends on how steeply the network's score falls for any order: compare maps of one network and picture, "
    "never networks (arXiv:2408.08137); for these take the gap."
)
_CURVE_COST = "`steps` evaluations, and for all maps of the same grain together `orders` · `steps`"


@metric(
    "deletion",
    title="Deletion",
    needs="perturbed",
    better="lower",
    range=(0, 1),
    chance="the mean over random orders of blocks",
    paper="arXiv:1806.07421",
    formula="area under the probability while blocks are filled in, highest first",
    cost=_CURVE_COST,
    limits=_RAW,
)
def deletion(
    values: Floats, perturbed: Perturbed, *, baseline: Any = "blur", score: ScoreName = "probability",
    cells: int = blocks.CELLS, steps: int = 16, orders: int = 8, rng: np.random.Generator,
) -> Score:  # fmt: skip
    """How fast the score falls when the map's highest blocks are filled in first.

    Returns
    -------
    Score: the mean of the curve over the share that is filled in, in units of `score`. The curves hold the map's and
    the band of random orders; the fact `p` is (b + 1) / (orders + 1), b random orders being as good or better.
    """
    return _raw(values, perturbed, "deletion", baseline, score, cells, steps, orders, rng)


@metric(
    "insertion",
    title="Insertion",
    needs="perturbed",
    better="higher",
    range=(0, 1),
    chance="the mean over random orders of blocks",
    paper="arXiv:1806.07421",
    formula="area under the probability while blocks are put back, highest first",
    cost=_CURVE_COST + ", which serve deletion, too",
    limits=_RAW,
)
def insertion(
    values: Floats, perturbed: Perturbed, *, baseline: Any = "blur", score: ScoreName = "probability",
    cells: int = blocks.CELLS, steps: int = 16, orders: int = 8, rng: np.random.Generator,
) -> Score:  # fmt: skip
    """How fast the score rises when the map's highest blocks are put back first into a filled picture.

    Returns
    -------
    Score, as for deletion.
    """
    return _raw(values, perturbed, "insertion", baseline, score, cells, steps, orders, rng)


_GAP_LIMITS = (
    _FILLED + "Missing where filling in the whole picture does not lower the score. Above 1 or below −1 where "
)
_GAP_LIMITS += "the score leaves the span between the clean and the filled picture on the way."


@metric(
    "deletion-gap",
    title="Normalized deletion gap",
    needs="perturbed",
    better="higher",
    range=(-math.inf, math.inf),
    chance=0.0,
    paper="arXiv:2408.08137",
    formula="(area of random orders − area of the map's order) / (clean score − filled score)",
    cost=_CURVE_COST + ", which serve deletion, too",
    limits=_GAP_LIMITS,
)
def deletion_gap(
    values: Floats, perturbed: Perturbed, *, baseline: Any = "blur", score: ScoreName = "margin",
    cells: int = blocks.CELLS, steps: int = 16, orders: int = 8, rng: np.random.Generator,
) -> Score:  # fmt: skip
    """How much faster than along random orders the score falls, in units of its whole fall; comparable across networks.

    Returns
    -------
    Score; the interval is that of the mean over random orders. The facts `low` and `high` are the gaps of the worst and
    the best random order from the mean of all, and `z` is the gap in standard deviations of random orders.
    """
    return _gap(values, perturbed, "deletion", baseline, score, cells, steps, orders, rng)


@metric(
    "insertion-gap",
    title="Normalized insertion gap",
    needs="perturbed",
    better="higher",
    range=(-math.inf, math.inf),
    chance=0.0,
    paper="arXiv:2408.08137",
    formula="(area of the map's order − area of random orders) / (clean score − filled score)",
    cost=_CURVE_COST + ", which serve insertion, too",
    limits=_GAP_LIMITS,
)
def insertion_gap(
    values: Floats, perturbed: Perturbed, *, baseline: Any = "blur", score: ScoreName = "margin",
    cells: int = blocks.CELLS, steps: int = 16, orders: int = 8, rng: np.random.Generator,
) -> Score:  # fmt: skip
    """How much faster than along random orders the score rises, in units of its whole rise; comparable across networks.

    Returns
    -------
    Score, as for the deletion gap.
    """
    return _gap(values, perturbed, "insertion", baseline, score, cells, steps, orders, rng)


@metric(
    "road",
    title="ROAD",
    needs="perturbed",
    better="higher",
    range=(-1, 1),
    chance=0.0,
    paper="arXiv:2202.00449",
    formula="mean over shares of p(lowest blocks removed) − p(highest blocks removed), filled by noisy linear imputation",
    cost="2 · number of `shares` evaluations, and as many imputations",
    limits="The imputation hides the shape of what was removed better than a constant, but large holes become smooth. "
    "Like deletion, not comparable across networks.",
)
def road(
    values: Floats, perturbed: Perturbed, *, shares: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
    score: ScoreName = "probability", cells: int = blocks.CELLS, rng: np.random.Generator,
) -> Score:  # fmt: skip
    """Whether removing what the map marks hurts more than removing what it does not, where removal hides itself.

    Returns
    -------
    Score in units of `score`; the curves hold both orders.
    """
    grid = blocks.grain(values, perturbed.input_shape, cells)
    ordered = blocks.order(values, perturbed.input_shape, grid, rng)
    if not shares or min(shares) <= 0 or max(shares) >= 1:
        raise UsageError(f"shares={shares} must lie between 0 and 1.")
    removed = np.unique(np.rint(np.asarray(shares) * len(ordered)).astype(np.intp).clip(1, max(1, len(ordered) - 1)))
    most, least = (
        perturbed.scores(~blocks.first(o, removed, grid), "noisy-linear", score) for o in (ordered, ordered[::-1])
    )
    curves = {"share": removed / len(ordered), "most relevant first": most, "least relevant first": least}
    return Score(float((least - most).mean()), n=len(removed), curves=_tuples(curves))


@metric(
    "sensitivity-n",
    title="Sensitivity-n",
    needs="perturbed",
    better="higher",
    range=(-1, 1),
    chance=0.0,
    paper="arXiv:1711.06104",
    formula="correlation of Σ v over n random blocks with the fall of the score when they are filled in, mean over n",
    cost="`samples` · number of `shares` evaluations, for all maps of the same grain together",
    limits=_FILLED + "Meant for maps in units of the score whose zero is the baseline; 1 for the exact map of a linear "
    "network. Unsigned maps and CAMs are judged as if they were such.",
)
def sensitivity_n(
    values: Floats, perturbed: Perturbed, *, baseline: Any = "blur", score: ScoreName = "logit",
    cells: int = blocks.CELLS, shares: Sequence[float] = (0.1, 0.3, 0.5), samples: int = 32,
) -> Score:  # fmt: skip
    """Whether the map's sum over a set of blocks tells how much the score falls without them.

    Returns
    -------
    Score; the interval by Fisher's transformation of each correlation, averaged like them.
    """
    sums, falls = _subsets(values, perturbed, baseline, score, cells, shares, samples)
    found = [pearson(s, f) for s, f in zip(sums, falls, strict=True)]
    z = np.arctanh(np.clip(found, -1 + 1e-12, 1 - 1e-12))
    half = 1.959964 / math.sqrt(len(found) * (samples - 3))
    low, high = (float(np.tanh(z + side).mean()) for side in (-half, half))
    return Score(float(np.mean(found)), interval=(low, high), n=sums.size)


@metric(
    "infidelity",
    title="Infidelity, scaled",
    needs="perturbed",
    better="lower",
    range=(0, 1),
    chance=1.0,
    paper="arXiv:1901.09392",
    formula="min over β ≥ 0 of Σ (β · Σ v − fall)² / Σ fall², over random sets of blocks",
    cost="those of sensitivity-n, which serve it, too",
    limits=_FILLED + "The map's scale is left free, its zero is not. Meant for maps in units of the score.",
)
def infidelity(
    values: Floats, perturbed: Perturbed, *, baseline: Any = "blur", score: ScoreName = "logit",
    cells: int = blocks.CELLS, shares: Sequence[float] = (0.1, 0.3, 0.5), samples: int = 32,
) -> Score:  # fmt: skip
    """How much of the score's falls, when random sets of blocks are filled in, the map leaves unexplained.

    Returns
    -------
    Score: 0 where the map, times some number, foretells every fall, 1 where it helps no more than a map of zeros.
    """
    sums, falls = (a.ravel() for a in _subsets(values, perturbed, baseline, score, cells, shares, samples))
    if not falls.any():
        raise NotAssessable("the score does not change when parts of the picture are filled in")
    if not sums.any():
        return Score(1.0, n=sums.size)
    sums, falls = sums / abs(sums).max(), falls / abs(falls).max()
    explained = max(0.0, float(sums @ falls)) ** 2 / float((sums @ sums) * (falls @ falls))
    return Score(min(1.0, max(0.0, 1 - explained)), n=sums.size)


_DROP_LIMITS = "Favors maps that cover much of the picture: a map that is the same everywhere scores perfectly. The "
_DROP_LIMITS += "probability is not calibrated, and near 1 it hardly moves."


@metric(
    "average-drop",
    title="Average drop",
    needs="perturbed",
    better="lower",
    range=(0, 1),
    chance="that of the dummies; 0 for a uniform map",
    paper="arXiv:1710.11063",
    formula="max(0, p − p(x · map)) / p, the map scaled to a maximum of 1",
    cost="1 evaluation",
    limits=_DROP_LIMITS,
)
def average_drop(values: Floats, perturbed: Perturbed, *, baseline: Any = 0.0) -> Score:
    """Share of the probability that is lost where only what the map marks is shown; averaged over pictures later.

    Returns
    -------
    Score; the facts hold both probabilities.
    """
    before, after = _shown(values, perturbed, baseline)
    if before <= 0:
        raise NotAssessable("the probability of the target is zero")
    return Score(max(0.0, before - after) / before, facts={"probability": before, "shown": after})


@metric(
    "average-increase",
    title="Average increase",
    needs="perturbed",
    better="higher",
    range=(0, 1),
    chance="that of the dummies; 0 for a uniform map",
    paper="arXiv:1710.11063",
    formula="whether p(x · map) > p, the map scaled to a maximum of 1",
    cost="1 evaluation, that of average-drop",
    limits=_DROP_LIMITS,
)
def average_increase(values: Floats, perturbed: Perturbed, *, baseline: Any = 0.0) -> Score:
    """Whether the network is surer where only what the map marks is shown; averaged over pictures later.

    Returns
    -------
    Score of 0 or 1; the facts hold both probabilities.
    """
    before, after = _shown(values, perturbed, baseline)
    return Score(float(after > before), facts={"probability": before, "shown": after})


@metric(
    "knock-out",
    title="Top-region knock-out",
    needs="perturbed",
    better="higher",
    range=(0, 1),
    chance=0.5,
    paper="none",
    formula="rank of the margin's fall when the top `share` is filled in, among the same shape at random places",
    cost="1 + `samples` evaluations",
    limits="The shape is moved around the picture's edges, so it may fall apart there. One region of one size decides.",
)
def knock_out(
    values: Floats, perturbed: Perturbed, *, share: float = 0.1, baseline: Any = "noisy-linear",
    score: ScoreName = "margin", cells: int = blocks.CELLS, samples: int = 24, rng: np.random.Generator,
) -> Score:  # fmt: skip
    """Whether losing the map's top region hurts more than losing a region of the same shape elsewhere.

    Returns
    -------
    Score: the share of random places at which the fall is smaller, ties counting half. Facts: `fall`, the `median` of
    the random falls, and `p` = (b + 1) / (n + 1).
    """
    if not 0 < share < 1 or samples < 1:
        raise UsageError(
            f"knock-out needs a share between 0 and 1 and samples of 1 or more, not {share} and {samples}."
        )
    grid = blocks.grain(values, perturbed.input_shape, cells)
    ordered = blocks.order(values, perturbed.input_shape, grid, rng)
    size = max(1, round(share * len(ordered)))
    if len(ordered) < 2 * size:
        raise NotAssessable("the map is too coarse for a region to have other places")
    top = blocks.first(ordered, np.array([size]), grid)[0]
    shifts = rng.permutation(np.arange(1, top.size))[:samples]
    moved = [np.roll(top, divmod(int(s), grid[1]), (0, 1)) for s in shifts]
    margins = perturbed.scores(~np.stack([top, *moved]), baseline, score)
    own, others = margins[0], margins[1:]
    percentile = float((others > own).mean() + (others == own).mean() / 2)
    clean = perturbed.clean(score)
    facts = {
        "fall": clean - own,
        "median": clean - float(np.median(others)),
        "p": (int((others <= own).sum()) + 1) / (len(others) + 1),
    }
    return Score(percentile, n=len(others), facts={k: float(v) for k, v in facts.items()})


def _areas(
    values: Floats, perturbed: Perturbed, kind: str, baseline: Any, score: ScoreName, cells: int, steps: int,
    orders: int, rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """Shares [s], the map's curve [s] and those of random orders [orders, s], from clean to filled or the other way."""
    if steps < 1 or orders < 1:
        raise UsageError(f"A curve needs steps and orders of 1 or more, not {steps} and {orders}.")
    shape = perturbed.input_shape
    grid = blocks.grain(values, shape, cells)
    n = grid[0] * grid[1]
    counts = blocks.counts(n, steps)
    ordered = blocks.order(values, shape, grid, rng)
    # A deletion is the insertion of the reversed order, read backwards: random orders serve both.
    ordered = ordered if kind == "deletion" else ordered[::-1]
    # The same for every map of this picture and grain.
    strangers = generator(perturbed.seed, "random orders", perturbed.picture, *grid)
    drawn = [strangers.permutation(n) for _ in range(orders)]
    inner = counts[1:-1]
    ends = perturbed.clean(score), perturbed.empty(baseline, score)

    def curves(many: Sequence[NDArray[np.intp]]) -> Floats:
        out = np.empty((len(many), len(counts)))
        out[:, 0], out[:, -1] = ends
        if len(inner):
            keep = np.concatenate([~blocks.first(o, inner, grid) for o in many])
            out[:, 1:-1] = perturbed.scores(keep, baseline, score).reshape(len(many), -1)
        return out if kind == "deletion" else out[:, ::-1]

    return counts / n, curves([ordered])[0], curves(drawn)


def _raw(
    values: Floats, perturbed: Perturbed, kind: str, baseline: Any, score: ScoreName, cells: int, steps: int,
    orders: int, rng: np.random.Generator,
) -> Score:  # fmt: skip
    shares, own, strangers = _areas(values, perturbed, kind, baseline, score, cells, steps, orders, rng)
    area, areas = float(_area(own, shares)), _area(strangers, shares)
    as_good = int((areas <= area).sum() if kind == "deletion" else (areas >= area).sum())
    facts = {"p": (as_good + 1) / (orders + 1)}
    return Score(area, n=orders, chance=float(areas.mean()), facts=facts, curves=_band(shares, own, strangers))


def _gap(
    values: Floats, perturbed: Perturbed, kind: str, baseline: Any, score: ScoreName, cells: int, steps: int,
    orders: int, rng: np.random.Generator,
) -> Score:  # fmt: skip
    shares, own, strangers = _areas(values, perturbed, kind, baseline, score, cells, steps, orders, rng)
    span = perturbed.clean(score) - perturbed.empty(baseline, score)
    if not span > 1e-6 * max(1.0, abs(own).max()):
        raise NotAssessable("the score does not fall when the whole picture is filled in")
    sign = 1 if kind == "deletion" else -1
    areas = _area(strangers, shares)
    gaps = sign * (areas - _area(own, shares)) / span
    gap = float(gaps.mean())
    facts = {"span": span, "low": gap - float(gaps.max()), "high": gap - float(gaps.min())}
    interval = None
    if orders > 1:
        spread = float(gaps.std(ddof=1))
        half = t_quantile(0.975, orders - 1) * spread / math.sqrt(orders)
        interval = (gap - half, gap + half)
        if spread > 1e-9:
            facts["z"] = gap / spread
    return Score(gap, interval=interval, n=orders, facts=facts, curves=_band(shares, own, strangers))


def _band(shares: Floats, own: Floats, strangers: Floats) -> dict[str, tuple[float, ...]]:
    """The map's curve, and what random orders reach."""
    return _tuples(
        {
            "share": shares, "map": own,
            "random low": strangers.min(0), "random mean": strangers.mean(0), "random high": strangers.max(0),
        }
    )  # fmt: skip


def _subsets(
    values: Floats, perturbed: Perturbed, baseline: Any, score: ScoreName, cells: int, shares: Sequence[float],
    samples: int,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Sums of the map over random sets of blocks and the falls of the score without them, [shares, samples] each."""
    if samples < 4 or not shares or min(shares) <= 0 or max(shares) >= 1:
        raise UsageError(
            f"Sets of blocks need samples of 4 or more and shares between 0 and 1, not {samples} and {shares}."
        )
    grid = blocks.grain(values, perturbed.input_shape, cells)
    sums, _ = blocks.block_sums(values, perturbed.input_shape, grid)
    if sums.size < 3:
        raise NotAssessable("the map is too coarse for sets of its blocks")
    strangers = generator(
        perturbed.seed, "sets of blocks", perturbed.picture, *grid
    )  # the same for every map of this picture and grain
    sizes = [min(max(1, round(share * sums.size)), sums.size - 1) for share in shares]
    sets = np.concatenate(
        [blocks.first(strangers.permutation(sums.size), np.array([k]), grid) for k in sizes for _ in range(samples)]
    )
    falls = perturbed.clean(score) - perturbed.scores(~sets, baseline, score)
    totals = sets.reshape(len(sets), -1) @ sums.ravel()
    return totals.reshape(len(shares), samples), falls.reshape(len(shares), samples)


def _shown(values: Floats, perturbed: Perturbed, baseline: Any) -> tuple[float, float]:
    """Probability of the picture, and of what is left where it is mixed with the baseline by the map."""
    shape = perturbed.input_shape
    evidence = positive(values)
    fine = Geometry(shape, shape, (1.0, 1.0), (0.0, 0.0)).on_image(evidence.astype(np.float32))
    shown = np.clip(fine / fine.max(), 0, 1)
    return perturbed.clean("probability"), float(perturbed.scores(shown[None], baseline, "probability")[0])


def _area(curves: Floats, shares: Floats) -> Floats:
    """Area under curves [..., s], by the trapezoid rule."""
    return np.asarray(((curves[..., 1:] + curves[..., :-1]) / 2 * np.diff(shares)).sum(-1))


def _tuples(curves: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(float(v) for v in curve) for name, curve in curves.items()}
