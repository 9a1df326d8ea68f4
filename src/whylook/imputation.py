"""Filling in what was removed from a picture so that the filling does not show: noisy linear imputation."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

NOISE = 0.01  # standard deviation, as a share of the picture's range
_TOLERANCE = 2e-5  # of the equations' residual, as a share of the picture's range
_MOST_STEPS = 400
_ELEMENTS = 3 * 224 * 224  # solved at once; small pictures would otherwise spend their time on calls


def noisy_linear(x: Tensor, removed: Tensor, seed: int = 0) -> Tensor:
    """Fill removed pixels with the weighted mean of their eight neighbors, known or filled in alike, and a little noise.

    The equations of Rong et al. (arXiv:2202.00449): direct neighbors weigh 1/6, diagonal ones 1/12, at the border the
    weights of those that are there; all are solved together. The noise keeps the filling from being recognized by how
    smooth it is.

    Parameters
    ----------
    x : [1, c, h, w], the picture.
    removed : bool [b, h, w].
    seed : of the noise, which is the same for every row.

    Returns
    -------
    [b, c, h, w], in `x`'s dtype, equal to `x` where nothing was removed; where everything was, the mean color.
    """
    removed = removed[:, None].to(x.device)
    noise = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(seed)).to(x)
    everything = removed.all((2, 3), keepdim=True)
    mean = x.mean((2, 3), keepdim=True)
    rows = max(1, _ELEMENTS // x.numel())
    solved = torch.cat([_around(x, part) for part in torch.split(removed & ~everything, rows)])
    value = torch.where(everything, mean, solved)
    return torch.where(removed, value + NOISE * (x.max() - x.min()) * noise, x)


def _around(x: Tensor, removed: Tensor) -> Tensor:
    """Solve within the box that holds what was removed and its neighbors; nothing else matters."""
    out = x.expand(len(removed), -1, -1, -1).clone()
    if not bool(removed.any()):
        return out
    spans = []
    for axis in (2, 3):
        at = removed.any(0, keepdim=True).any(5 - axis).flatten().nonzero()
        spans.append(slice(max(0, int(at.min()) - 1), int(at.max()) + 2))
    box = (slice(None), slice(None), *spans)
    out[box] = _solve(out[box], removed[box])
    return out


def _solve(x: Tensor, removed: Tensor) -> Tensor:
    """Values [b, c, h, w] that fulfill the equations at the removed pixels [b, 1, h, w], by conjugate gradients.

    They begin from the solution at half the resolution, which leaves them little to do.
    """
    if not bool(removed.any()):
        return x
    inside, known = removed.to(x.dtype), (~removed).to(x.dtype)
    degree = inside * _neighbors(torch.ones_like(inside))
    value = inside * _start(x, removed, known)
    residual = inside * _neighbors(known * x + value) - degree * value
    direction = residual.clone()
    size = _square(residual)
    enough = (_TOLERANCE * (x.max() - x.min())) ** 2 * inside.sum((2, 3), keepdim=True)
    for _ in range(_MOST_STEPS):
        if bool((size <= enough).all()):
            break
        image = degree * direction - inside * _neighbors(direction)
        step = size / (direction * image).sum((2, 3), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        value.addcmul_(step, direction)
        residual.addcmul_(step, image, value=-1)
        new = _square(residual)
        direction.mul_(new / size.clamp_min(torch.finfo(x.dtype).tiny)).add_(residual)
        size = new
    return known * x + value


def _square(v: Tensor) -> Tensor:
    return (v * v).sum((2, 3), keepdim=True)


def _start(x: Tensor, removed: Tensor, known: Tensor) -> Tensor:
    """A first guess: what the known pixels give at half the resolution; at the lowest one their mean."""
    if min(x.shape[2:]) < 8:
        return ((known * x).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)).expand_as(x)
    pad = (0, x.shape[3] % 2, 0, x.shape[2] % 2)
    share = F.avg_pool2d(F.pad(known, pad), 2)
    coarse = F.avg_pool2d(F.pad(known * x, pad), 2) / share.clamp_min(0.25)
    half = _solve(coarse, share == 0)
    return F.interpolate(half, scale_factor=2, mode="bilinear", align_corners=False)[:, :, : x.shape[2], : x.shape[3]]


def _neighbors(v: Tensor) -> Tensor:
    """Weighted sum over the eight neighbors: (1 2 1) ⊗ (1 2 1) / 12 without the pixel itself."""
    padded = F.pad(v, (1, 1, 1, 1))
    rows = padded[..., :-2] + padded[..., 2:]
    rows.add_(padded[..., 1:-1], alpha=2)
    total = rows[:, :, :-2] + rows[:, :, 2:]
    return total.add_(rows[:, :, 1:-1], alpha=2).sub_(v, alpha=4).div_(12)
