"""Whether rows and columns of attention weights are the tokens, told by gradients: an equal number of them is no proof."""

from __future__ import annotations

import torch
from torch import Tensor

_LITTLE = 0.25  # of the other tokens' influence: nearly none, where normalization over tokens lets a little through
_NONE = 1e-6


def among_tokens(weights: Tensor, entered: Tensor | None) -> bool:
    """Whether attention is from each token of a block to each: False only where it is seen not to be.

    A mixture of log-weights leaves out one token's row and column, another's row and a third's column. What is left of
    log softmax(q kᵀ), less the mean of each row, knows nothing of the first, the second as a key and the third as a
    query.

    Parameters
    ----------
    weights : [n, heads, t, t] or [n · heads, t, t], in the graph.
    entered : the tokens [n, t, width] that the weights were made from, in the graph, or None.
    """
    t = weights.shape[-1]
    if entered is None or t < 4 or not entered.requires_grad or weights.grad_fn is None:
        return True  # nothing to ask, or weights that are always the same
    neither, key, query = t // 4, t // 2, 3 * t // 4
    kept = weights.detach() > torch.finfo(weights.dtype).tiny
    kept[..., [neither, key], :] = False
    kept[..., [neither, query]] = False
    powers = weights.clamp_min(torch.finfo(weights.dtype).tiny).log() * kept
    powers = powers - powers.sum(-1, keepdim=True) / kept.sum(-1, keepdim=True).clamp(min=1)
    mixture = torch.randn(t, t, generator=torch.Generator().manual_seed(0)).to(weights)
    (found,) = torch.autograd.grad((powers * kept * mixture).sum(), entered, retain_graph=True, allow_unused=True)
    if found is None:
        return False
    influence = found.abs().sum((0, 2))
    usual = influence.median()
    if usual == 0:
        return True
    asked = bool(kept[..., key].any()), bool(kept[..., query, :].any())  # a mask may hide all of them
    return bool(
        (influence[neither] < _LITTLE * usual)
        & ((influence[key] > _NONE * usual) | (not asked[0]))
        & ((influence[query] > _NONE * usual) | (not asked[1]))
    )
