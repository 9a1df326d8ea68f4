"""Layer-wise relevance propagation and excitation backpropagation.

Relevance is carried as a multiplier m: what a value x passes on is x · m. Everything linear then keeps its gradient (sums
share by contribution), and a rule says only what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from whylook import baselines
from whylook.engine.rules.activations import CLIPPING, GATES, SMOOTH, both, rectifies
from whylook.engine.rules.attention import frozen_attention, frozen_norm, open_heads
from whylook.engine.rules.operations import (
    AFFINE,
    HOMOGENEOUS,
    LINEAR,
    Affine,
    batch_norm,
    channelwise,
    pullback,
    refuse_unknown,
    share,
)
from whylook.engine.rules.rule import Handler, Inputs, Pull, Rules, Sums, elementwise, live, operation, replaced, words
from whylook.errors import UsageError

COMPOSITES = ("zero", "epsilon", "epsilon-plus", "epsilon-gamma-box", "alpha-beta")
# Seen in the graph, these were not seen on their way there, so that no rule was asked.
_UNSEEN = words("Convolution NativeBatchNorm CudnnBatchNorm Linear Addmm Mm Mv Bmm Addbmm Baddbmm")
_MATRIX = ("matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "addmm", "baddbmm", "addbmm", "einsum", "tensordot")
_LOST = (
    "The relevance that reaches the input is {:.2g} times what it began with at the logits, for biases keep a part of it, "
    "or add to it; read the map as an order of places, not as shares of the score."
)
_SHAPES = words(
    """View Reshape ReshapeAlias UnsafeView Expand Unsqueeze Squeeze Permute Transpose Clone Alias Slice Select Repeat T
    Unbind Split SplitWithSizes Mul Add Div Neg Rsub UpsampleNearest2D UpsampleBilinear2D NativeDropout ToCopy"""
)


class Relevance(Rules):
    """LRP under one of the composites.

    Parameters
    ----------
    composite : which rule for which layer; see the method.
    epsilon : stabilizer of the epsilon rule.
    gamma : how much positive weights count more.
    low, high : smallest and largest value an input can have, for the box rule; None: those of the row itself.
    """

    title = "LRP"

    def __init__(self, composite: str, epsilon: float, gamma: float, low: Any, high: Any) -> None:
        if composite not in COMPOSITES:
            raise UsageError(f"lrp has no composite {composite!r}; it has {', '.join(COMPOSITES)}.")
        if epsilon < 0 or gamma < 0:
            raise UsageError(f"lrp needs epsilon and gamma of 0 or more, not {epsilon} and {gamma}.")
        self.composite, self.epsilon, self.gamma, self.low, self.high = composite, epsilon, gamma, low, high
        self.signs = (1.0, 0.0, 0.0) if composite == "epsilon-gamma-box" else (1.0,)
        handlers: dict[str, Handler] = dict.fromkeys(both((*CLIPPING, "relu6", *SMOOTH, *GATES)), self._activation)
        handlers |= dict.fromkeys(("mul", "mul_", *_MATRIX), self._product)
        handlers |= dict.fromkeys(("layer_norm", "group_norm", "rms_norm"), frozen_norm)
        handlers |= {"scaled_dot_product_attention": frozen_attention, "multi_head_attention_forward": self._heads}
        handlers |= {"batch_norm": self._batch_norm}
        if composite != "zero":
            handlers |= dict.fromkeys(AFFINE, self._affine)
        self.handlers = handlers

    def blocks(self, inputs: Inputs) -> list[Inputs]:
        """The box rule also needs the smallest and the largest input, prepared by the network like the input itself."""
        if self.composite != "epsilon-gamma-box":
            return [inputs]
        low = _bound(self.low, inputs, torch.amin)
        high = _bound(self.high, inputs, torch.amax)
        if any(bool((lo > hi).any()) for lo, hi in zip(low, high, strict=True)):
            raise UsageError("lrp's low lies above its high somewhere.")
        return [inputs, low, high]

    def account(self, sums: Sums) -> tuple[Mapping[str, Tensor], Sequence[Sequence[str | None]]]:
        """What share of the relevance that all began with came back to the input; of none, all."""
        kept = torch.where(sums.begun != 0, sums.total / sums.begun, 1.0)
        said = [[None if 0.5 <= share <= 2 else _LOST.format(share) for share in row] for row in kept.tolist()]
        return {"conserved": kept}, said if any(map(any, said)) else ()

    def check(self, nodes: list[Any]) -> None:
        """Refuse what is neither linear nor has a rule."""
        known = LINEAR | HOMOGENEOUS | {"attention"}
        if self.composite != "zero":
            known -= _UNSEEN
        refuse_unknown(self.title, nodes, known, "Use gradient, integrated-gradients or grad-cam.")

    def rule_of(self, layer: Affine) -> str:
        """Which rule a layer is under."""
        if layer.kind == "linear" or self.composite == "epsilon":
            return "epsilon"
        if self.composite == "epsilon-gamma-box":
            return "box" if _first(layer.x) else "gamma"
        return {"epsilon-plus": "plus", "alpha-beta": "alpha-beta"}[self.composite]

    def _affine(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        layer = Affine.read(func, args, kwargs)
        if not live(layer.x) or live(layer.weight) or live(layer.bias):
            return NotImplemented
        return self._layer(layer, lambda: layer.function(layer.x.detach(), layer.weight, layer.bias))

    def _layer(self, layer: Affine, value: Callable[[], Tensor]) -> Tensor:
        def build() -> tuple[Tensor, Pull]:
            out = value()
            pull = self._pull(layer, out)
            return out, lambda m: (pull(m),)

        out = replaced("affine", build, layer.x)
        node: Any = out.grad_fn
        if node is not None:
            node.layer = layer  # a batch normalization behind it will want to know
        return out

    def _pull(self, layer: Affine, out: Tensor) -> Callable[[Tensor], Tensor]:
        """From the multiplier of a layer's output `out` to that of its input."""
        rule = self.rule_of(layer)
        if rule == "epsilon":
            _, back = pullback(lambda x: layer.function(x, layer.weight, None), layer.x)
            return self._stabilized(out, back)
        if rule == "box":
            return _box(layer, out)
        w, b = layer.weight, layer.bias
        b = w.new_zeros(()) if b is None else layer.per_channel(b)
        positive, negative = w.clamp(min=0), w.clamp(max=0)
        if rule == "gamma":
            positive, negative = w + self.gamma * positive, w + self.gamma * negative
            biases = b + self.gamma * b.clamp(min=0), b + self.gamma * b.clamp(max=0)
            return _two_sided(layer, out, (positive, negative), biases, None)
        biases = b.clamp(min=0), b.clamp(max=0)
        alpha = 2.0 if rule == "alpha-beta" else 1.0
        return _two_sided(layer, out, (positive, negative), biases, alpha, alone=rule != "excite")

    def _stabilized(self, out: Tensor, back: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """The epsilon rule of a layer with output `out`."""
        kept = share(out, out + self.epsilon * torch.where(out < 0, -1.0, 1.0).to(out))
        return lambda m: back(m * kept)

    def _batch_norm(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        z, scale, shift = batch_norm(func, args, kwargs)
        if self.composite == "zero" or not live(z):
            return NotImplemented
        rest = {k: v for k, v in kwargs.items() if k != "input"}
        value: Callable[[], Tensor] = lambda: func(z.detach(), *args[1:], **rest)  # noqa: E731
        layer = _layer_before(z)
        if layer is not None and layer.x._version == layer.version and (layer.kind != "linear" or z.ndim == 2):
            # The two are one linear layer: its rule sees the weights that really meet the input.
            return self._layer(layer.scaled(scale, shift), value)

        def build() -> tuple[Tensor, Pull]:
            out, x = value(), z.detach()
            passed = (out / x).where(x != 0, channelwise(scale, x))
            return out, lambda m: (m * passed,)

        return replaced("batch norm", build, z)

    def _activation(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if any(map(live, (*args[1:], *(v for k, v in kwargs.items() if k != "input")))):
            return NotImplemented
        name = "gate" if func.__name__.strip("_") in GATES else "activation"
        return elementwise(name, func, args, kwargs, _passed)

    def _product(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        matrix = func.__name__ in _MATRIX
        operands = [i for i, a in enumerate(args) if live(a)]
        if matrix and len(operands) == 1 and not any(map(live, kwargs.values())):
            return self._dense(func, args, kwargs, operands[0])
        if len(args) != 2 or len(operands) != 2:
            return NotImplemented
        a, b = args
        gates = _is_gate(a), _is_gate(b)
        # What is written into would have to become another tensor.
        if not any(gates) or (func.__name__ == "mul_" and gates[0]):
            return NotImplemented
        if matrix:
            return _linear(lambda t: func(a.detach(), t) if gates[0] and not gates[1] else func(t, b.detach()),
                           a if gates[1] else b)  # fmt: skip
        return func(a, b.detach()) if gates[1] else func(a.detach(), b)

    def _dense(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], at: int) -> Any:
        """A product with constants: a fully connected layer without its name."""
        if self.composite == "zero" or (func.__name__ in ("addmm", "baddbmm", "addbmm") and at == 0):
            return NotImplemented

        def build() -> tuple[Tensor, Pull]:
            out, back = pullback(lambda t: func(*args[:at], t, *args[at + 1 :], **kwargs), args[at])
            pull = self._stabilized(out, back)
            return out, lambda m: (pull(m),)

        return replaced("affine", build, args[at])

    def _heads(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        opened = open_heads(func, args, kwargs)
        if opened is None:
            return NotImplemented
        weights, value, into, out_of, wanted = opened
        if not live(value):
            return NotImplemented
        linear = F.linear if self.composite == "zero" else lambda *given: self._affine(F.linear, given, {})
        v = linear(value, *into)
        heads = weights.shape[1]
        split = v.reshape(len(v), -1, v.shape[-1] // heads).transpose(0, 1)
        mixed = _linear(lambda t: torch.bmm(weights.flatten(0, 1), t), split).transpose(0, 1).reshape(-1, *v.shape[1:])
        return linear(mixed, *out_of), wanted


class Excitation(Relevance):
    """Excitation backpropagation: LRP's plus rule everywhere, without biases, from a probability of one."""

    title = "Excitation backpropagation"

    def __init__(self) -> None:
        super().__init__("epsilon-plus", 0.0, 0.0, None, None)
        names = ("add", "add_", "mean", "sum", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d",
                 "adaptive_avg_pool2d", "adaptive_avg_pool3d")  # fmt: skip
        kept = {
            k: v for k, v in self.handlers.items()
            if v not in (frozen_norm, frozen_attention) and v != self._heads and k not in _MATRIX
        }  # fmt: skip
        self.handlers = kept | dict.fromkeys(names, self._sum)

    def check(self, nodes: list[Any]) -> None:
        """Refuse activations that can be negative, beside what has no rule."""
        known = (LINEAR | HOMOGENEOUS) - _UNSEEN
        known -= {"LeakyRelu", "PreluKernel", "RreluWithNoise", "Sub", "Rsub", "Addmm", "Mm", "Bmm", "Mean", "Sum"}
        known -= {"Add", "UpsampleBicubic2D"}  # which sharpens, by weights below zero
        known -= {"AvgPool2D", "AvgPool3D", "AdaptiveAvgPool2D", "AdaptiveAvgPool3D"}
        refuse_unknown(
            self.title, nodes, known, "It needs activations that are never negative. Use lrp, which has rules for more."
        )

    def account(self, sums: Sums) -> tuple[Mapping[str, Tensor], Sequence[Sequence[str | None]]]:
        """What came to an end on the way is what the map lacks of one; it is seen there."""
        return {}, ()

    def rule_of(self, layer: Affine) -> str:
        """Excitation alone."""
        return "excite"

    def _activation(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        never_negative = func.__name__.strip("_") in GATES or rectifies(func, args, kwargs)
        return super()._activation(func, args, kwargs) if never_negative else NotImplemented

    def _pull(self, layer: Affine, out: Tensor) -> Callable[[Tensor], Tensor]:
        return super()._pull(
            Affine(layer.function, layer.x, layer.weight, None, layer.kind, layer.version, layer.groups), out
        )

    def seed(self, logits: Tensor) -> Tensor:
        """Begin with a probability of one (times what the score counts a logit) instead of the logit."""
        if not live(logits):
            return logits
        value = logits.detach()
        return replaced("seed", lambda: (value, lambda m: (share(m, value),)), logits)

    def _sum(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Sums and means: shared among what has the sum's own sign, so that nothing is taken away anywhere."""
        operands = [a for a in args if live(a)]
        adds = func.__name__.startswith("add")
        weighted = adds and kwargs.get("alpha", 1) < 0  # one that takes away
        if any(map(live, kwargs.values())) or (adds and len(operands) < 2) or weighted:
            return NotImplemented

        def at(values: list[Tensor]) -> Tensor:
            left = iter(values)
            out: Tensor = func(*(next(left) if live(a) else a for a in args), **kwargs)
            return out

        def build() -> tuple[Tensor, Pull]:
            out = at([a.detach().clone() for a in operands])
            sides = []
            for own, masks in ((out > 0, [a > 0 for a in operands]), (out < 0, [a < 0 for a in operands])):
                with torch.enable_grad():
                    leaves = [a.detach().where(m, 0.0).requires_grad_() for a, m in zip(operands, masks, strict=True)]
                    total = at([leaf.clone() for leaf in leaves])
                sides.append((share(out.where(own, 0.0), total.detach()), total, leaves, masks))

            def pull(m: Tensor) -> tuple[Tensor, ...]:
                back = [torch.zeros_like(a) for a in operands]
                for kept, total, leaves, masks in sides:
                    parts = torch.autograd.grad(total, leaves, m * kept, retain_graph=True)
                    back = [b + p.where(mask, 0.0) for b, p, mask in zip(back, parts, masks, strict=True)]
                return tuple(back)

            return out, pull

        out = replaced("sum", build, *operands)
        return args[0].copy_(out) if func.__name__ == "add_" else out


def _linear(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A linear function that was seen and keeps its gradient, for it shares by contribution."""

    def build() -> tuple[Tensor, Pull]:
        out, back = pullback(function, x)
        return out, lambda m: (back(m),)

    return replaced("mix", build, x)


def _passed(x: Tensor, y: Tensor, slope: Tensor) -> Callable[[Tensor], Tensor]:
    """An activation passes on what it is given: x · m_in = y · m_out."""
    ratio = (y / x).where(x != 0, slope)
    return lambda m: m * ratio


def _two_sided(
    layer: Affine, out: Tensor, weights: tuple[Tensor, Tensor], biases: tuple[Tensor, Tensor], alpha: float | None,
    *, alone: bool = True,
) -> Callable[[Tensor], Tensor]:  # fmt: skip
    """Pull of a rule that treats what adds to an output apart from what takes away from it.

    What adds: positive inputs by `weights[0]` and negative inputs by `weights[1]`; what takes away: the other way round.
    Each of the two is shared out by itself. The first gets `alpha` times the output's relevance, and the second takes
    back `alpha - 1` times it; where one of the two is empty, the other gets all there is, if it may (`alone`). Without
    `alpha` the first gets the relevance of positive outputs, the second that of negative ones.
    """
    x = layer.x.detach()
    parts = [(x.clamp(min=0), x > 0), (x.clamp(max=0), x < 0)]

    def side(bias: Tensor, ws: tuple[Tensor, Tensor]) -> tuple[Tensor, list[tuple[Tensor, Callable[[Tensor], Tensor]]]]:
        total, pulls = torch.zeros_like(out) + bias, []
        for (part, mask), w in zip(parts, ws, strict=True):
            if bool(mask.any()):
                value, back = pullback(lambda v, w=w: layer.function(v, w, None), part)  # type: ignore[misc]
                total = total + value
                pulls.append((mask, back))
        return total, pulls

    adds, adding = side(biases[0], weights)
    two = alpha is None or alpha > 1 or (alone and bool(((adds == 0) & (out != 0)).any()))
    takes, taking = side(biases[1], (weights[1], weights[0])) if two else (torch.zeros_like(out), [])
    if alpha is None:
        kept = share(out.clamp(min=0), adds), share(out.clamp(max=0), takes)
    else:
        most = torch.where(takes == 0, 1.0, alpha).to(out)
        kept = share(most * out, adds), share(torch.where(adds == 0, 1.0, 1.0 - alpha).to(out) * out, takes)

    def pull(m: Tensor) -> Tensor:
        result = torch.zeros_like(x)
        for k, pulls in zip(kept, (adding, taking), strict=True):
            for mask, back in pulls:
                result = result + back(m * k).where(mask, 0.0)
        return result

    return pull


def _box(layer: Affine, out: Tensor) -> Callable[[Tensor], Tensor]:
    """The rule for values that lie in a box; the rows are three blocks: the input, its lowest and its highest values."""
    n = len(out) // 3
    w = layer.weight

    def spread(rows: Tensor) -> Tensor:
        x, low, high = rows[:n], rows[n : 2 * n], rows[2 * n :]
        lowest = layer.function(low, w.clamp(min=0), None) + layer.function(high, w.clamp(max=0), None)
        return layer.function(x, w, None) - lowest

    total, back = pullback(spread, layer.x)
    kept = share(out[:n], total)
    return lambda m: back(m[:n] * kept)


def _bound(bound: Any, inputs: Inputs, own: Callable[..., Tensor]) -> Inputs:
    if bound is not None:
        made = baselines.one_like(bound, inputs if len(inputs) > 1 else inputs[0])
        return made if isinstance(made, tuple) else (made,)
    return tuple(own(x, tuple(range(1, x.ndim)), keepdim=True).expand_as(x) for x in inputs)


def _first(x: Tensor) -> bool:
    """Whether no layer with weights lies between the input and `x`."""
    waiting, seen = [x.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if operation(node) == "affine":
            return False
        seen.add(node)
        waiting.extend(parent for parent, _ in node.next_functions)
    return True


def _layer_before(z: Tensor) -> Affine | None:
    """The layer whose output `z` is, also where a fully connected one's rows [n, …, d] were put below each other."""
    layer: Affine | None = getattr(z.grad_fn, "layer", None)
    if layer is not None or z.ndim != 2 or z.grad_fn is None or operation(z.grad_fn) not in _ROWS:
        return layer
    layer = getattr(z.grad_fn.next_functions[0][0], "layer", None)
    if layer is None or layer.kind != "linear" or layer.weight.shape[0] != z.shape[1]:
        return None
    if layer.x._version != layer.version:  # overwritten since
        return None
    rows = layer.x.flatten(0, -2)
    return Affine(layer.function, rows, layer.weight, layer.bias, layer.kind, rows._version)


_ROWS = words("View UnsafeView ReshapeAlias")


def _is_gate(t: Tensor) -> bool:
    """Whether `t` is a sigmoid's or softmax's output, whatever its shape was changed to."""
    node = t.grad_fn
    while node is not None:
        name = operation(node)
        if name in ("gate", "Softmax"):
            return True
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        if name not in _SHAPES or len(parents) != 1:
            return False
        node = parents[0]
    return False
