"""Sees the attention weights of a forward pass, fused or not, as tensors that gradients can be taken by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from whylook.engine.attention.among import among_tokens
from whylook.engine.outputs import first_tensor
from whylook.errors import Unsupported

INSTEAD = "use grad-cam, which reads its last feature layer, or gradient"
_SOFTMAX = {torch.softmax, Tensor.softmax, F.softmax, torch.special.softmax}
_PRODUCTS = {torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.einsum}


@dataclass(eq=False)
class Call:
    """One attention of a forward pass.

    Parameters
    ----------
    weights : as the network uses them, [n, heads, queries, keys] or [n · heads, queries, keys], in the graph.
    block : the outermost module that holds this attention and no other and puts out its tokens; None before it is done.
    output : the tokens [n, t, width] that `block` put out.
    entered : the tokens [n, t, width] that went into the outermost module that holds this attention and no other and
        is given tokens; None where there is none.
    """

    weights: Tensor
    block: nn.Module | None = None
    output: Tensor | None = None
    entered: Tensor | None = None


class Watch(TorchFunctionMode):
    """While active, every attention is computed as softmax and matrix product, and its weights are kept in `calls`.

    Fused kernels (`scaled_dot_product_attention`, `multi_head_attention_forward`) are replaced by the same mathematics
    in the open; where a network multiplies with a softmax of its own, that softmax is kept. `unused` are softmaxes over
    the last axis that went into something else first, `across` the lengths of those over other axes; `streams` the
    first two sides of what modules put out with three.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.unused: list[Tensor] = []
        self.across: set[int] = set()
        self.streams: set[tuple[int, int]] = set()

    def __torch_function__(
        self, func: Any, types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace or note `func`; see the class."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._fused(*args, **kwargs)
        if func is F.multi_head_attention_forward:
            return self._multi_head(*args, **kwargs)
        if func in _PRODUCTS:
            operands = [o for a in args for o in (a if isinstance(a, list | tuple) else [a])]
            for i, softmax in enumerate(self.unused):
                if any(o is softmax for o in operands):
                    self.calls.append(Call(self.unused.pop(i)))
                    break
        output = func(*args, **kwargs)
        if func in _SOFTMAX and output.ndim >= 3:
            dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
            if dim in (-1, output.ndim - 1):
                self.unused.append(_asked(output))
            elif dim is not None:
                self.across.add(output.shape[dim])
        return output

    def _fused(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """`scaled_dot_product_attention` in the open: softmax(scale · q kᵀ + mask) v."""
        if enable_gqa:
            key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
            value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
        products = query @ key.mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
        if is_causal:
            later = torch.ones(products.shape[-2:], dtype=torch.bool, device=products.device).triu(1)
            products = products.masked_fill(later, -torch.inf)
        if attn_mask is not None:
            boolean = attn_mask.dtype == torch.bool
            products = products.masked_fill(~attn_mask, -torch.inf) if boolean else products + attn_mask
        weights = _asked(products.softmax(-1))
        self.calls.append(Call(weights))
        return (F.dropout(weights, dropout_p) if dropout_p else weights) @ value

    def _multi_head(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        embed_dim_to_check: int,
        num_heads: int,
        in_proj_weight: Tensor | None,
        in_proj_bias: Tensor | None,
        bias_k: Tensor | None,
        bias_v: Tensor | None,
        add_zero_attn: bool,
        dropout_p: float,
        out_proj_weight: Tensor,
        out_proj_bias: Tensor | None,
        training: bool = True,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        use_separate_proj_weight: bool = False,
        q_proj_weight: Tensor | None = None,
        k_proj_weight: Tensor | None = None,
        v_proj_weight: Tensor | None = None,
        static_k: Tensor | None = None,
        static_v: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """`multi_head_attention_forward` in the open; query, key and value are [t, n, width], or [t, width]."""
        if bias_k is not None or bias_v is not None or add_zero_attn or static_k is not None or static_v is not None:
            raise Unsupported(
                "The network's nn.MultiheadAttention attends to keys that are no tokens (add_bias_kv or "
                "add_zero_attn), so its weights are no flow between tokens. Use grad-cam."
            )
        alone = query.ndim == 2
        if alone:
            query, key, value = (part[:, None] for part in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask[None]
        projections = (
            (q_proj_weight, k_proj_weight, v_proj_weight)
            if use_separate_proj_weight or in_proj_weight is None
            else in_proj_weight.chunk(3)
        )
        biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)

        def heads(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
            assert weight is not None
            return F.linear(x, weight, bias).reshape(*x.shape[:2], num_heads, -1).permute(1, 2, 0, 3)

        q, k, v = (heads(*part) for part in zip((query, key, value), projections, biases, strict=True))
        products = q @ k.mT / math.sqrt(q.shape[-1])
        if attn_mask is not None:  # [t, s] or [n · heads, t, s]; here, unlike in the fused kernel, True means hidden
            mask = attn_mask if attn_mask.ndim == 2 else attn_mask.reshape(-1, num_heads, *attn_mask.shape[1:])
            products = products.masked_fill(mask, -torch.inf) if mask.dtype == torch.bool else products + mask
        if key_padding_mask is not None:
            hidden = key_padding_mask[:, None, None]
            boolean = hidden.dtype == torch.bool
            products = products.masked_fill(hidden, -torch.inf) if boolean else products + hidden
        weights = _asked(products.softmax(-1))
        self.calls.append(Call(weights))
        dropped = F.dropout(weights, dropout_p) if training and dropout_p else weights
        out = F.linear((dropped @ v).permute(2, 0, 1, 3).flatten(2), out_proj_weight, out_proj_bias)
        shown = (weights.mean(1) if average_attn_weights else weights) if need_weights else None
        if alone:
            return out[:, 0], None if shown is None else shown[0]
        return out, shown


def _asked(weights: Tensor) -> Tensor:
    """Ask for the gradient of weights that depend on no input, too (attention that is alike everywhere, say)."""
    return weights if weights.requires_grad or not torch.is_grad_enabled() else weights.requires_grad_()


@contextmanager
def watching(network: nn.Module) -> Iterator[Watch]:
    """Watch the attentions of `network`'s forward passes while the body runs, and the block that each stands in."""
    watch = Watch()
    begun: list[tuple[int, Tensor | None]] = []

    def enter(module: nn.Module, given: tuple[object, ...]) -> None:
        entering = first_tensor(given)
        begun.append((len(watch.calls), entering if entering is not None and entering.ndim == 3 else None))

    def leave(module: nn.Module, _: object, output: object) -> None:
        before, entering = begun.pop()
        inside, tokens = len(watch.calls) - before, first_tensor(output)
        if inside == 1 and entering is not None and entering.shape[1] == watch.calls[-1].weights.shape[-1]:
            watch.calls[-1].entered = entering
        if tokens is None or tokens.ndim != 3:
            return
        watch.streams.add((tokens.shape[0], tokens.shape[1]))
        # The outermost that holds one attention is done last, so it has the last word.
        if inside == 1 and tokens.shape[1] == watch.calls[-1].weights.shape[-2]:
            watch.calls[-1].block, watch.calls[-1].output = module, tokens

    handles = []
    try:
        for module in network.modules():
            if not isinstance(module, torch.jit.ScriptModule):
                handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        with watch:
            yield watch
    finally:
        for handle in handles:
            handle.remove()


def one_token_set(network: nn.Module, watch: Watch, rows: int) -> tuple[int, Callable[[Tensor], Tensor]]:
    """Return the number of tokens t, and what brings a call's weights, or their gradients, to [n, heads, t, t].

    Parameters
    ----------
    network : for its name.
    watch : what was seen.
    rows : n.

    Raises
    ------
    Unsupported
        If there was no attention, or not all of it was among all tokens of one and the same set, one after the other.
    """
    kind = type(network).__name__
    if not watch.calls:
        raise Unsupported(f"{kind} has no attention whose weights can be seen; {INSTEAD}.")
    first = watch.calls[0].weights
    tokens, folded = first.shape[-1], first.shape[0] if first.ndim == 3 else rows
    for i, call in enumerate(watch.calls):
        shape = call.weights.shape
        heads = len(shape) == 4 or (len(shape) == 3 and shape[0] % rows == 0)
        apart = call.output is not None and call.output.shape[0] != rows
        if not heads or shape[0] != folded or shape[-2:] != (tokens, tokens) or apart:
            raise Unsupported(f"{_misfit(kind, i, [c.weights.shape for c in watch.calls], rows)}; {INSTEAD}.")
    if watch.streams and not {(rows, tokens), (tokens, rows)} & watch.streams:
        raise Unsupported(f"{kind} has attention among {tokens} things that are not tokens; {INSTEAD}.")
    if tokens in watch.across:
        raise Unsupported(
            f"{kind} has a softmax of {tokens} numbers, as many as tokens, over another axis than the last (keys before "
            f"queries, linear attention, or pooling of tokens), so not all weights can be followed; {INSTEAD}."
        )
    for i, call in enumerate(watch.calls):
        if not among_tokens(call.weights, call.entered):
            raise Unsupported(
                f"{kind}'s attention {i + 1} of {len(watch.calls)} is not from each token of its block to each (it is "
                f"among channels, or its keys or queries come from elsewhere), so it is no flow between tokens; {INSTEAD}."
            )
    if any(s.shape[-2] == s.shape[-1] > 1 for s in watch.unused):
        raise Unsupported(
            f"{kind} mixes attention weights with others before it uses them (talking heads, or gated positions), so "
            f"there are none to follow from token to token; {INSTEAD}."
        )
    for before, behind in pairwise(watch.calls):
        if not _leads(before.weights, behind.weights):
            raise Unsupported(
                f"{kind} runs attentions side by side, so their weights cannot be multiplied through; {INSTEAD}."
            )
    return tokens, lambda weights: weights.reshape(rows, -1, tokens, tokens)


def _leads(before: Tensor, behind: Tensor) -> bool:
    """Whether `behind` was computed from `before`; where neither has a graph there is nothing to tell."""
    if before.grad_fn is None or behind.grad_fn is None:
        return True
    todo, seen = [behind.grad_fn], {behind.grad_fn}
    while todo:
        node = todo.pop()
        if node is before.grad_fn:
            return True
        new = {n for n, _ in node.next_functions if n is not None} - seen
        seen |= new
        todo += new
    return False


def _misfit(kind: str, index: int, shapes: Sequence[Sequence[int]], rows: int) -> str:
    """What is wrong with attention `index`, in words."""
    (queries, keys), first, count = shapes[index][-2:], shapes[0][-1], len(shapes)
    if index == count - 1 > 0 and queries < keys == first:
        return f"The head of {kind} reads its tokens through an attention of its own (attention pooling)"
    what = f"attention {index + 1} of {count} is from {queries} tokens to {keys}"
    if shapes[index][0] > rows and len(shapes[index]) == 4:
        what += f", {shapes[index][0] // rows} times per picture (in windows, or with the rest folded into the batch)"
    elif keys != first:
        what += f", the first among {first}"
    return f"{kind}'s attention is not among all tokens of one set: {what}"


def blocks(network: nn.Module, watch: Watch) -> list[Tensor]:
    """Return the token stream [n, t, width] behind each attention's block, in the graph.

    Raises
    ------
    Unsupported
        If an attention does not stand in a block of its own, or the streams differ in shape.
    """
    streams = [call.output for call in watch.calls]
    found = [call.block for call in watch.calls]
    alike = {None if stream is None else tuple(stream.shape) for stream in streams}
    if len(alike) > 1 or None in alike or len({id(block) for block in found}) < len(found):
        raise Unsupported(
            f"{type(network).__name__} has attention outside blocks of its own, so its head cannot be applied to the "
            "tokens behind each layer. Use transformer-attribution or attention-rollout."
        )
    return [stream for stream in streams if stream is not None]
