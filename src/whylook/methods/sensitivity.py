"""Sensitivity: how much of the score's variation under random masks each segment accounts for. Works on black boxes, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from whylook.errors import UsageError
from whylook.game import Game, enough, everything
from whylook.methods.method import Needs, Noted, method

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.probe import Inputs, Noise


@method(
    "sobol",
    title="Sobol attribution",
    needs=Needs(probe=True),
    space="pixels",
    signed=False,
    paper="arXiv:2111.04138",
    formula="total Sobol index: mean of (S(A) − S(A with the segment's share from B))² / 2, over the variance of S(A)",
    cost="at most `samples` forwards",
    limits="Says how much a segment matters, alone and together with others, not for or against. "
    "Few designs make it noisy, and half-dimmed pictures are unlike those the network knows.",
    prefer="Where segments work together: what one does only in company of others is counted, too.",
)
def sobol(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    *,
    samples: int = 1600,
    segments: Any = "grid",
    cells: int = 7,
    baseline: Any = 0.0,
    rng: Noise,
) -> Noted:
    """Share of the score's variance that goes away with a segment's, by Jansen's estimator.

    Segments are dimmed toward the baseline by random shares, independent and uniform in [0, 1] (a Sobol sequence with a
    random shift). Designs A and B are two such draws; samples pay for A and, per segment, A with that segment's share from
    B.

    Parameters
    ----------
    x : [1, c, *spatial], or [1, d], whose elements are each a segment; or a tuple of such.
    scores : batch [b, …] -> [b, k].
    samples : number of evaluations at most: as many designs are made as fit, each takes one more than there are segments.
    segments : `grid`; `slic` or `quickshift`, superpixels (from scikit-image); or a map of whole numbers [*spatial]; a tuple
        of maps for a tuple of inputs.
    cells : of the grid along each axis, 1 or more; there are about as many superpixels as cells.
    baseline : what is seen where a segment's share is 0; see `whylook.baselines`.

    Returns
    -------
    [k, *spatial] (or [k, d]), 0 or more: every element has its segment's index. For a score that is additive in the
    segments the indices add up to 1, beyond it to more. Facts: number of `segments` and `designs`, and `indices`, their sum.
    """
    import torch

    game = Game(x, scores, segments, cells, baseline)
    enough(samples, 2 * (game.players + 1), "sobol", game.players)
    designs = samples // (game.players + 1)
    A, B = _designs(designs, game.players, rng)
    at_A = game.values(A)
    gaps = []
    for i in range(game.players):
        replaced = A.clone()
        replaced[:, i] = B[:, i]
        gaps.append(at_A - game.values(replaced))
    each = zip(at_A.T.contiguous(), torch.stack(gaps).movedim(2, 0).contiguous(), strict=True)
    found = torch.stack([_total_indices(*of_one) for of_one in each], 1)
    facts = {"indices": found.sum(0), **_counts(found[0], segments=game.players, designs=designs)}
    return Noted(game.spread(found), facts)


def _total_indices(values: Tensor, gaps: Tensor) -> Tensor:
    """Total indices [players] from one target's values [n] and what they change by with each segment's share [players, n]."""
    variance = (values - values[0]).var()  # from the first, so that a score that does not change has exactly none
    return ((gaps**2).mean(1) / 2 / variance).where(variance > 0, 0.0)


def _designs(designs: int, players: int, rng: Noise) -> tuple[Tensor, Tensor]:
    """Two independent draws of uniform shares, float64 [designs, players] each."""
    import torch
    from torch.quasirandom import SobolEngine

    if 2 * players > SobolEngine.MAXDIM:
        raise UsageError(
            f"sobol takes at most {SobolEngine.MAXDIM // 2} segments, not {players}; give fewer (cells, segments)."
        )
    shift = rng.uniform(1, 2 * players).double()  # the sequence itself begins with all zeros, whatever the seed
    sequence: Any = SobolEngine
    both = (sequence(2 * players).draw(designs, dtype=torch.float64) + shift) % 1
    return both[:, :players], both[:, players:]


@method(
    "hsic",
    title="HSIC attribution",
    needs=Needs(probe=True),
    space="pixels",
    signed=False,
    paper="arXiv:2206.06219",
    formula="HSIC of a segment's presence and the score: tr(K H L H) / (n − 1)², K: both there or both not, L: scores alike",
    cost="`samples` forwards, or 2^segments if fewer (then every coalition)",
    limits="Says how much the score depends on a segment, not for or against; it has no unit, so only compare within a map. "
    "Noise of the draw keeps unimportant segments above zero.",
    prefer="Where evaluations are dear: every one of them serves all segments.",
)
def hsic(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    *,
    samples: int = 1000,
    segments: Any = "grid",
    cells: int = 7,
    baseline: Any = 0.0,
    rng: Noise,
) -> Noted:
    """Dependence of the score on whether a segment is there, by the Hilbert-Schmidt independence criterion.

    Each segment is there in half of the coalitions, drawn apart from the others (a Latin hypercube, rounded), or all
    coalitions are taken, where there are no more than `samples`. Scores are alike by a Gaussian kernel, as wide as the
    median distance of two scores.

    Parameters
    ----------
    x : [1, c, *spatial], or [1, d], whose elements are each a segment; or a tuple of such.
    scores : batch [b, …] -> [b, k].
    samples : number of coalitions evaluated, 4 or more.
    segments : `grid`; `slic` or `quickshift`, superpixels (from scikit-image); or a map of whole numbers [*spatial]; a tuple
        of maps for a tuple of inputs.
    cells : of the grid along each axis, 1 or more; there are about as many superpixels as cells.
    baseline : what is seen where a segment is off; see `whylook.baselines`.

    Returns
    -------
    [k, *spatial] (or [k, d]), 0 or more, without a unit: every element has its segment's dependence. With all coalitions
    it is 0 for a segment that the score does not depend on. Facts: number of `segments`.
    """
    import torch

    game = Game(x, scores, segments, cells, baseline)
    enough(samples, 4, "hsic", game.players)
    if 2**game.players <= samples:
        present = everything(game.players)
    else:
        ranks = torch.stack([torch.tensor(rng.order(samples)) for _ in range(game.players)], 1)
        present = ranks < samples // 2
    values = game.values(present)
    found = torch.stack([_dependence(present.double(), of_one) for of_one in values.T.contiguous()], 1)
    return Noted(game.spread(found), _counts(found[0], segments=game.players))


def _dependence(present: Tensor, values: Tensor) -> Tensor:
    """HSIC [players] of presence [n, players] and values [n].

    The centered kernel of presence, ½ where two agree and −½ where not, is twice the product of the centered
    presences, so the trace is a quadratic form.
    """
    import torch

    n = len(values)
    distance = (values[:, None] - values).abs()
    above = distance[tuple(torch.triu_indices(n, n, 1))]
    width = above.median()
    width = width if width > 0 else above.mean()  # more than half of the scores are the same
    if width == 0:
        return torch.zeros(present.shape[1], dtype=values.dtype)
    alike = (-(distance**2) / (2 * width**2)).exp()
    centered = present - present.mean(0)
    return (2 * (centered * (alike @ centered)).sum(0) / (n - 1) ** 2).clamp(min=0)


def _counts(like: Tensor, **counts: int) -> dict[str, Tensor]:
    import torch

    return {name: torch.full_like(like, float(count)) for name, count in counts.items()}
