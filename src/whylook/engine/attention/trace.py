"""One pass with attention in the open: a guarded forward, and one backward per target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from whylook.engine.attention.watch import INSTEAD, Watch, blocks, one_token_set, watching
from whylook.engine.guard import guarded
from whylook.engine.layers import find_tokens
from whylook.engine.outputs import with_first
from whylook.engine.targets import Score, class_logits
from whylook.engine.trace import SEVERED, depends, gradients_of
from whylook.errors import Unsupported


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
        if not _rows_apart(watch, leaves):
            each = [(tuple(x[i : i + 1] for x in inputs), targets[i : i + 1]) for i in range(rows)]
            return _joined(
                [
                    trace_attention(network, *row, score, gradients=gradients, layerwise=layerwise, seed=seed)
                    for row in each
                ]
            )
        count, shaped = one_token_set(network, watch, rows)
        logits, one_logit = class_logits(output, rows)
        weights = [call.weights for call in watch.calls]
        # Which tokens the head reads is a property of the network, not of the target: any mixture of logits tells.
        mixture = torch.randn(logits.shape[1], generator=torch.Generator().manual_seed(0)).to(logits)
        read, *reached = gradients_of((logits @ mixture).sum(), [weights[-1], *leaves], last=False)
        constant = all(g is None for g in reached)
        if constant:
            with watching(network):  # the same arithmetic again, so that only the inputs can make a difference
                if depends(network, inputs, range(len(inputs)), logits):
                    raise Unsupported(SEVERED)
            read, logits = None, logits.detach()  # what attention does to constants is evidence of nothing
        elif read is None:
            raise Unsupported(
                f"The logits of {type(network).__name__} do not come from its last attention (a side branch, or its graph is "
                f"cut), so which tokens they read cannot be told; {INSTEAD}."
            )
        full: list[list[Tensor | None]] = []
        if gradients:
            scores = score(logits, targets, one_logit)
            full = [gradients_of(scores[:, k].sum(), weights, last=False) for k in classes]
        early: list[list[Tensor | None]] = []
        if layerwise:
            heads = [logits] * len(weights) if constant else _heads(network, inputs, watch, logits)
            at = [score(z, targets, one_logit) for z in heads]
            early = [
                [gradients_of(s[:, k].sum(), [w], last=False)[0] for s, w in zip(at, weights, strict=True)]
                for k in classes
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


def _rows_apart(watch: Watch, leaves: tuple[Tensor, ...]) -> bool:
    """Whether the first attention's weights lie picture by picture, told by gradients (heads may be the outer axis)."""
    rows = leaves[0].shape[0]
    weights = watch.calls[0].weights if watch.calls else None
    if rows == 1 or weights is None or weights.grad_fn is None or weights.shape[0] % rows:
        return True
    first = weights[: weights.shape[0] // rows]
    mixture = torch.randn(first.shape, generator=torch.Generator().manual_seed(0)).to(first)
    found = torch.autograd.grad((first * mixture).sum(), leaves, retain_graph=True, allow_unused=True)
    return not any(bool(g[1:].any()) for g in found if g is not None)


def _joined(each: list[AttentionTrace]) -> AttentionTrace:
    """One trace of the rows' own."""
    first = each[0]

    def rows(parts: Sequence[list[Tensor]]) -> list[Tensor]:
        return [torch.cat(part) for part in zip(*parts, strict=True)]

    def by_target(parts: Sequence[list[list[Tensor]]]) -> list[list[Tensor]]:
        return [rows(part) for part in zip(*parts, strict=True)]

    return AttentionTrace(
        attention=rows([seen.attention for seen in each]),
        attention_gradients=by_target([seen.attention_gradients for seen in each]),
        layerwise_gradients=by_target([seen.layerwise_gradients for seen in each]),
        readers=torch.cat([seen.readers for seen in each]),
        prefix=first.prefix,
        grid=first.grid,
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
