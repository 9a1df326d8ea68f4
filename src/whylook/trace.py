"""One guarded forward and K backward passes: all that gradient and CAM methods need, for every class asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from whylook.guard import guarded
from whylook.layers import Layer
from whylook.targets import Score, class_logits


@dataclass(frozen=True, eq=False)
class Trace:
    """What one pass saw.

    Parameters
    ----------
    logits : [n, classes].
    targets : [n, k] class indices.
    activations : by layer name, [n, c, *grid].
    gradients : by layer name, [k, n, c, *grid].
    input_gradients : one per input, [k, n, …].
    """

    logits: Tensor
    targets: Tensor
    activations: dict[str, Tensor]
    gradients: dict[str, Tensor]
    input_gradients: tuple[Tensor, ...]


def trace(
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    choose: Callable[[Tensor, bool], Tensor],
    score: Score,
    *,
    layers: Sequence[Layer] = (),
    layer_gradients: bool = True,
    input_gradient: bool = True,
    seed: int = 0,
) -> Trace:
    """Run the network once, then once backward per target.

    Without `input_gradient` nothing before the first of `layers` is recorded, so the backward pass ends there.

    Parameters
    ----------
    network : the module; untouched afterwards.
    inputs : its inputs, each [n, …].
    choose : from logits [n, classes] and whether they come from one logit to targets [n, k].
    score : what is differentiated.
    layers : where to read activations.
    layer_gradients, input_gradient : which gradients to take.
    seed : of randomness inside the network.
    """
    captured: dict[str, Tensor] = {}

    def capture(layer: Layer) -> Callable[[nn.Module, object, object], object]:
        def hook(module: nn.Module, _: object, output: object) -> object:
            parts = list(output) if isinstance(output, list | tuple) else [output]
            value = cast("Tensor", parts[0])
            captured[layer.name] = value if value.requires_grad else value.detach().requires_grad_(layer_gradients)
            # The network goes on with a copy: an in-place operation behind the layer cannot overwrite what was read.
            parts[0] = captured[layer.name].clone()
            return type(output)(parts) if isinstance(output, list | tuple) else parts[0]

        return hook

    with guarded(network, inputs[0].device, seed):
        leaves = tuple(x.detach().clone().requires_grad_(input_gradient) for x in inputs)
        handles = []
        try:
            handles = [layer.module.register_forward_hook(capture(layer)) for layer in layers]
            output = network(*(leaf.clone() for leaf in leaves))
        finally:
            for handle in handles:
                handle.remove()
        logits, one_logit = class_logits(output, inputs[0].shape[0])
        targets = choose(logits.detach(), one_logit)
        wanted = [*(leaves if input_gradient else ()), *(captured[f.name] for f in layers if layer_gradients)]
        grads: list[list[Tensor]] = []
        if wanted:
            scores = score(logits, targets, one_logit)
            grads = [_grad(scores[:, k].sum(), wanted, last=k + 1 == targets.shape[1]) for k in range(targets.shape[1])]
        stacked = [torch.stack(g) for g in zip(*grads, strict=True)]
    split = len(leaves) if input_gradient else 0
    return Trace(
        logits=logits.detach(),
        targets=targets,
        activations={f.name: f.spatial(captured[f.name].detach()) for f in layers},
        gradients={
            f.name: torch.stack([f.spatial(g) for g in stack])
            for f, stack in zip(layers, stacked[split:], strict=False)
        },
        input_gradients=tuple(stacked[:split]),
    )


def _grad(score: Tensor, wanted: list[Tensor], *, last: bool) -> list[Tensor]:
    """Gradients of one number; zero where it does not depend on the tensor."""
    if not score.requires_grad:
        return [torch.zeros_like(t) for t in wanted]
    grads = torch.autograd.grad(score, wanted, retain_graph=not last, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for g, t in zip(grads, wanted, strict=True)]
