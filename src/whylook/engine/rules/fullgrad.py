"""FullGrad: the gradient as it is, and beside it what every bias on the way contributed.

A bias is what an operation's output has beyond its linearization: that of a layer, a batch normalization's implicit one, a
constant that is added, or f(z) − f′(z)·z of an activation f that is not linear in pieces through zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from whylook.engine.layers import alike
from whylook.engine.rules.activations import CLIPPING, GATES, SMOOTH, both
from whylook.engine.rules.operations import (
    AFFINE,
    HOMOGENEOUS,
    LINEAR,
    Affine,
    batch_norm,
    channelwise,
    pullback,
    refuse_unknown,
)
from whylook.engine.rules.rule import Handler, Inputs, Pull, Rules, Sums, elementwise, live, replaced
from whylook.errors import Unsupported


class Biases(Rules):
    """Keeps every bias's share of the score."""

    title = "FullGrad"

    def __init__(self) -> None:
        self._shares: list[Tensor] = []
        handlers: dict[str, Handler] = dict.fromkeys(AFFINE, self._affine)
        handlers |= dict.fromkeys(both((*CLIPPING, "relu6", *SMOOTH, *GATES)), self._activation)
        handlers |= dict.fromkeys(("add", "add_", "sub", "sub_", "__rsub__", "rsub"), self._constant)
        handlers |= dict.fromkeys(("mul", "mul_"), self._product)
        self.handlers = handlers | {"batch_norm": self._batch_norm}

    def blocks(self, inputs: Inputs) -> list[Inputs]:
        """The input alone, of which there may be only one."""
        if len(inputs) > 1:
            raise Unsupported(
                f"FullGrad lays the biases' shares on the picture, and this network has {len(inputs)} inputs to lay them "
                "on. Use integrated-gradients."
            )
        self._aspect = tuple(inputs[0].shape[2:])
        return [inputs]

    def collect(self) -> list[Tensor]:
        """The biases' shares in the backward that has just been."""
        shares, self._shares = self._shares, []
        return shares

    def rest(self, missing: Tensor) -> list[Tensor]:
        """A score that is no logit has a bias, too: what it is beyond its linearization, which lies nowhere."""
        return [missing]

    def account(self, sums: Sums) -> tuple[Mapping[str, Tensor], Sequence[Sequence[str | None]]]:
        """Refuse a map that does not add up to the score."""
        if bool(sums.off.any()):
            worst = float(sums.residual[sums.off].abs().max())
            raise Unsupported(
                f"FullGrad's parts miss the score by {worst:.3g}: the network adds constants that are no operation's bias "
                "(class tokens, position embeddings). Use integrated-gradients."
            )
        return {"residual": sums.residual}, ()

    def check(self, nodes: list[Any]) -> None:
        """Refuse what has no linearization here."""
        refuse_unknown(self.title, nodes, LINEAR | HOMOGENEOUS, "Use integrated-gradients, whose parts add up, too.")

    def _keep(self, share: Tensor, *, channels_first: bool | None = None) -> None:
        """Sum what a bias contributed [n, …] over its channels, as far as its grid is known."""
        rank = len(self._aspect)
        if not rank or share.ndim != rank + 2:
            self._shares.append(share.flatten(1).sum(1))
            return
        if channels_first is None:
            first, last = tuple(share.shape[2:]), tuple(share.shape[1:-1])
            channels_first = alike(first, self._aspect) >= alike(last, self._aspect)
        self._shares.append(share.sum(1 if channels_first else -1))

    def _affine(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        layer = Affine.read(func, args, kwargs)
        if not live(layer.x) or layer.bias is None or live(layer.weight) or live(layer.bias):
            return NotImplemented
        bias = layer.per_channel(layer.bias)

        def build() -> tuple[Tensor, Pull]:
            _, back = pullback(lambda x: layer.function(x, layer.weight, None), layer.x)

            def pull(m: Tensor) -> tuple[Tensor]:
                self._keep(m * bias, channels_first=layer.kind != "linear")
                return (back(m),)

            return layer.function(layer.x.detach(), layer.weight, layer.bias), pull

        return replaced("affine", build, layer.x)

    def _batch_norm(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        x, scale, shift = batch_norm(func, args, kwargs)
        if not live(x):
            return NotImplemented
        rest = {k: v for k, v in kwargs.items() if k != "input"}
        scale, shift = channelwise(scale, x), channelwise(shift, x)

        def pull(m: Tensor) -> tuple[Tensor]:
            self._keep(m * shift, channels_first=True)
            return (m * scale,)

        return replaced("batch norm", lambda: (func(x.detach(), *args[1:], **rest), pull), x)

    def _activation(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        def rule(x: Tensor, y: Tensor, slope: Tensor) -> Callable[[Tensor], Tensor]:
            bias = y - slope * x

            def pull(m: Tensor) -> Tensor:
                self._keep(m * bias)
                return m * slope

            return pull

        return elementwise("activation", func, args, kwargs, rule)

    def _constant(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if len(args) != 2 or (live(args[0]) and live(args[1])) or kwargs:
            return NotImplemented
        x = args[0] if live(args[0]) else args[1]
        name = func.__name__.strip("_")
        inverted = name == "rsub" if x is args[0] else name == "sub"

        def build() -> tuple[Tensor, Pull]:
            value = x.detach().clone()
            out = func(*(value.clone() if a is x else a for a in args))
            bias = out + value if inverted else out - value

            def pull(m: Tensor) -> tuple[Tensor]:
                self._keep(m * bias)
                back = m.sum_to_size(x.shape)
                return (-back if inverted else back,)

            return out, pull

        out = replaced("constant", build, x)
        return x.copy_(out) if func.__name__.endswith("_") and not func.__name__.endswith("__") else out

    def _product(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A product of two signals is twice itself in its linearization."""
        if len(args) != 2 or not (live(args[0]) and live(args[1])):
            return NotImplemented
        a, b = args

        def build() -> tuple[Tensor, Pull]:
            x, y = a.detach().clone(), b.detach().clone()

            def pull(m: Tensor) -> tuple[Tensor, Tensor]:
                self._keep(-m * x * y)
                return (m * y).sum_to_size(x.shape), (m * x).sum_to_size(y.shape)

            return x * y, pull

        out = replaced("product", build, a, b)
        return a.copy_(out) if func.__name__ == "mul_" else out
