"""Regions."""

import numpy as np
import torch
from torch import Tensor

from references.common import input_jacobian, replicates
from toys import Toy

SEGMENTS = torch.stack(
    [
        torch.arange(16)[:, None] // 5 * 4 + torch.arange(16) // 6,
        (torch.arange(16)[:, None] + 2 * torch.arange(16)) // 9,
    ]
)


@replicates("xrai", steps=2, segments=SEGMENTS)
def _(toy: Toy, x: Tensor, target: int, steps: int, segments: Tensor) -> np.ndarray:
    shares = np.zeros((16, 16))
    for extreme in (x.amin, x.amax):
        start = extreme((2, 3), keepdim=True)
        for i in range(steps):
            slope = input_jacobian(toy, start + (i + 0.5) / steps * (x - start), target)
            shares += ((x - start)[0].numpy() * slope).sum(0) / steps / 2
    waiting = [{(i, j) for i, j in np.ndindex(16, 16) if m[i, j] == n} for m in segments for n in m.unique()]
    taken: set[tuple[int, int]] = set()
    out = np.full((16, 16), np.nan)
    while waiting := [w - taken for w in waiting if w - taken]:
        density = [np.mean([shares[p] for p in sorted(w)]) for w in waiting]
        best = int(np.argmax(density))
        for p in waiting[best]:
            out[p] = density[best]
        taken |= waiting[best]
    return out
