"""Perturbation: parts of the input are replaced, and the score is asked again. Works on black boxes, too."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from whylook.baselines import one_like
from whylook.errors import UsageError
from whylook.game import Game
from whylook.methods.method import Needs, Noted, method

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.probe import Box, Inputs, Noise

_MASKS = 64  # masked inputs that exist at once


@method(
    "occlusion",
    title="Occlusion",
    needs=Needs(probe=True),
    space="windows",
    signed=True,
    paper="arXiv:1311.2901",
    formula="S(x) − S(x with the window replaced by the baseline), for every position of the window",
    cost="1 forward per position of the window, 226 for a picture with the default window",
    limits="Sees only what one window can hide: where the same evidence stands in two places, hiding either changes little. "
    "A patch of the baseline is a sight of its own, which the network may never have been trained on.",
    prefer="Where the answer must be in the score's own units, and for networks that give no gradient.",
)
def occlusion(
    x: Inputs,
    occluded: Callable[[Inputs, int, Tensor, Sequence[Box]], Tensor],
    *,
    window: Any = None,
    stride: Any = None,
    baseline: Any = 0.0,
) -> Noted:
    """How far the score drops when a window of the input is hidden.

    The window starts at 0, `stride`, 2 `stride`, … on each axis, as often as it takes to reach the far border; where it
    does not fit there a last time, that last window is cut off. All channels are hidden together.

    Parameters
    ----------
    x : [1, c, *spatial] or, without spatial axes, [1, d], whose elements are hidden one by one unless a window is given;
        or a tuple of such: each input is occluded while the others stay.
    occluded : see `whylook.engine.probe.Probe.occluded`.
    window : side length in elements, or one per spatial axis; by default an eighth of each axis, rounded up.
    stride : the same, at most the window; by default half the window, or all of it with more than two spatial axes.
    baseline : what is seen in its place; see `whylook.baselines`.

    Returns
    -------
    [k, *positions], signed, in score units, not divided by the window's area; a tuple for a tuple.

    Raises
    ------
    UsageError
        If the window does not fit the input, or the stride leaves gaps.
    """
    inputs = x if isinstance(x, tuple) else (x,)
    filled = one_like(baseline, x)
    maps, extents = [], []
    for i, (t, there) in enumerate(zip(inputs, filled if isinstance(filled, tuple) else (filled,), strict=True)):
        sizes = spatial(t)
        windows, strides = spans(sizes, window, stride, features=t.ndim == 2)
        starts = [range(0, s * positions(n, w, s), s) for n, w, s in zip(sizes, windows, strides, strict=True)]
        boxes = [
            tuple(slice(a, min(a + w, n)) for a, w, n in zip(at, windows, sizes, strict=True))
            for at in itertools.product(*starts)
        ]
        scores = occluded(x, i, there, boxes)
        maps.append((scores[:1] - scores[1:]).T.reshape(-1, *(len(s) for s in starts)))
        # A cell is as wide as the stride and lies in the middle of its window.
        extents.append(tuple(((w - s) / 2, (w - s) / 2 + s * len(r)) for r, w, s in
                             zip(starts, windows, strides, strict=True)))  # fmt: skip
    if isinstance(x, tuple):
        return Noted(tuple(maps), extent=tuple(extents))
    return Noted(maps[0], extent=extents[0])


@method(
    "feature-ablation",
    title="Feature ablation",
    needs=Needs(probe=True),
    space="pixels",
    signed=True,
    paper="doi:10.1109/TKDE.2007.190734",
    formula="S(x) − S(x with the segment replaced by the baseline), for every segment",
    cost="1 forward per segment, and 1",
    limits="As occlusion's: where two segments say the same, hiding either changes little. Large segments count for more.",
    prefer="Where the parts of the picture are known: superpixels, organs, the fields of a form.",
)
def feature_ablation(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    *,
    segments: Any = "grid",
    cells: int = 7,
    baseline: Any = 0.0,
) -> Noted:
    """How far the score drops when one segment of the input is hidden.

    Parameters
    ----------
    x : [1, c, *spatial], or [1, d], whose elements are each a segment; or a tuple of such.
    scores : batch [b, …] -> [b, k].
    segments : `grid`; `slic` or `quickshift`, superpixels (from scikit-image); or a map of whole numbers [*spatial]; a tuple
        of maps for a tuple of inputs.
    cells : of the grid along each axis, 1 or more; there are about as many superpixels as cells.
    baseline : what is seen where a segment is hidden; see `whylook.baselines`.

    Returns
    -------
    [k, *spatial] (or [k, d]), signed, in score units: every element has the drop of its segment, not divided by the
    segment's size. Facts: number of `segments`.
    """
    import torch

    game = Game(x, scores, segments, cells, baseline)
    whole = torch.ones(1, game.players, dtype=torch.bool)
    values = game.values(torch.cat([whole, ~torch.eye(game.players, dtype=torch.bool)]))
    drops = values[:1] - values[1:]
    return Noted(game.spread(drops), {"segments": torch.full_like(drops[0], float(game.players))})


@method(
    "rise",
    title="RISE",
    needs=Needs(probe=True),
    space="pixels",
    signed=True,
    floating=True,
    paper="arXiv:1806.07421",
    formula="mean over random masks M of S(x · M + baseline · (1 − M)) · M, divided by `keep`",
    cost="`samples` forwards",
    limits="Its level is the mean score of masked pictures, so only differences within a map mean something: "
    "`explain` takes its mean off. "
    "Noisy: the error falls with the square root of the samples, and finer cells need more of them.",
    prefer="For black boxes, where whole regions matter and windows of one size would miss them.",
)
def rise(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    *,
    samples: int = 4000,
    cells: int = 7,
    keep: float = 0.5,
    baseline: Any = 0.0,
    rng: Noise,
) -> Inputs:
    """Mean score of randomly masked inputs, by what the masks let through.

    A mask is a coarse grid of zeros and ones, upsampled bilinearly to one cell more than the input and cut out at a random
    place. Its expectation is `keep` everywhere, by which the mean is divided as in the paper: for a linear score
    S(x) = Σ w x + b and baseline 0 the expectation at i is b + Σ_j w_j x_j E[M_i M_j] / keep.

    Parameters
    ----------
    x : [1, c, *spatial] or, without spatial axes, [1, d], whose elements are kept or dropped one by one; or a tuple of
        such, masked at the same time.
    scores : batch [b, …] -> [b, k].
    samples : number of masks, 1 or more.
    cells : of the coarse grid along each axis, 1 or more (no more than the axis has elements).
    keep : probability that a cell is kept, above 0 and at most 1.
    baseline : what is seen where the mask is 0; see `whylook.baselines`.

    Returns
    -------
    [k, *spatial] (or [k, d]), in score units; a tuple for a tuple.
    """
    import torch

    if samples < 1 or cells < 1 or not 0 < keep <= 1:
        raise UsageError(
            f"rise needs samples and cells of 1 or more and keep in (0, 1], not {samples}, {cells} and {keep}."
        )
    inputs = x if isinstance(x, tuple) else (x,)
    filled = one_like(baseline, x)
    others = filled if isinstance(filled, tuple) else (filled,)
    total: list[Tensor] | None = None
    for start in range(0, samples, _MASKS):
        count = min(_MASKS, samples - start)
        masks = [random_masks(t, count, cells, keep, rng) for t in inputs]
        mixed = tuple(b + over(m, t) * (t - b) for t, b, m in zip(inputs, others, masks, strict=True))
        values = scores(mixed if isinstance(x, tuple) else mixed[0])
        # One class at a time: a matrix product's bits would depend on how many there are.
        sums = [torch.stack([v @ m.flatten(1) for v in values.T.contiguous()]) for m in masks]
        total = sums if total is None else [a + b for a, b in zip(total, sums, strict=True)]
    assert total is not None
    maps = tuple((s / (samples * keep)).view(-1, *spatial(t)) for s, t in zip(total, inputs, strict=True))
    return maps if isinstance(x, tuple) else maps[0]


def spatial(x: Tensor) -> tuple[int, ...]:
    """Sizes of the axes that have neighborhoods: all behind the channels; of [n, d], the features."""
    return tuple(x.shape[2:]) if x.ndim > 2 else tuple(x.shape[1:])


def over(masks: Tensor, x: Tensor) -> Tensor:
    """Masks [b, *spatial] with an axis for the channels of `x`, where it has one."""
    return masks.unsqueeze(1) if x.ndim > masks.ndim else masks


def spans(
    sizes: Sequence[int], window: Any, stride: Any, *, features: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Window and stride per axis, from what was given or by default; what cannot be raises `UsageError`."""
    windows = (
        tuple(1 if features else math.ceil(n / 8) for n in sizes)
        if window is None
        else _per_axis("window", window, sizes)
    )
    for n, w in zip(sizes, windows, strict=True):
        if w > n:
            raise UsageError(f"A window of {w} does not fit an axis of {n}; the input's axes have {_list(sizes)}.")
    by_default = windows if len(sizes) > 2 else tuple(max(1, w // 2) for w in windows)
    strides = by_default if stride is None else _per_axis("stride", stride, sizes)
    for w, s in zip(windows, strides, strict=True):
        if s > w:
            raise UsageError(f"A stride of {s} would leave gaps between windows of {w}; it is at most the window.")
    return windows, strides


def positions(size: int, window: int, stride: int) -> int:
    """Number of windows along an axis, so that the last one reaches its end."""
    return math.ceil((size - window) / stride) + 1


def _per_axis(name: str, value: Any, sizes: Sequence[int]) -> tuple[int, ...]:
    given = tuple(value) if isinstance(value, list | tuple) else (value,) * len(sizes)
    if len(given) != len(sizes) or any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in given):
        raise UsageError(
            f"{name}={value!r} must be a whole number of 1 or more, or one per spatial axis; "
            f"the input's axes have {_list(sizes)}."
        )
    return given


def _list(sizes: Sequence[int]) -> str:
    return " × ".join(map(str, sizes))


def random_masks(x: Tensor, samples: int, cells: int, keep: float, rng: Noise) -> Tensor:
    """Draw RISE's masks [samples, *spatial] in [0, 1] for `x` [1, c, *spatial], or [samples, d] of 0 and 1 for [1, d]."""
    import torch

    sizes = spatial(x)
    if x.ndim == 2:
        return (rng.uniform(samples, sizes[0]) < keep).to(x)
    counts = [min(cells, size) for size in sizes]
    count = math.prod(counts)
    draws = rng.uniform(samples, count + len(sizes))
    masks = (draws[:, :count] < keep).to(x).view(samples, *counts)
    for axis, (cells, size) in enumerate(zip(counts, sizes, strict=True)):
        wide = math.ceil(size / cells)  # elements per cell
        room = (cells + 1) * wide - size
        shifts = (draws[:, count + axis] * (room + 1)).long()
        rows = shifts[:, None] + torch.arange(size)
        weights = _upsampling(cells, wide)[rows].to(x)  # [samples, size, cells]
        masks = torch.einsum("n...c,nsc->n...s", masks.movedim(axis + 1, -1), weights).movedim(-1, axis + 1)
    return masks


def _upsampling(cells: int, wide: int) -> Tensor:
    """Bilinear weights, float64 [(cells + 1) · wide, cells], from cells to elements, centers aligned at half pixels."""
    import torch

    fine = (cells + 1) * wide
    at = ((torch.arange(fine, dtype=torch.float64) + 0.5) * cells / fine - 0.5).clamp(0, cells - 1)
    low = at.floor().long()
    high = (low + 1).clamp(max=cells - 1)
    weights = torch.zeros(fine, cells, dtype=torch.float64)
    weights.scatter_add_(1, low[:, None], (1 - (at - low))[:, None])
    weights.scatter_add_(1, high[:, None], (at - low)[:, None])
    return weights
