"""Filling in what was removed from a picture so that the filling does not show: noisy linear imputation."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

NOISE = 0.01  # standard deviation, as a share of the picture's range
_TOLERANCE = 2e-5  # of the equations' residual, as a share of the picture's range
_MOST_STEPS = 400


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
    noise = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(seed)).to(x)
    filled = []
    for row in removed[:, None, None]:  # one by one, so that no row depends on its company
        value = x.mean((2, 3), keepdim=True).expand_as(x) if bool(row.all()) else _solve(x, row.to(x.device))
        filled.append(torch.where(row.to(x.device), value + NOISE * (x.max() - x.min()) * noise, x))
    return torch.cat(filled)


def _solve(x: Tensor, removed: Tensor) -> Tensor:
    """Values [1, c, h, w] that fulfill the equations at the removed pixels [1, 1, h, w], by conjugate gradients.

    They begin from the solution at half the resolution, which leaves them little to do.
    """
    if not bool(removed.any()):
        return x
    inside, known = removed.to(x.dtype), (~removed).to(x.dtype)
    degree = _neighbors(torch.ones_like(inside))

    def equations(v: Tensor) -> Tensor:
        return inside * (degree * v - _neighbors(v))

    right = inside * _neighbors(known * x)
    value = inside * _start(x, removed, known)
    residual = right - equations(value)
    direction = residual / degree
    size = (residual * direction).sum((2, 3), keepdim=True)
    enough = _TOLERANCE**2 * (x.max() - x.min()) ** 2 * inside.mean()
    for _ in range(_MOST_STEPS):
        if bool((residual.square().mean((2, 3)) <= enough).all()):
            break
        image = equations(direction)
        step = size / (direction * image).sum((2, 3), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        value, residual = value + step * direction, residual - step * image
        better = residual / degree
        new = (residual * better).sum((2, 3), keepdim=True)
        direction, size = better + new / size.clamp_min(torch.finfo(x.dtype).tiny) * direction, new
    return known * x + inside * value


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
