"""The score as a game: segments of the input are players, who are there or whose place shows the baseline."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from whylook.baselines import one_like
from whylook.errors import UsageError
from whylook.segments import divide

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.probe import Inputs

_PICTURES = 64  # pictures that exist at once


class Game:
    """The score as a function of how far each segment of the input is present; the rest shows the baseline.

    Parameters
    ----------
    x : one row [1, …], or a tuple of such.
    scores : batch [b, …] -> [b, k].
    segments, cells : see `whylook.segments.divide`; a tuple of segments is one for each input.
    baseline : see `whylook.baselines`.

    Attributes
    ----------
    players : number of segments, of all inputs together.
    """

    def __init__(self, x: Inputs, scores: Callable[[Inputs], Tensor], segments: Any, cells: int, baseline: Any) -> None:
        self._tuple = isinstance(x, tuple)
        self._inputs = x if isinstance(x, tuple) else (x,)
        there = one_like(baseline, x)
        self._others = there if isinstance(there, tuple) else (there,)
        given = segments if isinstance(segments, tuple) else (segments,) * len(self._inputs)
        if len(given) != len(self._inputs):
            raise UsageError(f"segments has {len(given)} entries for {len(self._inputs)} inputs; give one per input.")
        self._numbers: list[Tensor] = []
        self.players = 0
        for t, s in zip(self._inputs, given, strict=True):
            self._numbers.append(divide(t, s, cells) + self.players)
            self.players = int(self._numbers[-1].max()) + 1
        self._scores = scores

    def values(self, present: Tensor) -> Tensor:
        """Scores, float64 [b, k] on the CPU, of coalitions, bool [b, players], or of shares of presence in [0, 1]."""
        import torch

        parts = []
        for some in torch.split(present, _PICTURES):
            mixed = []
            for t, there, numbers in zip(self._inputs, self._others, self._numbers, strict=True):
                on = some[:, numbers].to(t.device)
                on = on.unsqueeze(1) if t.ndim > on.ndim else on
                mixed.append(torch.where(on, t, there) if on.dtype == torch.bool else there + on.to(t) * (t - there))
            parts.append(self._scores(tuple(mixed) if self._tuple else mixed[0]).double().cpu())
        return torch.cat(parts)

    def spread(self, shares: Tensor) -> Inputs:
        """Maps [k, *spatial] (a tuple for a tuple) in which every element has its segment's share of [players, k]."""
        maps = tuple(shares.T[:, numbers].to(t) for t, numbers in zip(self._inputs, self._numbers, strict=True))
        return maps if self._tuple else maps[0]

    def boxes(self) -> list[Tensor]:
        """Of each input that was divided into a grid the players [*cells], in their places."""
        import torch

        grids = []
        for numbers in self._numbers:
            corners = numbers
            for axis in range(numbers.ndim):  # of every axis the first element of each cell
                line = numbers[tuple(slice(None) if a == axis else 0 for a in range(numbers.ndim))]
                first = torch.cat([torch.ones(1, dtype=torch.bool), line[1:] != line[:-1]])
                corners = corners.index_select(axis, first.nonzero().flatten())
            grids.append(corners)
        return grids


def enough(samples: int, least: int, name: str, players: int) -> None:
    """Raise `UsageError` if there are too few samples for the segments."""
    if samples < least:
        raise UsageError(
            f"{name} needs at least {least} samples for {players} segments, not {samples}; "
            "give more samples, or fewer segments (cells, segments)."
        )


def everything(players: int) -> Tensor:
    """All coalitions, bool [2^players, players]; the i-th has those players whose bits are set in i."""
    import torch

    return torch.arange(2**players)[:, None] >> torch.arange(players) & 1 == 1
