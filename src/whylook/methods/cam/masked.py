"""Channels weighted by the score of the input seen through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from whylook.errors import UsageError
from whylook.methods.method import Needs, method

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.probe import Inputs, Noise


_MASKS = 32  # masks made at a time


@method(
    "score-cam",
    title="Score-CAM",
    needs=Needs(layer=True, probe=True),
    space="layer",
    signed=False,
    paper="arXiv:1910.01279",
    formula="relu(Σ_c w_c · A_c), w = softmax over c of S(x · H_c) − S(0), H_c = A_c at the input's size, scaled from 0 to 1",
    cost="1 forward per channel, and 3",
    limits="Slow. Shows the network pictures dimmed by a mask, unlike those it was trained on. The softmax gives every "
    "channel a positive weight, however little it matters, and one channel nearly all where scores are far apart.",
    prefer="Where gradients are saturated or not to be trusted.",
)
def score_cam(
    x: Inputs, scores: Callable[[Inputs], Tensor], A: Tensor, *, baseline: Any = 0.0, rule: str = "softmax"
) -> Tensor:
    """Channels weighted by the score of the input seen through them.

    Parameters
    ----------
    baseline : what is seen where a mask is zero, and what the increase is measured from; zero in the paper.
    rule : `softmax`, the weights of the paper's algorithm: the increases of the score through a softmax over channels;
        or `increase`, those of its definition: the increases themselves, which may be negative.

    Returns
    -------
    [k, *grid], 0 or more; zero where no channel's mask changes the score. A channel that is the same everywhere masks
    all of the input.
    """
    from whylook.baselines import one_like

    if rule not in ("softmax", "increase"):
        raise UsageError(f"score-cam has no rule {rule!r}; there are softmax and increase.")
    empty = one_like(baseline, x)
    increase = _answers(x, empty, A, scores) - _nothing(x, empty, A, scores)  # [c, k]
    return _weighted(A, increase, rule)


def _weighted(A: Tensor, increase: Tensor, rule: str = "softmax") -> Tensor:
    """Channels of A [1, c, *grid] weighted by increases of the score [c, k], or by a softmax of these over channels."""
    import torch

    weight = increase
    if rule == "softmax":
        weight = increase.softmax(0) * (increase != 0).any(0)
    return torch.einsum("ck,c...->k...", weight, A[0]).relu()


def _nothing(x: Inputs, empty: Inputs, A: Tensor, scores: Callable[[Inputs], Tensor]) -> Tensor:
    """Scores [1, k] of the baseline."""
    import torch

    return scores(_through(x, empty, torch.zeros_like(A[:, :1])))


def _answers(
    x: Inputs,
    empty: Inputs,
    A: Tensor,
    scores: Callable[[Inputs], Tensor],
    *,
    noise: Inputs | None = None,
    shown: float = 1.0,
) -> Tensor:
    """Scores [c, k] of the input seen through each channel of A [1, c, *grid]."""
    import torch

    parts = torch.split(A.transpose(0, 1), _MASKS)
    return torch.cat([scores(_through(x, empty, part, noise, shown)) for part in parts])


def _through(x: Inputs, empty: Inputs, channels: Tensor, noise: Inputs | None = None, shown: float = 1.0) -> Inputs:
    """The input seen through each of `channels` [b, 1, *grid], brought to its size and then from 0 to `shown`, on `empty`.

    `noise`, in units of what lies between a channel's lowest and highest value, is added before that. Of several inputs
    those that lie on a grid of as many axes are masked, the others only repeated.
    """
    from torch.nn.functional import interpolate
    from torch.utils._pytree import tree_map

    def masked(t: Tensor, background: Tensor, z: Tensor | None = None) -> Tensor:
        if t.ndim != channels.ndim:
            return t.expand(channels.shape[0], *t.shape[1:])
        how = {3: "linear", 4: "bilinear", 5: "trilinear"}[t.ndim]
        mask = interpolate(channels, t.shape[2:], mode=how, align_corners=False)
        axes = tuple(range(1, t.ndim))
        if z is not None:
            mask = mask + z * (mask.amax(axes, keepdim=True) - mask.amin(axes, keepdim=True))
        low, high = mask.amin(axes, keepdim=True), mask.amax(axes, keepdim=True)
        return background + (t - background) * (shown * (mask - low) / (high - low)).where(high > low, 0.0)

    seen: Inputs = tree_map(masked, x, empty) if noise is None else tree_map(masked, x, empty, noise)
    return seen


@method(
    "ss-cam",
    title="SS-CAM",
    needs=Needs(layer=True, probe=True),
    space="layer",
    signed=False,
    paper="arXiv:2006.14255",
    formula="Score-CAM with w = softmax over c of the mean over noisy H_c of S(x · H_c) − S(0)",
    cost="`samples` forwards per channel, and 3",
    limits="Score-CAM's, at `samples` times its price. The paper's noise has a fixed size, whatever the layer's scale; here it "
    "is a fraction of each channel's range.",
    prefer="Where Score-CAM's weights jump with small changes of its masks.",
)
def ss_cam(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    A: Tensor,
    *,
    samples: int = 10,
    noise: float = 0.15,
    baseline: Any = 0.0,
    rng: Noise,
) -> Tensor:
    """Score-CAM whose masks are seen through noise, the increases of the score averaged before the softmax.

    Parameters
    ----------
    samples : draws of noise, 1 or more; each serves all channels, so that none is lucky.
    noise : standard deviation as a fraction of the channel's range (max − min), 0 or more; 0 is Score-CAM.
    baseline : what is seen where a mask is zero, and what the increase is measured from; zero in the paper.

    Returns
    -------
    [k, *grid], 0 or more; zero where no channel's mask changes the score.
    """
    from whylook.baselines import one_like
    from whylook.engine.probe import each

    if samples < 1 or noise < 0:
        raise UsageError(f"ss-cam needs samples of 1 or more and noise of 0 or more, not {samples} and {noise}.")
    empty = one_like(baseline, x)
    total = 0 * (nothing := _nothing(x, empty, A, scores))
    for _ in range(samples):
        drawn = each(lambda t: noise * rng.normal(1, t[:, :1]), x)
        total = total + (_answers(x, empty, A, scores, noise=drawn) - nothing)
    return _weighted(A, total / samples)


@method(
    "is-cam",
    title="IS-CAM",
    needs=Needs(layer=True, probe=True),
    space="layer",
    signed=False,
    paper="arXiv:2010.03023",
    formula="Score-CAM with w = softmax over c of the mean over i of S(i/steps · x · H_c) − S(0), i = 1 … steps",
    cost="`steps` forwards per channel, and 3",
    limits="Score-CAM's, at `steps` times its price; dim pictures are even less like those the network knows.",
    prefer="Where the score saturates, so that Score-CAM's masked pictures all score alike.",
)
def is_cam(x: Inputs, scores: Callable[[Inputs], Tensor], A: Tensor, *, steps: int = 10, baseline: Any = 0.0) -> Tensor:
    """Score-CAM whose masked pictures fade in from the baseline, the increases of the score averaged before the softmax.

    Parameters
    ----------
    steps : from the baseline, which does not count, to the masked picture, 1 or more; 1 is Score-CAM.
    baseline : what is seen where a mask is zero, and what the increase is measured from; zero in the paper.

    Returns
    -------
    [k, *grid], 0 or more; zero where no channel's mask changes the score.
    """
    from whylook.baselines import one_like

    if steps < 1:
        raise UsageError(f"is-cam needs steps of 1 or more, not {steps}.")
    empty = one_like(baseline, x)
    total = 0 * (nothing := _nothing(x, empty, A, scores))
    for i in range(1, steps + 1):
        total = total + (_answers(x, empty, A, scores, shown=i / steps) - nothing)
    return _weighted(A, total / steps)
