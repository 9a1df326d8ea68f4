"""Perturbation family."""

import math

import numpy as np
import torch
from torch import Tensor

from references.common import excuses, logit, replicates
from toys import Toy


def score(toy: Toy, x: Tensor, target: int) -> float:
    with torch.no_grad():
        return float(logit(toy, toy(x.clone()), target))


@replicates("occlusion", window=4, stride=4)
def _(toy: Toy, x: Tensor, target: int, window: int = 2, stride: int = 1, baseline: float = 0.0) -> np.ndarray:
    starts = range(0, x.shape[-1] - window + 1, stride)
    out = np.zeros((len(starts), len(starts)))
    for i, top in enumerate(starts):
        for j, left in enumerate(starts):
            hidden = x.clone()
            hidden[:, :, top : top + window, left : left + window] = baseline
            out[i, j] = score(toy, x, target) - score(toy, hidden, target)
    return out


@replicates("feature-ablation", cells=2)
def _(toy: Toy, x: Tensor, target: int, cells: int = 7) -> np.ndarray:
    side = x.shape[-1]
    number = [[i * cells // side * cells + j * cells // side for j in range(side)] for i in range(side)]
    numbers, out = torch.tensor(number), np.zeros((side, side))
    for segment in range(cells * cells):
        drop = score(toy, x, target) - score(toy, x * (numbers != segment), target)
        out[(numbers == segment).numpy()] = drop
    return out


def mask(draws: np.ndarray, cells: int, keep: float, height: int, width: int) -> np.ndarray:
    grid = (draws[: cells * cells] < keep).astype(float).reshape(cells, cells)
    wide = [math.ceil(height / cells), math.ceil(width / cells)]
    room = [(cells + 1) * w - size for w, size in zip(wide, (height, width), strict=True)]
    shift = [int(d * (r + 1)) for d, r in zip(draws[cells * cells :], room, strict=True)]
    tents = []
    for size, w, s in zip((height, width), wide, shift, strict=True):
        at = [min(max((k + s + 0.5) * cells / ((cells + 1) * w) - 0.5, 0), cells - 1) for k in range(size)]
        tents.append(np.array([[max(0, 1 - abs(a - cell)) for cell in range(cells)] for a in at]))
    return sum(grid[a, b] * np.outer(tents[0][:, a], tents[1][:, b]) for a, b in np.ndindex(cells, cells))


@replicates("rise", samples=5, cells=3)
def _(toy: Toy, x: Tensor, target: int, samples: int = 4000, cells: int = 7, keep: float = 0.5) -> np.ndarray:
    generator, total = torch.Generator().manual_seed(0), np.zeros(x.shape[2:])
    for _ in range(samples):
        draws = torch.rand(cells * cells + 2, generator=generator).numpy()
        m = mask(draws, cells, keep, *x.shape[2:])
        total += score(toy, x * torch.from_numpy(m), target) * m
    return total / samples / keep


excuses("rise", "flip", "its masks are drawn, so the map flips only in expectation")
excuses("rise", "constant", "its level is the mean score of masked pictures")
