"""Where tokens look: before attention has mixed them, a token's gradient by the picture tells its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_avg_pool3d

from whylook.engine.guard import guarded
from whylook.engine.mending import mended
from whylook.engine.outputs import first_tensor

Place = tuple[int, tuple[int, ...]]  # how many tokens come before the grid's, and the grid


class _EnoughError(Exception):
    """Ends a forward pass once the tokens are there."""


def settle(network: nn.Module, inputs: tuple[Tensor, ...], count: int, candidates: Sequence[Place]) -> Place | None:
    """Choose the first of `candidates` that agrees with where the network's first `count` tokens look.

    The network is run on one row until its first tokens are there, which costs no more than embedding the patches.

    Parameters
    ----------
    network, inputs : the module and its inputs, each [n, …]; only the first row is used.
    count : how many tokens.
    candidates : readings of them, the likeliest first, at least one.

    Returns
    -------
    The first candidate where nothing can be told (each token looks everywhere); None where the first is wrong and no
    other is seen to be right.
    """
    picture = max(range(len(inputs)), key=lambda i: inputs[i].ndim)
    if inputs[picture].ndim - 2 != len(candidates[0][1]) or inputs[picture].ndim < 4:
        return candidates[0]
    with guarded(network, inputs[0].device):
        leaves = tuple(x[:1].detach().clone().requires_grad_() for x in inputs)
        tokens = _first_tokens(network, leaves, count)
        if tokens is None or not tokens.requires_grad:
            return candidates[0]
        mended(tokens)
        mixture = torch.randn(tokens.shape[2], generator=torch.Generator().manual_seed(0)).to(tokens)
        looks: dict[int, Tensor] = {}

        def look(token: int) -> Tensor:
            """How much of the token is told by each element of the picture, [*sides]."""
            if token not in looks:
                (found,) = torch.autograd.grad(
                    (tokens[0, token] * mixture).sum(), leaves[picture], retain_graph=True, allow_unused=True
                )
                looks[token] = (leaves[picture] * 0 if found is None else found)[0].detach().pow(2).sum(0)
            return looks[token]

        verdicts = [_agrees(look, *candidate) for candidate in candidates]
    if True in verdicts:
        return candidates[verdicts.index(True)]
    return None if verdicts[0] is False and _agrees(look, *candidates[0], aside=True) is False else candidates[0]


def _first_tokens(network: nn.Module, leaves: tuple[Tensor, ...], count: int) -> Tensor | None:
    """The first [1, count, width] that goes into a module or comes out of one, in the graph."""
    found: list[Tensor] = []

    def note(value: object) -> None:
        tensor = first_tensor(value)
        if tensor is not None and tensor.ndim == 3 and tensor.shape[:2] == (1, count) and tensor.is_floating_point():
            found.append(tensor)
            raise _EnoughError

    def enter(_: nn.Module, arguments: tuple[object, ...]) -> None:
        for argument in arguments:
            note(argument)

    def leave(_: nn.Module, __: object, output: object) -> None:
        note(output)

    handles = []
    try:
        for module in network.modules():
            if not isinstance(module, torch.jit.ScriptModule):
                handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        network(*(leaf.clone() for leaf in leaves))
    except _EnoughError:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _agrees(look: Callable[[int], Tensor], prefix: int, grid: tuple[int, ...], *, aside: bool = False) -> bool | None:
    """Whether tokens look at their own cells; None where they look all over the picture, or nowhere.

    With `aside` one that looks at the next cell of its row or column tells nothing, for strided convolutions look half a
    cell aside: enough to refute a reading by, too lenient to choose one.
    """
    if math.prod(grid) == 1:
        return None
    seen = [(cell, _at(look(prefix + cell), grid)) for cell in _cells(grid)]
    if all(place is _NOWHERE for _, place in seen):
        return None
    right = sum(place == cell for cell, place in seen)
    wrong = sum(place not in (None, cell) and not (aside and _beside(place, cell, grid)) for cell, place in seen)
    return None if right == wrong == 0 else right > 3 * wrong


_NOWHERE = -1


def _beside(one: int, other: int, grid: tuple[int, ...]) -> bool:
    """Whether two cells touch along one axis."""
    if one == _NOWHERE:
        return False
    apart = 0
    for side in reversed(grid):
        apart += abs(one % side - other % side)
        one, other = one // side, other // side
    return apart == 1


def _at(energy: Tensor, grid: tuple[int, ...]) -> int | None:
    """The cell that most of `energy` lies in; None where it is spread over many."""
    pool: Callable[..., Tensor] = adaptive_avg_pool2d if len(grid) == 2 else adaptive_avg_pool3d
    cells = pool(energy[None].double(), grid).flatten()
    total = float(cells.sum())
    if total == 0:
        return _NOWHERE
    top = int(cells.argmax())
    return top if float(cells[top]) > 0.5 * total else None


def _cells(grid: tuple[int, ...]) -> list[int]:
    """Flat numbers of the corners, the center, and the first and last cell along each axis: each order has its own."""
    ends = tuple(side - 1 for side in grid)
    along = [
        tuple(value if axis == at else 0 for axis in range(len(grid)))
        for at, side in enumerate(grid)
        for value in (min(1, side - 1), side - 1)
    ]
    chosen = [tuple(0 for _ in grid), ends, tuple(side // 2 for side in grid), *along]
    steps = [math.prod(grid[axis + 1 :]) for axis in range(len(grid))]
    return list(dict.fromkeys(sum(i * step for i, step in zip(cell, steps, strict=True)) for cell in chosen))
