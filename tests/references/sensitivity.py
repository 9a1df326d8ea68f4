"""Sensitivity family."""

import numpy as np
import torch
from torch import Tensor

from references.common import excuses, replicates
from references.perturbation import score
from references.surrogate import cell, game, spread
from toys import Toy


@replicates("sobol", cells=2, samples=20)
def _(toy: Toy, x: Tensor, target: int, cells: int = 7, samples: int = 1600) -> np.ndarray:
    players, side = cells * cells, x.shape[-1]
    designs = samples // (players + 1)
    shift = torch.rand(2 * players, generator=torch.Generator().manual_seed(0)).double().numpy()
    points = torch.quasirandom.SobolEngine(2 * players).draw(designs, dtype=torch.float64).numpy()
    points = np.mod(points + shift, 1)

    def evaluated(shares: np.ndarray) -> float:
        mask = np.array([[shares[cell(i, j, side, cells)] for j in range(side)] for i in range(side)])
        return score(toy, x * torch.from_numpy(mask), target)

    A, B = points[:, :players], points[:, players:]
    at_A = [evaluated(row) for row in A]
    indices = []
    for i in range(players):
        mixed = [[b[j] if j == i else a[j] for j in range(players)] for a, b in zip(A, B, strict=True)]
        gap = np.mean([(s - evaluated(np.array(row))) ** 2 for s, row in zip(at_A, mixed, strict=True)]) / 2
        indices.append(gap / np.var(at_A, ddof=1))
    return spread(np.array(indices), side, cells)


@replicates("hsic", cells=2)
def _(toy: Toy, x: Tensor, target: int, cells: int = 7) -> np.ndarray:
    values = game(toy, x, target, cells)
    n = len(values)
    y = np.array(list(values.values()))
    distances = [abs(y[i] - y[j]) for i in range(n) for j in range(i + 1, n)]
    width = sorted(distances)[(len(distances) - 1) // 2]
    L = np.array([[np.exp(-((a - b) ** 2) / (2 * width**2)) for b in y] for a in y])
    H = np.eye(n) - 1 / n
    out = []
    for i in range(cells * cells):
        K = np.array([[0.5 - (a[i] - b[i]) ** 2 for b in values] for a in values])
        out.append(np.trace(K @ H @ L @ H) / (n - 1) ** 2)
    return spread(np.array(out), x.shape[-1], cells)


excuses("sobol", "flip", "its designs are drawn, so the map flips only in expectation")
excuses("hsic", "seed", "with four segments all coalitions are taken, and none is drawn")
