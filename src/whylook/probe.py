"""Many guarded evaluations of a network around one input: noise, paths, masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from whylook.guard import guarded
from whylook.targets import Score, class_logits
from whylook.trace import filled

Inputs = Tensor | tuple[Tensor, ...]
Box = tuple[slice, ...]
_CHUNK_ELEMENTS = 8 * 3 * 224 * 224  # activations of 8 such rows stay where the allocator does not page-fault
_CHUNK_ROWS = 32
_PICTURES = 64  # occluded pictures that exist at once


class Noise:
    """Random numbers that depend on the seed and the order of the draws only: not on device, dtype or batch."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def normal(self, samples: int, like: Tensor) -> Tensor:
        """Standard normal noise [samples, *like.shape[1:]], in `like`'s dtype and on its device."""
        # One draw per sample: the vectorized generator's stream depends on how much is drawn at once.
        draws = [torch.randn(like.shape[1:], generator=self._generator) for _ in range(samples)]
        return torch.stack(draws).to(like)

    def uniform(self, samples: int, count: int) -> Tensor:
        """Uniform numbers in [0, 1), float32 [samples, count], on the CPU."""
        return torch.stack([torch.rand(count, generator=self._generator) for _ in range(samples)])


class Probe:
    """Evaluates scores and their gradients at batches of inputs, in chunks that depend on the shape alone.

    Parameters
    ----------
    network : the module, inside `guarded` while this is used (see `probing`).
    targets : [1, k], the classes explained.
    score : what is evaluated.
    progress : called with the number of rows done after each chunk.
    """

    def __init__(
        self, network: nn.Module, targets: Tensor, score: Score, progress: Callable[[int], None] | None = None
    ) -> None:
        self._network, self._targets, self._score, self._progress = network, targets, score, progress
        self.forwards = self.backwards = 0

    def scores(self, batch: Inputs) -> Tensor:
        """Scores [b, k] at `batch` [b, …] (or a tuple of such)."""
        with torch.no_grad():
            return torch.cat([self._forward(chunk) for chunk in self._chunks(batch)])

    def occluded(self, x: Inputs, which: int, filled: Tensor, boxes: Sequence[Box]) -> Tensor:
        """Scores [1 + boxes, k] of `x` as it is and with each of `boxes` taken from `filled` instead.

        Parameters
        ----------
        x : one row [1, …], or a tuple of such.
        which : the number of the input that is occluded.
        filled : what is put in its place, of its shape.
        boxes : one slice per trailing axis each.
        """
        inputs = x if isinstance(x, tuple) else (x,)
        parts = []
        for start in range(-1, len(boxes), _PICTURES):  # the first picture is the one without a box
            rows = range(start, min(start + _PICTURES, len(boxes)))
            pasted = inputs[which].expand(len(rows), *inputs[which].shape[1:]).clone()
            for row, number in zip(pasted, rows, strict=True):
                if number >= 0:
                    box: tuple[Any, ...] = (..., *boxes[number])
                    row[box] = filled[0][box]
            batch = [t.expand(len(rows), *t.shape[1:]) for t in inputs]
            batch[which] = pasted
            parts.append(self.scores(tuple(batch) if isinstance(x, tuple) else pasted))
        return torch.cat(parts)

    def gradients(self, batch: Inputs) -> Inputs:
        """Gradients of each target's score at `batch` [b, …]: [k, b, …] (or a tuple of such)."""
        parts: list[tuple[Tensor, ...]] = []
        for chunk in self._chunks(batch):
            leaves = tuple(t.detach().clone().requires_grad_() for t in chunk)
            scores = self._forward(tuple(leaf.clone() for leaf in leaves))
            parts.append(self._backward(scores, leaves))
        joined = tuple(torch.cat(part, 1) for part in zip(*parts, strict=True))
        return joined if isinstance(batch, tuple) else joined[0]

    def _forward(self, chunk: tuple[Tensor, ...]) -> Tensor:
        rows = chunk[0].shape[0]
        logits, one_logit = class_logits(self._network(*chunk), rows)
        self.forwards += rows
        if self._progress:
            self._progress(rows)
        return self._score(logits, self._targets.expand(rows, -1), one_logit)

    def _backward(self, scores: Tensor, leaves: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        found: list[tuple[Tensor | None, ...]] = []
        for k in range(scores.shape[1]):
            self.backwards += scores.shape[0]
            if scores.requires_grad:
                keep = k + 1 < scores.shape[1]
                found.append(torch.autograd.grad(scores[:, k].sum(), leaves, retain_graph=keep, allow_unused=True))
            else:
                found.append((None,) * len(leaves))
        return tuple(filled(column, leaf) for column, leaf in zip(zip(*found, strict=True), leaves, strict=True))

    def _chunks(self, batch: Inputs) -> Iterator[tuple[Tensor, ...]]:
        tensors = batch if isinstance(batch, tuple) else (batch,)
        rows = max(1, min(_CHUNK_ROWS, _CHUNK_ELEMENTS // max(1, sum(t[0].numel() for t in tensors))))
        yield from zip(*(torch.split(t, rows) for t in tensors), strict=True)


@contextmanager
def probing(
    network: nn.Module,
    targets: Tensor,
    score: Score,
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Probe]:
    """Give a `Probe` of `network`, guarded while the body runs."""
    with guarded(network, targets.device, seed):
        yield Probe(network, targets, score, progress)


def each(function: Callable[..., Tensor], inputs: Inputs) -> Inputs:
    """Apply `function` to an input, or to each of several."""
    result: Inputs = tree_map(function, inputs)
    return result
