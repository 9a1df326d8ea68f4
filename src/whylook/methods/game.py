"""Games: each segment of the input gets its fair share of the score. Works on black boxes, too."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whylook.errors import UsageError
from whylook.game import Game, enough, everything
from whylook.methods.method import Needs, Noted, method

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.probe import Inputs, Noise

_UNSURE = 0.25  # of the largest value: a standard error above it is said
_TOGETHER = 16  # parts that are divided at a time, if their shares are at least half of the largest


@method(
    "shapley-sampling",
    title="Shapley value sampling",
    needs=Needs(probe=True),
    space="pixels",
    signed=True,
    paper="doi:10.1016/j.cor.2008.04.004",
    formula="mean over random orders, each also backward, of what S gains when the segment joins those before it",
    cost="at most `samples` forwards and 2, or 2^segments if fewer (then exact)",
    limits="Depends on how the picture is divided and on the baseline. Noisy where few orders fit into `samples`; "
    "its standard error is stated.",
    prefer="Where Shapley values should come with their error: no model is fitted, each order is a measurement.",
)
def shapley_sampling(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    *,
    samples: int = 2048,
    segments: Any = "grid",
    cells: int = 7,
    baseline: Any = 0.0,
    rng: Noise,
) -> Noted:
    """Mean gain of the score when a segment joins, over orders in which all join one after the other.

    Each order is also gone through backward, so scores in which segments interact in pairs at most need one order only.
    Where all coalitions fit into `samples` they are all evaluated, and the values are exact.

    Parameters
    ----------
    x : [1, c, *spatial], or [1, d], whose elements are each a segment; or a tuple of such.
    scores : batch [b, …] -> [b, k].
    samples : number of coalitions evaluated beside the empty and the whole, enough for two orders and their reverse (four
        times as many as segments).
    segments : `grid`; `slic` or `quickshift`, superpixels (from scikit-image); or a map of whole numbers [*spatial]; a tuple
        of maps for a tuple of inputs.
    cells : of the grid along each axis, 1 or more; there are about as many superpixels as cells.
    baseline : what is seen where a segment is off; see `whylook.baselines`.

    Returns
    -------
    [k, *spatial] (or [k, d]), signed, in score units: every element has the value of its segment, not divided by the
    segment's size. They add up to S(x) − S(baseline). Facts: number of `segments`, `exact` (1 or 0), and
    `standard_error`, the largest of a segment's value (0 if exact).

    Raises
    ------
    UsageError
        If there are too few samples for the segments.
    """
    import torch

    game = Game(x, scores, segments, cells, baseline)
    if 2**game.players - 2 <= samples:
        values = game.values(everything(game.players))
        # One class at a time: a sum's bits would depend on how many there are.
        shares = torch.stack([shapley(of_one) for of_one in values.T.contiguous()], 1)
        return _noted(game, shares, torch.zeros_like(shares[0]), exact=1.0)
    walk = game.players - 1
    enough(samples, 4 * walk, "shapley-sampling", game.players)
    ends = game.values(torch.stack([torch.zeros(game.players), torch.ones(game.players)]).bool())
    total, squares, pairs = torch.zeros(game.players, 1), torch.zeros(game.players, 1), samples // (2 * walk)
    for _ in range(pairs):
        order = torch.tensor(rng.order(game.players))
        seen = (
            order.argsort() < torch.arange(1, game.players)[:, None]
        )  # [walk, players]: the first 1, 2, … of the order
        values = game.values(torch.cat([seen, ~seen]))
        forward = torch.cat([ends[:1], values[:walk], ends[1:]]).diff(dim=0)[order.argsort()]
        # Those who are not yet there, going forward, are those who came first going backward.
        backward = -torch.cat([ends[1:], values[walk:], ends[:1]]).diff(dim=0)[order.argsort()]
        gain = (forward + backward) / 2
        total, squares = total + gain, squares + gain**2
    mean = total / pairs
    error = ((squares / pairs - mean**2).clamp(min=0) / (pairs - 1)).sqrt()
    return _noted(game, mean, error.amax(0), exact=0.0)


def shapley(values: Tensor) -> Tensor:
    """Shapley values [players] from the values [2^players] of all coalitions, in the order of `everything`."""
    import torch

    players = len(values).bit_length() - 1
    number = torch.arange(len(values))
    size = everything(players).sum(1)
    weights = torch.tensor([1 / (players * math.comb(players - 1, s)) for s in range(players)], dtype=values.dtype)
    shares = []
    for i in range(players):
        without = number[number >> i & 1 == 0]
        shares.append((weights[size[without]] * (values[without + 2**i] - values[without])).sum())
    return torch.stack(shares)


def _noted(game: Game, shares: Tensor, error: Tensor, *, exact: float) -> Noted:
    import torch

    same = {"segments": float(game.players), "exact": exact}
    facts = {"standard_error": error, **{n: torch.full_like(error, v) for n, v in same.items()}}
    said = [
        f"The values are means over few orders: the standard error of one is up to {e:.2g}, the largest value "
        f"{largest:.2g}; take more samples, or fewer segments."
        if e > _UNSURE * largest
        else None
        for e, largest in zip(error.tolist(), shares.abs().amax(0).tolist(), strict=True)
    ]
    return Noted(game.spread(shares), facts, said)


@method(
    "partition-shap",
    title="Partition SHAP (Owen values)",
    needs=Needs(probe=True),
    space="pixels",
    signed=True,
    paper="doi:10.1007/978-3-642-45494-3_7",
    formula="Owen values over halves of halves of the picture: each half's mean gain, with its other half there and not",
    cost="at most `samples` forwards and 2 for each class",
    limits="Fair along the tree of halves only, so an object that a cut goes through is shared across it. "
    "A part that was not divided further has its share spread evenly.",
    prefer="Where few evaluations must tell a large picture: parts that matter are divided further, and the sum is exact.",
)
def partition_shap(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    *,
    samples: int = 500,
    cells: int = 32,
    baseline: Any = 0.0,
) -> Noted:
    """Share of each part of a hierarchy of halves in the score, divided further where it matters.

    The input is cut in two along its longest axis, again and again (several inputs are taken apart first). A part's share
    is the mean of what S gains by it, over whether its other half, its parent's other half, and so on are there. Those
    whose share is the largest are divided first, until `samples` are spent.

    Parameters
    ----------
    x : [1, c, *spatial] or [1, d]; or a tuple of such.
    scores : batch [b, …] -> [b, k].
    samples : number of coalitions evaluated beside the empty and the whole, 2 or more; two for each division.
    cells : along each axis, below which nothing is divided, 1 or more (no more than the axis has elements); of [1, d]
        each element is one.
    baseline : what is seen where a part is off; see `whylook.baselines`.

    Returns
    -------
    [k, *spatial] (or [k, d]), signed, in score units per cell: a part's share is spread evenly over its cells. They add up
    to S(x) − S(baseline). Facts: `parts`, how many parts of the input the map tells apart, and `exact`: 1 where
    nothing was left to divide.
    """
    import torch

    if samples < 2:
        raise UsageError(f"partition-shap needs samples of 2 or more, not {samples}.")
    game = Game(x, scores, "grid", cells, baseline)
    whole = torch.ones(game.players, dtype=torch.bool)
    boxes = game.boxes()
    ends = game.values(torch.stack([~whole, whole]))
    shares, parts, exact = [], [], []
    for k in range(ends.shape[1]):  # each target by itself: what is divided must not depend on the others
        share, count, all_of_it = _owen(game, boxes, ends[:, k].tolist(), k, samples // 2)
        shares.append(share)
        parts.append(float(count))
        exact.append(float(all_of_it))
    facts = {"parts": torch.tensor(parts), "exact": torch.tensor(exact)}
    return Noted(game.spread(torch.stack(shares, 1)), facts)


@dataclass(frozen=True)
class _Part:
    """Boxes of players, who else is there, the scores without and with them, and how much this case counts."""

    boxes: tuple[Tensor, ...]
    others: Tensor
    without: float
    together: float
    weight: float

    @property
    def divisible(self) -> bool:
        return len(self.boxes) > 1 or self.boxes[0].numel() > 1

    @property
    def share(self) -> float:
        return self.weight * (self.together - self.without)

    def halves(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        if len(self.boxes) > 1:
            middle = len(self.boxes) // 2
            return self.boxes[:middle], self.boxes[middle:]
        box = self.boxes[0]
        axis = max(range(box.ndim), key=lambda a: box.shape[a])
        first = box.shape[axis] // 2
        return (box.narrow(axis, 0, first),), (box.narrow(axis, first, box.shape[axis] - first),)


def _owen(game: Game, boxes: list[Tensor], ends: list[float], target: int, divisions: int) -> tuple[Tensor, int, bool]:
    """Shares [players] of one target, the number of parts that have one, and whether all was divided."""
    import torch

    none = torch.zeros(game.players, dtype=torch.bool)
    shares = torch.zeros(game.players, dtype=torch.float64)
    tie = 0
    waiting: list[tuple[float, int, _Part]] = []
    settled: list[_Part] = []

    def sort_in(part: _Part) -> None:
        nonlocal tie
        if part.divisible:
            heapq.heappush(waiting, (-abs(part.share), tie, part))
            tie += 1  # of equal shares the first come first
        else:
            settled.append(part)

    sort_in(_Part(tuple(boxes), none, ends[0], ends[1], 1.0))
    while waiting and divisions > 0:
        least = waiting[0][0] / 2
        some: list[_Part] = []
        while waiting and len(some) < min(_TOGETHER, divisions) and waiting[0][0] <= least:
            some.append(heapq.heappop(waiting)[2])
        divisions -= len(some)
        halves = [part.halves() for part in some]
        masks = [[_with(part.others, half) for half in pair] for part, pair in zip(some, halves, strict=True)]
        values = game.values(torch.stack([m for pair in masks for m in pair]))[:, target].tolist()
        for i, (part, (a, b), (with_a, with_b)) in enumerate(zip(some, halves, masks, strict=True)):
            only_a, only_b = values[2 * i : 2 * i + 2]
            half = part.weight / 2
            sort_in(_Part(a, part.others, part.without, only_a, half))
            sort_in(_Part(a, with_b, only_b, part.together, half))
            sort_in(_Part(b, part.others, part.without, only_b, half))
            sort_in(_Part(b, with_a, only_a, part.together, half))
    finest: dict[int, int] = {}  # by its first player and size: a part occurs once for each case of the others
    for part in (*settled, *(p for _, _, p in waiting)):
        numbers = torch.cat([box.flatten() for box in part.boxes])
        shares[numbers] += part.share / len(numbers)
        for number in numbers.tolist():
            finest[number] = min(finest.get(number, len(numbers)), len(numbers))
    parts = round(sum(1 / size for size in finest.values()))
    return shares, parts, not waiting


def _with(others: Tensor, boxes: tuple[Tensor, ...]) -> Tensor:
    there = others.clone()
    for box in boxes:
        there[box.flatten()] = True
    return there
