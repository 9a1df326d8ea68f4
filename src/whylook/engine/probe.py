"""Many guarded evaluations of a network around one input: noise, paths, masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from whylook.engine import incremental
from whylook.engine.company import mixes_rows
from whylook.engine.folding import Fold, MisfoldError, prepare
from whylook.engine.guard import guarded
from whylook.engine.targets import Score, class_logits
from whylook.engine.trace import filled
from whylook.errors import OutOfMemory

Inputs = Tensor | tuple[Tensor, ...]
Box = tuple[slice, ...]
Result = TypeVar("Result")
FROM = 16  # evaluations: with fewer, looking into the network costs more than running it faster saves
_CHUNK_ELEMENTS = 8 * 3 * 224 * 224  # activations of 8 such rows stay where the allocator does not page-fault
_CHUNK_ROWS = 32
_ACTIVATION = 32 << 20  # bytes; glibc hands larger blocks back to the system and page-faults them at each use
_BUDGET = 320 << 20  # bytes of activations that a backward pass may keep: about a quarter of a small process
_MOST_ROWS = 128
_PICTURES = 128  # occluded pictures that exist at once


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

    def order(self, count: int) -> list[int]:
        """The numbers 0 to `count` - 1 in random order."""
        return [int(i) for i in torch.randperm(count, generator=self._generator)]


class Probe:
    """Evaluates scores and their gradients at batches of inputs, in chunks that depend on network and shape alone.

    Where a chunk does not fit into memory it is halved, and so are those after it; the results then agree with those of
    whole chunks to rounding.

    Parameters
    ----------
    network : the module, inside `guarded` while this is used (see `probing`).
    targets : [1, k], the classes explained.
    score : what is evaluated.
    progress : called with the number of rows done after each chunk.
    fold : how the network is run faster, or None to run it as delivered.
    single : whether rows have to be run one at a time, for they would change one another.
    """

    def __init__(
        self,
        network: nn.Module,
        targets: Tensor,
        score: Score,
        progress: Callable[[int], None] | None = None,
        fold: Fold | None = None,
        *,
        single: bool = False,
    ) -> None:
        self._network, self._targets, self._score, self._progress = network, targets, score, progress
        self._fold = fold
        self._rows: int | None = None  # of a chunk, once memory has run out
        self._single = single
        self.forwards = self.backwards = 0
        self.lost: set[int] = set()  # inputs that no gradient has reached

    def scores(self, batch: Inputs) -> Tensor:
        """Scores [b, k] at `batch` [b, …] (or a tuple of such)."""

        def evaluate(chunk: tuple[Tensor, ...]) -> Tensor:
            with torch.no_grad():  # of copies, for a network may write to its input, which may be asked for again
                return self._forward(tuple(t.clone() for t in chunk))

        return torch.cat(list(self._chunked(batch, evaluate, backwards=0)))

    def occluded(self, x: Inputs, which: int, filled: Tensor, boxes: Sequence[Box]) -> Tensor:
        """Scores [1 + boxes, k] of `x` as it is and with each of `boxes` taken from `filled` instead.

        Parameters
        ----------
        x : one row [1, …], or a tuple of such.
        which : the number of the input that is occluded.
        filled : what is put in its place, of its shape.
        boxes : one slice per trailing axis each.
        """
        exact = self._fold is None or self._fold.precision is None  # the other engine compares, and would not agree
        if exact and isinstance(x, Tensor) and not self._single:
            quick = self._incremental(x, filled, boxes)
            if quick is not None:
                return quick
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

    def _incremental(self, x: Tensor, filled: Tensor, boxes: Sequence[Box]) -> Tensor | None:
        """The same scores with only what a box can reach computed again; None where that is not understood."""
        single_logit = False

        def evaluate(batch: Tensor) -> Tensor:
            nonlocal single_logit
            logits, single_logit = class_logits(self._output((batch,)), batch.shape[0])
            return logits

        with torch.no_grad():
            logits = incremental.occluded(evaluate, x, filled, boxes)
        if logits is None:
            return None
        rows = logits.shape[0]
        self.forwards += rows
        if self._progress:
            self._progress(rows)
        return self._score(logits.to(x.dtype), self._targets.expand(rows, -1), single_logit)

    def gradients(self, batch: Inputs) -> Inputs:
        """Gradients of each target's score at `batch` [b, …]: [k, b, …] (or a tuple of such)."""
        _, gradients = self._evaluate(batch, slice(None))
        return gradients if isinstance(batch, tuple) else gradients[0]

    def evaluate(self, batch: Inputs, target: int) -> tuple[Tensor, Inputs]:
        """Scores [b] of one of the targets at `batch` [b, …], and their gradients [b, …] (or a tuple of such)."""
        scores, gradients = self._evaluate(batch, slice(target, target + 1))
        of_it = tuple(g[0] for g in gradients)
        return scores[:, 0], of_it if isinstance(batch, tuple) else of_it[0]

    def _evaluate(self, batch: Inputs, which: slice) -> tuple[Tensor, tuple[Tensor, ...]]:
        def evaluate(chunk: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
            leaves = tuple(t.detach().clone().requires_grad_() for t in chunk)
            wanted = self._forward(tuple(leaf.clone() for leaf in leaves))[:, which]
            return wanted.detach(), self._backward(wanted, leaves)

        count = len(range(self._targets.shape[1])[which])
        scores, gradients = zip(*self._chunked(batch, evaluate, backwards=count), strict=True)
        return torch.cat(scores), tuple(torch.cat(part, 1) for part in zip(*gradients, strict=True))

    def _forward(self, chunk: tuple[Tensor, ...]) -> Tensor:
        rows = chunk[0].shape[0]
        logits, one_logit = class_logits(self._output(chunk), rows)
        return self._score(logits.to(chunk[0].dtype), self._targets.expand(rows, -1), one_logit)

    def _output(self, chunk: tuple[Tensor, ...]) -> object:
        if self._fold is None:
            return self._network(*chunk)
        try:
            return self._fold.run(self._network, chunk)
        except RuntimeError as error:
            # It took another way than when it was recorded, or cannot have more than one row laid out channels-last.
            if out_of_memory(error) or not (isinstance(error, MisfoldError) or self._fold.channels_last):
                raise
            self._fold = None
            return self._network(*chunk)

    def _backward(self, scores: Tensor, leaves: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        found: list[tuple[Tensor | None, ...]] = []
        for k in range(scores.shape[1]):
            if scores.requires_grad:
                keep = k + 1 < scores.shape[1]
                found.append(torch.autograd.grad(scores[:, k].sum(), leaves, retain_graph=keep, allow_unused=True))
            else:
                found.append((None,) * len(leaves))
        self.lost |= {i for grads in found for i, g in enumerate(grads) if g is None}
        columns = zip(zip(*found, strict=True), leaves, strict=True)
        return tuple(filled(column, leaf).contiguous() for column, leaf in columns)

    def _chunked(
        self, batch: Inputs, evaluate: Callable[[tuple[Tensor, ...]], Result], *, backwards: int
    ) -> Iterator[Result]:
        tensors = batch if isinstance(batch, tuple) else (batch,)
        done, total = 0, tensors[0].shape[0]
        rows = self._rows or self._usual_rows(tensors, backward=backwards > 0)
        rows = max(1, -(-total // max(1, -(-total // rows))))  # as few chunks, of one size
        while done < total:
            chunk = tuple(t[done : done + rows] for t in tensors)
            count = chunk[0].shape[0]
            try:
                result = evaluate(chunk)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if count == 1:
                    raise OutOfMemory(_no_room(chunk)) from error
                self._rows = rows = count // 2
                continue
            done += count
            self.forwards += count
            self.backwards += count * backwards
            if self._progress:
                self._progress(count)
            yield result

    def _usual_rows(self, tensors: tuple[Tensor, ...], *, backward: bool) -> int:
        if self._single:
            return 1
        if self._fold is None:
            return chunk_rows(tensors)
        on_cpu = tensors[0].device.type == "cpu"
        budget = _BUDGET if on_cpu else 16 * _BUDGET
        rows = budget // max(1, self._fold.total) if backward else _MOST_ROWS
        if on_cpu:
            rows = min(rows, _ACTIVATION // max(1, self._fold.largest))
        return max(1, min(rows, _MOST_ROWS))


def chunk_rows(x: Inputs) -> int:
    """Rows that are evaluated together where the network is run as delivered; depends on a row's shape alone."""
    elements = sum(t[0].numel() for t in (x if isinstance(x, tuple) else (x,)))
    return max(1, min(_CHUNK_ROWS, _CHUNK_ELEMENTS // max(1, elements)))


@contextmanager
def probing(
    network: nn.Module,
    targets: Tensor,
    score: Score,
    *,
    inputs: tuple[Tensor, ...] = (),
    evaluations: int = 0,
    precision: torch.dtype | None = None,
    single: bool = False,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Probe]:
    """Give a `Probe` of `network`, guarded while the body runs.

    Parameters
    ----------
    inputs : the row that is explained, each [1, …], for its shape; without it the network is run as delivered.
    evaluations : how many the method will ask for, where that is known: below `FROM` the network is run as delivered.
    precision : `torch.bfloat16` for forward-only evaluations in it, or None.
    single : whether rows are known to change one another, so that each is run by itself.
    """
    with guarded(network, targets.device, seed):
        single = single or mixes_rows(network, inputs)
        many = bool(inputs) and not 0 < evaluations < FROM
        fold = prepare(network, inputs, precision) if many or precision is not None else None
        if fold is None and precision is not None:
            fold = Fold({}, channels_last=False, largest=_ACTIVATION // 8, total=_BUDGET // 8, precision=precision)
        yield Probe(network, targets, score, progress, fold, single=single)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of PyTorch says that memory ran out, on whatever device."""
    kind = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)  # since PyTorch 2.5
    said = str(error).lower()
    return isinstance(error, kind) or "not enough memory" in said or "can't allocate memory" in said


def _no_room(chunk: tuple[Tensor, ...]) -> str:
    shapes = " and ".join("×".join(map(str, t.shape[1:])) for t in chunk)
    return (
        f"A single input of {shapes} needs more memory than {chunk[0].device} has left; "
        "use a smaller input, or another device."
    )


def each(function: Callable[..., Tensor], inputs: Inputs, *others: Inputs) -> Inputs:
    """Apply `function` to an input, or to each of several; beside `others` of the same kind, to what belongs together."""
    result: Inputs = tree_map(function, inputs, *others)
    return result
