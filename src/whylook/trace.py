"""One guarded forward and K backward passes: all that gradient and CAM methods need, for every class asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from whylook.attention import INSTEAD, Watch, blocks, one_token_set, watching
from whylook.errors import Unsupported
from whylook.folding.linear import whole_kernels_as_linear
from whylook.guard import guarded
from whylook.layers import Layer, find_tokens, first_tensor, with_first
from whylook.rules.engine import Rules, applied, graph
from whylook.targets import Score, class_logits


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
    """

    logits: Tensor
    targets: Tensor
    activations: dict[str, Tensor]
    gradients: dict[str, Tensor]
    input_gradients: tuple[Tensor, ...]
    severed: bool = False


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

    with guarded(network, inputs[0].device, seed):
        leaves = tuple(x.detach().clone().requires_grad_(input_gradient) for x in inputs)
        handles = []
        try:
            handles = [layer.module.register_forward_hook(capture(layer)) for layer in layers]
            with whole_kernels_as_linear(network, inputs[0].device):
                output = network(*(leaf.clone() for leaf in leaves))
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
            grads = [_grad(scores[:, k].sum(), wanted, last=k + 1 == targets.shape[1]) for k in range(targets.shape[1])]
            lost = [i for i in range(len(leaves)) if input_gradient and all(g[i] is None for g in grads)]
            severed = bool(lost) and depends(network, inputs, lost, logits.detach())
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
    )


def _grad(score: Tensor, wanted: list[Tensor], *, last: bool) -> list[Tensor | None]:
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


SEVERED = (
    "The logits change with the input, but no gradient reaches it: the network's forward runs under no_grad or detaches. "
    "Remove that for the explanation, or use a method that needs no gradient of the input."
)


@dataclass(frozen=True, eq=False)
class RuleTrace:
    """What a pass under rules saw; lists are over inputs, b blocks of rows are run jointly (`Rules.blocks`).

    Parameters
    ----------
    rows : [b, n, …], what was run; the first block is the input.
    multipliers : [k, b, n, …], what came back to them.
    bias : per target, what came back to the biases, [n, *grid] each, where the rules keep it.
    score : [n, k], what the multipliers begin with: the blocks' scores, counted as the rules say.
    """

    rows: list[Tensor]
    multipliers: list[Tensor]
    bias: list[list[Tensor]]
    score: Tensor


def trace_rules(
    network: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor, score: Score, rules: Rules, *, seed: int = 0
) -> RuleTrace:
    """Run the network once under `rules`, then once backward per target.

    Parameters
    ----------
    network : the module; untouched afterwards.
    inputs : its inputs, each [n, …].
    targets : [n, k] class indices.
    score : what the multipliers begin with.
    rules : what stands in for which operations; used for this pass only.
    seed : of randomness inside the network.

    Raises
    ------
    Unsupported
        If the network has operations for which the rules have no meaning, or its graph is cut.
    """
    n, classes = targets.shape
    with guarded(network, inputs[0].device, seed):
        blocks = rules.blocks(inputs)
        joint = tuple(torch.cat(parts).detach().requires_grad_() for parts in zip(*blocks, strict=True))
        with applied(rules):
            output = network(*(leaf.clone() for leaf in joint))
        logits, one_logit = class_logits(output, n * len(blocks))
        rules.check(graph(logits))
        begun = rules.seed(logits[:, 1:] if one_logit else logits)
        scores = score(torch.cat([-begun, begun], 1) if one_logit else begun, targets.repeat(len(blocks), 1), one_logit)
        counted = scores.reshape(len(blocks), n, classes) * torch.tensor(rules.signs).to(scores)[:, None, None]
        grads, bias = [], []
        for k in range(classes):
            grads.append(_grad(counted[:, :, k].sum(), list(joint), last=k + 1 == classes))
            bias.append(rules.collect())
        lost = [i for i in range(len(joint)) if all(g[i] is None for g in grads)]
        if lost and depends(network, joint, lost, logits.detach()):
            raise Unsupported(SEVERED)
        stacked = [filled(column, like) for column, like in zip(zip(*grads, strict=True), joint, strict=True)]
    return RuleTrace(
        rows=[leaf.detach().reshape(len(blocks), n, *leaf.shape[1:]) for leaf in joint],
        multipliers=[s.reshape(classes, len(blocks), n, *s.shape[2:]) for s in stacked],
        bias=bias,
        score=counted.detach().sum(0),
    )


@dataclass(frozen=True, eq=False)
class AttentionTrace:
    """What a pass saw in which attention ran in the open; lists are over layers, tensors [n, heads, t, t].

    Parameters
    ----------
    attention : the weights.
    attention_gradients : per target, the score's gradients by them; no targets where not asked for.
    layerwise_gradients : per target, each layer's gradient of the score that the head gives to that layer's output; no
        targets where not asked for.
    readers : [n, t], the shares in which the head reads the last layer's tokens: alike for all that it reads.
    prefix : how many (class, register, distillation) tokens come before the grid's.
    grid : the spatial shape of the others.
    """

    attention: list[Tensor]
    attention_gradients: list[list[Tensor]]
    layerwise_gradients: list[list[Tensor]]
    readers: Tensor
    prefix: int
    grid: tuple[int, ...]

    def on_grid(self, tokens: Tensor) -> Tensor:
        """Bring one value per token [n, t] to [n, *grid]."""
        return tokens[:, self.prefix :].reshape(tokens.shape[0], *self.grid)


def trace_attention(
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    targets: Tensor,
    score: Score,
    *,
    gradients: bool = True,
    layerwise: bool = False,
    seed: int = 0,
) -> AttentionTrace:
    """Run the network once with its attention in the open, then once backward per target.

    Parameters
    ----------
    network : the module; untouched afterwards.
    inputs : its inputs, each [n, …].
    targets : [n, k] class indices.
    score : what is differentiated.
    gradients, layerwise : which gradients to take; the layerwise cost one more forward and backward per layer.
    seed : of randomness inside the network.

    Raises
    ------
    Unsupported
        If the network has no attention among all tokens of one set, its graph is cut, or (`layerwise`) no blocks.
    """
    rows, classes = inputs[0].shape[0], range(targets.shape[1])
    with guarded(network, inputs[0].device, seed):
        leaves = tuple(x.detach().clone().requires_grad_() for x in inputs)
        with watching(network) as watch:
            output = network(*(leaf.clone() for leaf in leaves))
        count, shaped = one_token_set(network, watch, rows)
        logits, one_logit = class_logits(output, rows)
        weights = [call.weights for call in watch.calls]
        # Which tokens the head reads is a property of the network, not of the target: any mixture of logits tells.
        mixture = torch.randn(logits.shape[1], generator=torch.Generator().manual_seed(0)).to(logits)
        read, *reached = _grad((logits @ mixture).sum(), [weights[-1], *leaves], last=False)
        constant = all(g is None for g in reached)
        if constant:
            with watching(network):  # the same arithmetic again, so that only the inputs can make a difference
                if depends(network, inputs, range(len(inputs)), logits):
                    raise Unsupported(SEVERED)
            read, logits = None, logits.detach()  # what attention does to constants is evidence of nothing
        full: list[list[Tensor | None]] = []
        if gradients:
            scores = score(logits, targets, one_logit)
            full = [_grad(scores[:, k].sum(), weights, last=False) for k in classes]
        early: list[list[Tensor | None]] = []
        if layerwise:
            heads = [logits] * len(weights) if constant else _heads(network, inputs, watch, logits)
            at = [score(z, targets, one_logit) for z in heads]
            early = [
                [_grad(s[:, k].sum(), [w], last=False)[0] for s, w in zip(at, weights, strict=True)] for k in classes
            ]
    place = find_tokens(network, inputs, count)
    if place is None:
        raise Unsupported(f"No grid of the picture fits the {count} tokens of {type(network).__name__}; {INSTEAD}.")
    readers = torch.zeros_like(weights[-1]) if read is None else read
    used = (shaped(readers).abs().amax((1, 3)) > 0).to(logits)
    return AttentionTrace(
        attention=[shaped(w.detach()) for w in weights],
        attention_gradients=[[shaped(_or_zero(g, w)) for g, w in zip(row, weights, strict=True)] for row in full],
        layerwise_gradients=[[shaped(_or_zero(g, w)) for g, w in zip(row, weights, strict=True)] for row in early],
        readers=used / used.sum(1, keepdim=True).clamp(min=1),
        prefix=place[0],
        grid=place[1],
    )


def _or_zero(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


def _heads(network: nn.Module, inputs: tuple[Tensor, ...], watch: Watch, logits: Tensor) -> list[Tensor]:
    """Logits [n, classes] that the head gives to the tokens behind each layer; the last layer's are the network's own."""
    if len(watch.calls) == 1:
        return [logits]
    streams = blocks(network, watch)
    last = watch.calls[-1].block
    assert last is not None  # `blocks` has seen to it

    def swapped(tokens: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
        def swap(module: nn.Module, _: object, output: object) -> object:
            torch.set_grad_enabled(True)
            return with_first(output, tokens.clone())

        handle = last.register_forward_hook(swap)
        try:
            with torch.no_grad():  # nothing before the head leaves a graph; leaving puts the switch back
                return class_logits(network(*(x.clone() for x in inputs)), inputs[0].shape[0])[0]
        finally:
            handle.remove()

    nothing = swapped(streams[-1].detach(), tuple(torch.zeros_like(x) for x in inputs))
    if not torch.allclose(nothing, swapped(streams[-1].detach(), inputs)):
        raise Unsupported(
            f"The head of {type(network).__name__} reads more than the tokens behind its last attention, so it cannot "
            "be applied to those behind each layer. Use transformer-attribution or attention-rollout."
        )
    return [*(swapped(tokens, inputs) for tokens in streams[:-1]), logits]
