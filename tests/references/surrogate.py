"""Surrogate family."""

import itertools
import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from references.common import excuses, replicates
from references.perturbation import score
from toys import Toy


def cell(i: int, j: int, side: int, cells: int) -> int:
    return i * cells // side * cells + j * cells // side


def game(
    toy: Toy, x: Tensor, target: int, cells: int, only: Iterable[tuple[int, ...]] | None = None
) -> dict[tuple[int, ...], float]:
    """The score of coalitions of cells: all, or `only` these."""
    side, values = x.shape[-1], {}
    for present in only or itertools.product((0, 1), repeat=cells * cells):
        mask = torch.tensor([[present[cell(i, j, side, cells)] for j in range(side)] for i in range(side)])
        values[present] = score(toy, x * mask, target)
    return values


def spread(weights: np.ndarray, side: int, cells: int) -> np.ndarray:
    out = np.zeros((side, side))
    for i, j in np.ndindex(side, side):
        out[i, j] = weights[cell(i, j, side, cells)]
    return out


@replicates("kernel-shap", cells=2)
def _(toy: Toy, x: Tensor, target: int, cells: int = 7) -> np.ndarray:
    values, players = game(toy, x, target, cells), cells * cells
    shapley = np.zeros(players)
    for present, value in values.items():
        for i in range(players):
            if not present[i]:
                size = sum(present)
                share = math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
                shapley[i] += share * (values[(*present[:i], 1, *present[i + 1 :])] - value)
    return spread(shapley, x.shape[-1], cells)


@replicates("lime", cells=2)
def _(toy: Toy, x: Tensor, target: int, cells: int = 7) -> np.ndarray:
    rows, right = [], []
    for present, value in game(toy, x, target, cells).items():
        distance = 1 - math.sqrt(sum(present) / len(present))
        root = math.exp(-((distance / 0.25) ** 2) / 2)
        rows.append([root * p for p in (*present, 1)])
        right.append(root * value)
    A, b = np.array(rows), np.array(right)
    return spread(np.linalg.solve(A.T @ A, A.T @ b)[:-1], x.shape[-1], cells)


for _name in ("lime", "kernel-shap"):
    excuses(_name, "seed", "with four segments all coalitions are taken, and none is drawn")
