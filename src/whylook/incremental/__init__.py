"""Exact occlusion at a fraction of the work: behind a patch, only what the patch can reach is computed again.

A network is run on `Patched` maps: the clean map, kept from step to step, and a crop around what has changed. Operations
without a rule, and those whose result has changed nearly everywhere, go on with dense tensors, so that the answer is the
network's own up to the rounding of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whylook.incremental.patched import Patched, Run
from whylook.incremental.regions import Region, around

FEWEST = 16  # boxes below which there is nothing to gain
_ROWS = 32
_CLOSE = 1e-4  # of the largest logit; rounding differs by some 1e-6, a misunderstood network by far more


def occluded(
    network: Callable[[Tensor], Tensor], x: Tensor, filled: Tensor, boxes: Sequence[tuple[slice, ...]]
) -> Tensor | None:
    """Logits of `x` with each of `boxes` taken from `filled` instead, or None where the network is not understood.

    Parameters
    ----------
    network : maps [b, c, h, w] to logits [b, classes], row by row; called under `no_grad`.
    x : [1, c, h, w].
    filled : the same shape.
    boxes : a slice of rows and one of columns each.

    Returns
    -------
    [boxes, classes], or None: too few boxes, another rank, an operation that fails, or logits that differ from the plain
    evaluation of the four boxes compared.
    """
    if x.ndim != 4 or len(boxes) < FEWEST:
        return None
    run, region = Run(), _region(boxes, (x.shape[2], x.shape[3]))
    try:
        logits = torch.cat(
            [
                network(_patched(run, x, filled, boxes, region, slice(start, start + _ROWS)))
                for start in range(0, len(boxes), _ROWS)
            ]
        )
    except Exception:  # noqa: BLE001 - whatever a network does with a tensor, the plain evaluation says it better
        return None
    if type(logits) is not Tensor or logits.shape[0] != len(boxes):
        return None
    return logits if _agrees(network, x, filled, boxes, logits) else None


def _region(boxes: Sequence[tuple[slice, ...]], sizes: tuple[int, int]) -> Region:
    ends = [np.array([(box[axis].start, box[axis].stop - 1) for box in boxes], np.int64).T for axis in (0, 1)]
    return Region(*(around(first, last, size) for (first, last), size in zip(ends, sizes, strict=True)))


def _patched(
    run: Run, x: Tensor, filled: Tensor, boxes: Sequence[tuple[slice, ...]], region: Region, chosen: slice
) -> Patched:
    run.step, run.chosen = 0, chosen
    rows, columns = region
    crops = []
    for top, left, box in zip(rows.starts[chosen].tolist(), columns.starts[chosen].tolist(), boxes[chosen], strict=True):
        crop = x[0, :, top : top + rows.length, left : left + columns.length].clone()
        (y0, y1), (x0, x1) = ((s.start, s.stop) for s in box)
        crop[:, y0 - top : y1 - top, x0 - left : x1 - left] = filled[0][:, y0:y1, x0:x1]
        crops.append(crop)
    return Patched(run, x, torch.stack(crops), region)


def _agrees(
    network: Callable[[Tensor], Tensor], x: Tensor, filled: Tensor, boxes: Sequence[tuple[slice, ...]], logits: Tensor
) -> bool:
    """Whether the plain evaluation of some boxes, at two corners and in between, gives the same."""
    some = [0, len(boxes) // 3, len(boxes) // 2, len(boxes) - 1]
    pasted = x.repeat(len(some), 1, 1, 1)
    for row, i in zip(pasted, some, strict=True):
        box: tuple[Any, ...] = (..., *boxes[i])
        row[box] = filled[0][box]
    plain = network(pasted)
    return bool(((plain - logits[some]).abs().amax() <= _CLOSE * plain.abs().amax()).item())
