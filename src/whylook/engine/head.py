"""What lies behind a layer, as a function of its activation: many activations for one run of what lies before it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from whylook.engine.graph import graph
from whylook.engine.layers import Layer
from whylook.engine.outputs import first_tensor, with_first
from whylook.engine.probe import Inputs
from whylook.engine.targets import Score, class_logits
from whylook.engine.trace import NotRunError
from whylook.errors import Unsupported

# Elements of one batch of activations: large, for each run pays for the layers before it once.
_RUN_ELEMENTS = 2**24
_NO_BATCH = (RuntimeError, ValueError, AssertionError, Unsupported)


class Head:
    """The network behind a layer, for one row of input; used inside `guarded`.

    The network is run on the one row, and what the layer puts out is replaced by a batch of activations, so the layers
    before it are computed once per run and only those behind it per activation. Where the head does not take more rows
    than the input has (it may join them with what goes around the layer), the row is repeated; which it is, is asked
    once, by comparing two activations at a time with one at a time.

    Parameters
    ----------
    network : the module, inside `guarded`.
    row : its inputs, each [1, …].
    layer : whose activation is replaced.
    targets : [1, k], the classes explained.
    score : what is evaluated.

    Attributes
    ----------
    A : [1, c, *grid], the layer's activation at `row`.
    logits : [1, classes] at `row`.
    targets, score : as given.
    rows : how many activations one run should get at most.
    forwards, backwards : passes so far; forwards count runs of the layers before `layer`.
    """

    def __init__(
        self, network: nn.Module, row: tuple[Tensor, ...], layer: Layer, targets: Tensor, score: Score
    ) -> None:
        self._network, self._row, self._layer = network, row, layer
        self.targets, self.score = targets, score
        self.forwards = self.backwards = 0
        self.logits, self._one_logit, outputs = self._watched(row)
        self._call = len(outputs)  # of several runs of the module the last counts
        self._output, self._like = outputs[-1]
        self.A = layer.spatial(self._like).contiguous()
        self.rows = max(1, _RUN_ELEMENTS // self.A.numel())
        self._repeat: bool | None = None  # asked when it is first needed

    def _watched(self, row: tuple[Tensor, ...]) -> tuple[Tensor, bool, list[tuple[object, Tensor]]]:
        """Logits [1, classes] at `row`, whether they come from one logit, and what each run of the layer put out."""
        outputs: list[tuple[object, Tensor]] = []

        def note(_: nn.Module, __: object, output: object) -> None:
            tensor = first_tensor(output)
            if tensor is not None:  # copied, for an in-place operation behind the layer would overwrite it
                outputs.append((output, tensor.clone()))

        handle = self._layer.module.register_forward_hook(note)
        try:
            with torch.no_grad():
                logits, one_logit = class_logits(self._network(*(x.clone() for x in row)), 1)
        finally:
            handle.remove()
        if not outputs:
            raise NotRunError(f"Layer {self._layer.name!r} was not run this time, so there is nothing to read there.")
        self.forwards += 1
        return logits, one_logit, outputs

    def elsewhere(self, x: Inputs) -> Tensor:
        """The layer's activation [1, c, *grid] at another input, a tensor [1, …] or a tuple of such."""
        _, _, outputs = self._watched(x if isinstance(x, tuple) else (x,))
        return self._layer.spatial(outputs[-1][1]).contiguous()

    @property
    def value(self) -> Tensor:
        """Scores [1, k] of the targets at `A`."""
        return self.score(self.logits, self.targets, self._one_logit)

    def __call__(self, activations: Tensor) -> Tensor:
        """Scores [b, k] of the targets at activations [b, c, *grid], at most `rows` of them, which may be overwritten."""
        with torch.no_grad():
            logits = self._run(activations)
            return self.score(logits, self.targets.expand(logits.shape[0], -1), self._one_logit)

    def gradients(self, activations: Tensor, targets: Tensor | None = None, *, linearized: bool = False) -> Tensor:
        """Gradients [k, b, c, *grid] of the scores of `targets` [1, k] (by default those explained) at activations.

        With `linearized` they are those of the logits, weighed as the score weighs them at `A`, whatever the activation.
        """
        targets = self.targets if targets is None else targets
        leaf = activations.detach().clone().requires_grad_()
        logits = self._run(leaf.clone())
        if linearized:
            scores = (logits * self.score.slopes(self.logits, targets, self._one_logit)).sum(2).T
        else:
            scores = self.score(logits, targets.expand(logits.shape[0], -1), self._one_logit)
        if not scores.requires_grad:
            return torch.zeros_like(leaf).expand(targets.shape[1], *leaf.shape)
        self.backwards += targets.shape[1]
        found = [
            torch.autograd.grad(scores[:, k].sum(), leaf, retain_graph=k + 1 < targets.shape[1], allow_unused=True)[0]
            for k in range(targets.shape[1])
        ]
        return torch.stack([torch.zeros_like(leaf) if g is None else g for g in found])

    def curvature(self, activations: Tensor, way: Tensor) -> Tensor:
        """Second derivatives of the targets' scores at one activation [1, c, *grid], times `way` of its shape: [k, 1, …].

        Raises
        ------
        Unsupported
            If PyTorch has none for something behind the layer.
        """
        leaf = activations.detach().clone().requires_grad_()
        found = []
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
            scores = self.score(self._run(leaf.clone()), self.targets, self._one_logit)
            for score in scores[0]:
                slope = self._slope(score, leaf, create_graph=True)
                # Where something can be differentiated only once, PyTorch ends the graph, and may not say so.
                if any(name in node.name() for node in graph(slope) for name in ("Error", "NotImplemented")):
                    raise Unsupported(
                        f"PyTorch has no second derivative of what lies behind layer {self._layer.name!r}: something there "
                        "can be differentiated only once. Use grad-cam or hirescam."
                    )
                found.append(self._slope((slope * way).sum(), leaf))
        self.backwards += 2 * len(found)
        return torch.stack(found)

    @staticmethod
    def _slope(value: Tensor, leaf: Tensor, *, create_graph: bool = False) -> Tensor:
        if not value.requires_grad:
            return torch.zeros_like(leaf)
        (found,) = torch.autograd.grad(value, leaf, retain_graph=True, create_graph=create_graph, allow_unused=True)
        return torch.zeros_like(leaf) if found is None else found

    def _run(self, activations: Tensor) -> Tensor:
        """Logits [b, classes] with the layer's output replaced."""
        if self._repeat is None and activations.shape[0] > 1:
            self._repeat = not self._takes_a_batch()
        return self._replaced(activations, activations.shape[0] if self._repeat else 1)

    def _replaced(self, activations: Tensor, repeat: int) -> Tensor:
        """Logits [b, classes] with the layer's output replaced, the row of input given `repeat` times."""
        rows, call = activations.shape[0], 0

        module = self._layer.module
        own, forward = vars(module).get("forward"), module.forward

        def replace(*arguments: Any, **options: Any) -> Any:
            nonlocal call
            call += 1
            if call != self._call:
                return forward(*arguments, **options)
            with torch.enable_grad():  # a network may run its backbone under no_grad: what follows it is still read
                return with_first(self._output, self._layer.raw(activations, self._like))

        # Not a hook: the layer, often a container of most of the network, need not run only to be replaced.
        module.forward = replace
        try:
            output = self._network(*(x.expand(repeat, *x.shape[1:]).clone() for x in self._row))
        finally:
            if own is None:
                del module.forward
            else:
                module.forward = own
        if call < self._call:
            raise NotRunError(f"Layer {self._layer.name!r} was run {call} times now, but {self._call} times before.")
        self.forwards += repeat
        return class_logits(output, rows)[0]

    def _takes_a_batch(self) -> bool:
        """Whether two activations behind one row of input give what they give behind two."""
        none = torch.zeros_like(self.A)
        with torch.no_grad():
            try:
                together = self._replaced(torch.cat([self.A, none]), 1)
            except _NO_BATCH:
                return False
            apart = torch.cat([self.logits, self._replaced(none, 1)])
        bound = torch.finfo(apart.dtype).eps ** 0.5 * apart.abs().max()
        return bool(((together - apart).abs() <= bound).all())
