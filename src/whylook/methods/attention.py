"""Transformers: where their attention goes.

Throughout, lists are over layers, `attention` and its gradients are [n, heads, t, t] (a row per query), and `readers`
[n, t] are the tokens that the head reads, as shares: the class token alone, or every patch alike where their mean is
taken. Methods give one value per token, [n, t]; the engine drops the prefix (class, distillation, register tokens) and
brings the rest to the grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whylook.errors import UsageError
from whylook.methods.method import Needs, method

if TYPE_CHECKING:
    from torch import Tensor


@method(
    "attention-rollout",
    title="Attention rollout",
    needs=Needs(attention=True),
    space="layer",
    signed=False,
    class_specific=False,
    paper="arXiv:2005.00928",
    formula="r · Ā_L ⋯ Ā_1, Ā = rows of (mean over heads of A + I) / 2 scaled to sum 1, r: the tokens the head reads",
    cost="2 forwards, 1 backward",
    limits="Does not know the target: it shows where information can have come from, whatever class it speaks for, and "
    "leaves values, heads' signs and feed-forward layers out. Only for attention among all tokens of one set (no windows).",
    prefer="To see how tokens are mixed at all, for any class.",
)
def attention_rollout(attention: list[Tensor], readers: Tensor, *, fusion: str = "mean") -> Tensor:
    """Attention multiplied through the layers, half of each layer passing by in the residual connection.

    Parameters
    ----------
    attention, readers : see the module.
    fusion : how heads are put together: `mean` (the paper's), `max` or `min`.

    Returns
    -------
    [n, t], 0 or more; with the prefix tokens' share it sums to 1.
    """
    from torch import eye

    if fusion not in ("mean", "max", "min"):
        raise UsageError(f"fusion={fusion!r} is not mean, max or min.")
    flow = readers[:, None]
    for A in reversed(attention):
        heads = A.mean(1) if fusion == "mean" else A.amax(1) if fusion == "max" else A.amin(1)
        mixed = (heads + eye(A.shape[-1], dtype=A.dtype, device=A.device)) / 2
        flow = flow @ (mixed / mixed.sum(2, keepdim=True))
    return flow[:, 0]


@method(
    "transformer-attribution",
    title="Transformer attribution (generic)",
    needs=Needs(attention=True),
    space="layer",
    signed=False,
    paper="arXiv:2103.15679",
    formula="r · (R − I), R = (I + Ā_L) ⋯ (I + Ā_1), Ā = mean over heads of relu(∇A ⊙ A), r: the tokens the head reads",
    cost="2 forwards, 2 backwards",
    limits="The later and simpler of Chefer, Gur and Wolf's two methods of 2021 (generic, ICCV; not the LRP relevance of "
    "CVPR, arXiv:2012.09838): attention weighed by its gradient, no rules inside the blocks. Evidence for the target "
    "only. Only for attention among all tokens of one set (no windows).",
    prefer="The transformer's own class-specific map, where attention is global.",
)
def transformer_attribution(attention: list[Tensor], attention_gradients: list[Tensor], readers: Tensor) -> Tensor:
    """Attention weighed by its positive gradient, rolled out with the whole residual connection.

    The identity that R begins with is left out: for a class token it says nothing of the patches, and for pooled
    patches it is the same on all of them.

    Returns
    -------
    [n, t], 0 or more.
    """
    read = readers[:, None]
    beyond = read * 0  # r · (R − I) by itself: beside the identity, small gradients would be rounded away
    for A, G in zip(reversed(attention), reversed(attention_gradients), strict=True):
        beyond = beyond + (read + beyond) @ (G * A).relu().mean(1)
    return beyond[:, 0]


@method(
    "legrad",
    title="LeGrad",
    needs=Needs(attention=True),
    space="layer",
    signed=False,
    paper="arXiv:2404.03214",
    formula="mean over layers l, heads and queries i of relu(∂s_l/∂A_l[i, ·]), s_l: the score of the head on layer l's tokens",
    cost="L + 3 forwards, L + 1 backwards for L layers",
    limits="Reads the head on layers that it was not trained on. Not scaled to 0 … 1 as in the paper: the view does that. "
    "Only for attention among all tokens of one set (no windows), in blocks one after the other.",
    prefer="For vision transformers whose early layers already tell the class, CLIP's among them.",
)
def legrad(layerwise_gradients: list[Tensor]) -> Tensor:
    """Positive gradients of each layer's own score by its attention, over all queries, averaged over layers.

    Returns
    -------
    [n, t], 0 or more.
    """
    from torch import stack

    return stack([G.relu().mean((1, 2)) for G in layerwise_gradients]).mean(0)
