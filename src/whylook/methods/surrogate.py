"""Surrogates: a linear model of which parts of the input are there, fitted to the score. Works on black boxes, too."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from whylook.errors import UsageError
from whylook.game import Game, enough, everything
from whylook.methods.method import Needs, Noted, method

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.probe import Inputs, Noise

_GOOD_FIT = 0.5


@method(
    "lime",
    title="LIME",
    needs=Needs(probe=True),
    space="pixels",
    signed=True,
    paper="arXiv:1602.04938",
    formula="weights of a linear model of the segments present, fitted to S near the whole picture",
    cost="`samples` forwards, or 2^segments if fewer",
    limits="Depends on how the picture is divided, on the baseline and on `width`, what counts as near. "
    "Read it together with its R²: a score that is not linear in the segments has no faithful weights.",
    prefer="Where a few regions are to be named and an approximation with a stated fit will do.",
)
def lime(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    *,
    samples: int = 1000,
    segments: Any = "grid",
    cells: int = 7,
    width: float = 0.25,
    baseline: Any = 0.0,
    rng: Noise,
) -> Noted:
    """Weight of each segment in a weighted linear fit of the score.

    Coalitions of segments are drawn with probability 1/2 for each segment, after the one that has all (or all
    coalitions are taken, where there are no more than `samples`). One whose cosine distance to the whole is D weighs
    exp(−D² / width²). The fit is plain least squares with an intercept, without the paper's selection of a few features.

    Parameters
    ----------
    x : [1, c, *spatial], or [1, d], whose elements are each a segment; or a tuple of such.
    scores : batch [b, …] -> [b, k].
    samples : number of coalitions evaluated, at least two more than there are segments.
    segments : `grid`; `slic` or `quickshift`, superpixels (from scikit-image); or a map of whole numbers [*spatial]; a tuple
        of maps for a tuple of inputs.
    cells : of the grid along each axis, 1 or more; there are about as many superpixels as cells.
    width : of the kernel, above 0; the paper's σ.
    baseline : what is seen where a segment is off; see `whylook.baselines`.

    Returns
    -------
    [k, *spatial] (or [k, d]), signed, in score units: every element has the weight of its segment, not divided by the
    segment's size. Facts: `r2` of the weighted fit, number of `segments`.

    Raises
    ------
    UsageError
        If there are too few samples for the segments.
    """
    import torch

    if width <= 0:
        raise UsageError(f"lime's width must be above 0, not {width}.")
    game = Game(x, scores, segments, cells, baseline)
    enough(samples, game.players + 2, "lime", game.players)
    if 2**game.players <= samples:
        present = everything(game.players)
    else:
        drawn = rng.uniform(samples - 1, game.players) < 0.5
        present = torch.cat([torch.ones(1, game.players, dtype=torch.bool), drawn])
    distance = 1 - (present.sum(1).double() / game.players).sqrt()
    weights = (-((distance / width) ** 2)).exp()
    values = game.values(present)
    design = torch.cat([present.double(), torch.ones(len(present), 1, dtype=torch.float64)], 1)
    # Measured from the whole picture, so that a score that does not change gives exact zeros.
    values = values - values[(~present).sum(1).argmin()]
    fitted, determined = least_squares(design, values, weights)
    fit = r_squared(design @ fitted, values, weights)
    more = "" if determined else "take more samples, or a larger width"
    return _noted(game, fitted[:-1], fit, doubtful=fit < _GOOD_FIT, undetermined=more)


@method(
    "kernel-shap",
    title="KernelSHAP",
    needs=Needs(probe=True),
    space="pixels",
    signed=True,
    paper="arXiv:1705.07874",
    formula="Shapley values of the segments: the fit of S by a linear model under the Shapley kernel, its sum held at "
    "S(x) − S(baseline)",
    cost="`samples` forwards and 2, or 2^segments if fewer (then exact)",
    limits="Depends on how the picture is divided and on the baseline. Exact only where all coalitions fit into `samples`; "
    "otherwise an estimate, whose sum is exact nevertheless.",
    prefer="Where shares must add up to the score's difference to the baseline and be fair in Shapley's sense.",
)
def kernel_shap(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    *,
    samples: int = 2048,
    segments: Any = "grid",
    cells: int = 7,
    baseline: Any = 0.0,
    rng: Noise,
) -> Noted:
    """Shapley value of each segment, from a fit whose sum is held at S(x) − S(baseline).

    Coalitions are taken by size, smallest and largest first, for as long as all of a size fit into their share of
    `samples`; the rest are drawn, each with its complement. If all fit, the values are exact.

    Parameters
    ----------
    x : [1, c, *spatial], or [1, d], whose elements are each a segment; or a tuple of such.
    scores : batch [b, …] -> [b, k].
    samples : number of coalitions evaluated beside the empty and the whole, at least twice as many as segments, or all.
    segments : `grid`; `slic` or `quickshift`, superpixels (from scikit-image); or a map of whole numbers [*spatial]; a tuple
        of maps for a tuple of inputs.
    cells : of the grid along each axis, 1 or more; there are about as many superpixels as cells.
    baseline : what is seen where a segment is off; see `whylook.baselines`.

    Returns
    -------
    [k, *spatial] (or [k, d]), signed, in score units: every element has the value of its segment, not divided by the
    segment's size. Facts: `r2` of the weighted fit, number of `segments`, and `exact` (1 or 0).

    Raises
    ------
    UsageError
        If there are too few samples for the segments.
    """
    import torch

    game = Game(x, scores, segments, cells, baseline)
    enough(samples, min(2 * game.players, 2**game.players - 2), "kernel-shap", game.players)
    present, weights, exact = coalitions(game.players, samples, rng)
    ends = torch.stack([torch.zeros(game.players, dtype=torch.bool), torch.ones(game.players, dtype=torch.bool)])
    values = game.values(torch.cat([ends, present]))
    empty, whole, values = values[:1], values[1:2], values[2:]
    # The last value is what the others leave of the difference, so the sum holds exactly.
    design = present.double()
    last = design[:, -1:]
    others, determined = least_squares(design[:, :-1] - last, values - empty - last * (whole - empty), weights)
    shares = torch.cat([others, whole - empty - others.sum(0, keepdim=True)])
    fit = r_squared(empty + design @ shares, values, weights)
    # Exact values are right however little linear the score is; a poor fit of drawn coalitions is a noisy one.
    more = "" if determined else "take more samples"
    return _noted(game, shares, fit, doubtful=(fit < _GOOD_FIT) & (not exact), undetermined=more, exact=float(exact))


def _noted(game: Game, shares: Tensor, fit: Tensor, *, doubtful: Tensor, undetermined: str, **facts: float) -> Noted:
    """What a method returns.

    Parameters
    ----------
    game : what was played.
    shares : [players, k].
    fit : R² [k].
    doubtful : whether that is too low to rely on, bool [k].
    undetermined : the remedy, where the coalitions that count do not tell all segments apart; else empty.
    **facts : numbers that are the same for every target.
    """
    import torch

    unclear = (
        f"The coalitions that count do not tell all {game.players} segments apart, so other weights fit as well, "
        f"whatever R² is; {undetermined}."
    )
    poor = [
        unclear
        if undetermined
        else f"The surrogate fits the score poorly (R² {r:.2f}), so its weights say little."
        if low
        else None
        for r, low in zip(fit.tolist(), doubtful.tolist(), strict=True)
    ]
    same = {"segments": float(game.players), **facts}
    return Noted(game.spread(shares), {"r2": fit, **{n: torch.full_like(fit, v) for n, v in same.items()}}, poor)


def coalitions(players: int, samples: int, rng: Noise) -> tuple[Tensor, Tensor, bool]:
    """Coalitions under the Shapley kernel, without the empty and the whole one.

    Returns
    -------
    bool [b, players], their weights, float64 [b], and whether these are all coalitions.
    """
    import itertools

    import torch

    def kernel(size: int) -> float:  # of all coalitions of a size and their complements together
        return (players - 1) / (size * (players - size)) * (2 if 2 * size < players else 1)

    def count(size: int) -> int:
        return math.comb(players, size) * (2 if 2 * size < players else 1)

    sizes, left = list(range(1, players // 2 + 1)), samples
    rows: list[Tensor] = []
    weights: list[Tensor] = []
    while sizes:
        share = left * kernel(sizes[0]) / sum(map(kernel, sizes))
        if left < sum(map(count, sizes)) and share < count(sizes[0]):
            break
        size = sizes.pop(0)
        some = torch.zeros(math.comb(players, size), players, dtype=torch.bool)
        some.scatter_(1, torch.tensor(list(itertools.combinations(range(players), size))), True)
        rows.append(some if 2 * size == players else torch.cat([some, ~some]))
        weights.append(torch.full((len(rows[-1]),), kernel(size) / len(rows[-1]), dtype=torch.float64))
        left -= len(rows[-1])
    if sizes and left > 1:
        pairs = left // 2
        draws = rng.uniform(pairs, players + 1)
        odds = torch.tensor([kernel(s) for s in sizes], dtype=torch.float64).cumsum(0)
        drawn = torch.searchsorted(odds / odds[-1], draws[:, -1].double()).clamp(max=len(sizes) - 1) + sizes[0]
        ranks = draws[:, :players].argsort(stable=True, dim=1).argsort(dim=1)
        some = ranks < drawn[:, None]
        rows.append(torch.cat([some, ~some]))
        weights.append(torch.full((2 * pairs,), float(odds[-1]) / (2 * pairs), dtype=torch.float64))
    if not rows:  # a single player takes all
        return torch.zeros(0, players, dtype=torch.bool), torch.zeros(0, dtype=torch.float64), True
    return torch.cat(rows), torch.cat(weights), not sizes


def least_squares(design: Tensor, values: Tensor, weights: Tensor) -> tuple[Tensor, bool]:
    """Weighted least squares, float64 [columns, k], the shortest solution where there are several.

    Returns
    -------
    The solution, and whether it is the only one.
    """
    import torch

    root = weights.sqrt()[:, None]
    weighted = design * root
    inverse = torch.linalg.pinv(weighted)
    # One class at a time: a matrix product's bits would depend on how many there are.
    solved = [inverse @ column for column in (values * root).T.contiguous()]
    only = design.shape[1] == 0 or int(torch.linalg.matrix_rank(weighted)) == design.shape[1]
    return torch.stack(solved, 1), only


def r_squared(fitted: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """Share of the weighted variance of `values` [b, k] that `fitted` [b, k] accounts for; 1 where there is none."""
    import torch

    w = weights[:, None]
    mean = (w * values).sum(0) / w.sum()
    around, residual = (w * (values - mean) ** 2).sum(0), (w * (values - fitted) ** 2).sum(0)
    nothing = around <= 1e-24 * (w * values**2).sum(0)
    return torch.where(nothing, torch.ones_like(around), 1 - residual / around.clamp(min=1e-300))
