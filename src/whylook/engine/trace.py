"""One guarded forward and K backward passes: all that gradient and CAM methods need, for every class asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from whylook.engine.folding.linear import whole_kernels_as_linear
from whylook.engine.generators import drawn_from
from whylook.engine.guard import guarded
from whylook.engine.layers import Layer
from whylook.engine.outputs import first_tensor, with_first
from whylook.engine.targets import Score, class_logits
from whylook.errors import Unsupported


class NotRunError(Unsupported):
    """A layer that the network did not run this time."""


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
    severed : whether the logits change with an input that no gradient reaches: its map would be wrong.
    unsteady : whether the network says something else of the same input when it is asked again.
    """

    logits: Tensor
    targets: Tensor
    activations: dict[str, Tensor]
    gradients: dict[str, Tensor]
    input_gradients: tuple[Tensor, ...]
    severed: bool = False
    unsteady: bool = False


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
            value = first_tensor(output)
            if value is None:
                return output
            with torch.enable_grad():  # a network may run its backbone under no_grad: what follows it is still read
                kept = value if value.requires_grad else value.detach().requires_grad_(layer_gradients)
                captured[layer.name] = kept
                # The network goes on with a copy: an in-place operation behind the layer cannot overwrite what was read.
                return with_first(output, kept.clone())

        return hook

    with guarded(network, inputs[0].device, seed) as state:
        leaves = tuple(x.detach().clone().requires_grad_(input_gradient) for x in inputs)
        handles = []
        try:
            handles = [layer.module.register_forward_hook(capture(layer)) for layer in layers]
            with whole_kernels_as_linear(state.modules, inputs[0].device):
                # An input whose gradient is wanted must not be overwritten; a copy of it may be.
                output = network(*(leaf.clone() if input_gradient else leaf for leaf in leaves))
        finally:
            for handle in handles:
                handle.remove()
        logits, one_logit = class_logits(output, inputs[0].shape[0])
        targets = choose(logits.detach(), one_logit)
        missing = [layer.name for layer in layers if layer.name not in captured]
        if missing:
            raise NotRunError(f"Layer {missing[0]!r} was not run this time, so there is nothing to read there.")
        wanted = [*(leaves if input_gradient else ()), *(captured[f.name] for f in layers if layer_gradients)]
        grads: list[list[Tensor | None]] = []
        severed = False
        if wanted:
            scores = score(logits, targets, one_logit)
            grads = [
                gradients_of(scores[:, k].sum(), wanted, last=k + 1 == targets.shape[1])
                for k in range(targets.shape[1])
            ]
            lost = [i for i in range(len(leaves)) if input_gradient and all(g[i] is None for g in grads)]
            severed = bool(lost) and depends(network, inputs, lost, logits.detach())
        steady = not (state.changed or drawn_from(inputs[0].device, seed))
        if steady:
            state.settle()
        unsteady = not steady and _says_something_else(network, inputs, logits.detach())
        columns = list(zip(*grads, strict=True))
        stacked = [filled(column, like) for column, like in zip(columns, wanted if columns else [], strict=True)]
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
        severed=severed,
        unsteady=unsteady,
    )


def gradients_of(score: Tensor, wanted: list[Tensor], *, last: bool) -> list[Tensor | None]:
    """Gradients of one number; None where no graph leads from it to the tensor."""
    if not score.requires_grad:
        return [None] * len(wanted)
    return list(torch.autograd.grad(score, wanted, retain_graph=not last, allow_unused=True))


def filled(column: Sequence[Tensor | None], like: Tensor) -> Tensor:
    """Stack gradients, zero where there is none."""
    return torch.stack([torch.zeros_like(like) if g is None else g for g in column])


def depends(network: nn.Module, inputs: Sequence[Tensor], which: Sequence[int], logits: Tensor) -> bool:
    """Whether the logits [n, classes] change when the inputs `which` are changed; run inside `guarded`."""
    moved = list(inputs)
    for i in which:
        noise = torch.randn(moved[i].shape, generator=torch.Generator().manual_seed(0)).to(moved[i])
        moved[i] = moved[i] + 0.3 * (moved[i].std(correction=0) + 1) * noise
    with torch.no_grad():
        again, _ = class_logits(network(*moved), inputs[0].shape[0])
    return not bool(torch.equal(again, logits))


def _says_something_else(network: nn.Module, inputs: Sequence[Tensor], logits: Tensor) -> bool:
    """Whether logits are others than [n, classes] now, with random numbers drawn and attributes changed since."""
    with torch.no_grad():
        again, _ = class_logits(network(*(x.detach().clone() for x in inputs)), inputs[0].shape[0])
    return not torch.allclose(again, logits, rtol=0, atol=1e-5 * float(logits.abs().max()), equal_nan=True)


UNSTEADY = (
    "The network answers the same input differently when it is asked again: it draws random numbers or keeps something "
    "between calls. The map is one of many, and not the same in another batch."
)
NOT_A_NUMBER = "The network's logits are not numbers (NaN) for this input, so the map means nothing."
SEVERED = (
    "The logits change with the input, but no gradient reaches it: the network's forward runs under no_grad or detaches. "
    "Remove that for the explanation, or use a method that needs no gradient of the input."
)
