"""Game family."""

import itertools

import numpy as np
import torch
from torch import Tensor

from references.common import excuses, replicates
from references.surrogate import game, spread
from toys import Toy


def gains(values: dict[tuple[int, ...], float], order: list[int]) -> np.ndarray:
    """What each player adds when all join in `order`."""
    there, out = [0] * len(order), np.zeros(len(order))
    for player in order:
        before = values[tuple(there)]
        there[player] = 1
        out[player] = values[tuple(there)] - before
    return out


@replicates("shapley-sampling", cells=3, samples=32)
def _(toy: Toy, x: Tensor, target: int, cells: int = 7, samples: int = 2048) -> np.ndarray:
    players, generator = cells * cells, torch.Generator().manual_seed(0)
    values, total = lazily(toy, x, target, cells), np.zeros(players)
    pairs = samples // (2 * (players - 1))
    for _ in range(pairs):
        order = torch.randperm(players, generator=generator).tolist()
        total += (gains(values, order) + gains(values, order[::-1])) / 2
    return spread(total / pairs, x.shape[-1], cells)


class lazily(dict):  # noqa: N801
    """The values of coalitions, evaluated when they are asked for."""

    def __init__(self, toy: Toy, x: Tensor, target: int, cells: int) -> None:
        self.asked = toy, x, target, cells

    def __missing__(self, present: tuple[int, ...]) -> float:
        self[present] = game(*self.asked, only=[present])[present]
        return self[present]


@replicates("partition-shap", cells=2, samples=30)
def _(toy: Toy, x: Tensor, target: int, cells: int = 32, samples: int = 500) -> np.ndarray:
    """Owen's definition: the mean gain over the orders in which no half joins before the one that was begun is there."""
    values = game(toy, x, target, cells)
    orders = [
        (*first, *second)
        for halves in itertools.permutations([(0, 1), (2, 3)])
        for first in itertools.permutations(halves[0])
        for second in itertools.permutations(halves[1])
    ]
    return spread(np.mean([gains(values, list(order)) for order in orders], 0), x.shape[-1], cells)


excuses("shapley-sampling", "flip", "its orders are drawn, so the map flips only in expectation")
