"""Exact occlusion at a fraction of the work: behind a patch, only what the patch can reach is computed again.

A network is run on `Patched` maps: the clean map, kept from step to step, and a crop around what has changed. Operations
without a rule, and those whose result has changed nearly everywhere, go on with dense tensors, so that the answer is the
network's own up to the rounding of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from whylook.engine.incremental.patched import Patched, Run
from whylook.engine.incremental.regions import Region, around

Box = tuple[slice, ...]
Picture = tuple[Tensor, Box]  # what is shown in a box of the picture
FEWEST = 16  # boxes below which there is nothing to gain
_ROWS = 32
# Of the largest logit; in single precision rounding differs by some 1e-6, a misunderstood network by far more.
_CLOSE, _CLOSE_DOUBLE = 1e-4, 1e-10


def occluded(network: Callable[[Tensor], Tensor], x: Tensor, filled: Tensor, boxes: Sequence[Box]) -> Tensor | None:
    """Logits of `x` as it is and with each of `boxes` taken from `filled`, or None where the network is not understood.

    Parameters
    ----------
    network : maps [b, c, h, w] to logits [b, classes], row by row; called under `no_grad`.
    x : [1, c, h, w].
    filled : the same shape.
    boxes : a slice of rows and one of columns each.

    Returns
    -------
    [1 + boxes, classes], or None: too few boxes, another rank, an operation that fails, or logits that differ from the
    plain evaluation of the few pictures compared.
    """
    if x.ndim != 4 or len(boxes) < FEWEST:
        return None
    # The picture as it is goes the same way, with a box that shows what is there anyway: rounding then cancels.
    pictures = [(x, boxes[0]), *((filled, box) for box in boxes)]
    run, order = Run(), neighborhoods(boxes)
    order = [[0, *(i + 1 for i in order[0])], *([i + 1 for i in some] for some in order[1:])]
    try:
        answers = torch.cat([network(_patched(run, x, [pictures[i] for i in some])) for some in order])
        logits = torch.empty_like(answers)
        logits[[i for some in order for i in some]] = answers
        if type(logits) is not Tensor or not _agrees(network, x, pictures, logits):
            return None
    except Exception:  # noqa: BLE001 - whatever a network does with a tensor, the plain evaluation says it better
        return None
    return logits


def neighborhoods(boxes: Sequence[Box]) -> list[list[int]]:
    """Numbers of the boxes in batches of neighbors: at a border, fewer elements can be reached than in the middle."""

    def split(some: list[int]) -> list[list[int]]:
        if len(some) <= _ROWS:
            return [some]
        starts = [[boxes[i][axis].start for i in some] for axis in (0, 1)]
        long = max((0, 1), key=lambda axis: max(starts[axis]) - min(starts[axis]))
        some = sorted(some, key=lambda i: boxes[i][long].start)
        return split(some[: len(some) // 2]) + split(some[len(some) // 2 :])

    return split(list(range(len(boxes))))


def _region(boxes: Sequence[Box], sizes: tuple[int, int]) -> Region:
    ends = [np.array([(box[axis].start, box[axis].stop - 1) for box in boxes], np.int64).T for axis in (0, 1)]
    return Region(*(around(first, last, size) for (first, last), size in zip(ends, sizes, strict=True)))


def _patched(run: Run, x: Tensor, pictures: Sequence[Picture]) -> Patched:
    run.start()
    region = _region([box for _, box in pictures], (x.shape[2], x.shape[3]))
    rows, columns = region
    tops, lefts = rows.starts.tolist(), columns.starts.tolist()
    crops = torch.cat([x[:, :, y : y + rows.length, z : z + columns.length] for y, z in zip(tops, lefts, strict=True)])
    for crop, top, left, (source, (down, across)) in zip(crops, tops, lefts, pictures, strict=True):
        crop[:, down.start - top : down.stop - top, across.start - left : across.stop - left] = source[
            0, :, down, across
        ]
    return Patched(run, x, crops, region)


def _agrees(network: Callable[[Tensor], Tensor], x: Tensor, pictures: Sequence[Picture], logits: Tensor) -> bool:
    """Whether the plain evaluation of some pictures, at two corners and in between, gives the same."""
    some = [0, 1, len(pictures) // 3, len(pictures) // 2, len(pictures) - 1]
    pasted = x.repeat(len(some), 1, 1, 1)
    for row, i in zip(pasted, some, strict=True):
        source, (down, across) = pictures[i]
        row[:, down, across] = source[0, :, down, across]
    plain = network(pasted)
    close = _CLOSE_DOUBLE if plain.dtype == torch.float64 else _CLOSE
    return bool(((plain - logits[some]).abs().amax() <= close * plain.abs().amax()).item())
