"""Attributions gathered in regions of the picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from whylook.errors import Unsupported
from whylook.methods.method import Needs, Noted, method
from whylook.methods.path import integrated_gradients

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.probe import Inputs
    from whylook.quadrature import Rule


@method(
    "xrai",
    title="XRAI",
    needs=Needs(probe=True),
    space="pixels",
    signed=True,
    paper="arXiv:1906.02825",
    formula="regions joined in order of the mean share of what they add; each pixel has the mean of its addition",
    cost="as integrated-gradients, for each baseline; and the segmentation of the picture",
    limits="Borders are the segmentation's, not the network's; within a region it cannot tell one pixel from another.",
    prefer="Where regions are asked for rather than pixels: which part of the picture mattered most, which next.",
)
def xrai(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    gradients: Callable[[Inputs], Inputs],
    evaluate: Callable[[Inputs, int], tuple[Tensor, Inputs]],
    *,
    baseline: Any = ("min", "max"),
    segments: Any = "felzenszwalb",
    steps: int | None = None,
    rule: Rule | None = None,
    tolerance: float = 0.05,
) -> Noted:
    """Integrated gradients, gathered in segments of the picture.

    Shares are summed over channels. Of overlapping segments of several sizes the one whose pixels not yet taken have the
    highest mean share is taken next, until none is left that adds a thousandth of the picture.

    Parameters
    ----------
    x : [1, c, h, w], one row of the input.
    scores, gradients, evaluate, steps, rule, tolerance : as for `integrated-gradients`.
    baseline : see `whylook.baselines`; by default two, the darkest and the brightest color of the picture.
    segments : `felzenszwalb`, at six scales as in the paper (from scikit-image); or a map of whole numbers [h, w], or
        several [m, h, w].

    Returns
    -------
    [k, h, w], signed, in score units per pixel: its sum is that of the integrated gradients. Facts: as for
    `integrated-gradients`, and `regions`.
    """
    import torch

    from whylook.regions import gathered, masks

    if isinstance(x, tuple) or x.ndim != 4:
        raise Unsupported(
            "xrai divides one picture [n, c, h, w] into regions; use integrated-gradients for this input."
        )
    found = masks(x, segments)
    base = integrated_gradients(
        x, scores, gradients, evaluate, baseline=baseline, steps=steps, rule=rule, tolerance=tolerance
    )
    shares = base.values.sum(1).cpu().double().numpy()
    maps, counts = zip(*(gathered(of_target, found) for of_target in shares), strict=True)
    values = torch.stack([torch.from_numpy(m) for m in maps]).to(x)
    regions = torch.tensor(counts, dtype=torch.float64)
    return Noted(values, {**base.facts, "regions": regions}, base.warnings)
