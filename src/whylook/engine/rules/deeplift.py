"""DeepLIFT's rescale rule: a nonlinearity's multiplier is its difference from the baseline over its input's.

The network is run on the input and on the baseline at once, one block of rows after the other; both halves get the same
multiplier, so that what comes back to the two, times their difference, adds up to the difference of the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from whylook import baselines
from whylook.engine.rules.activations import CLIPPING, GATES, RECTIFIERS, SMOOTH, both
from whylook.engine.rules.operations import LINEAR, MAX_POOLS, batch_norm, refuse_unknown
from whylook.engine.rules.rule import Handler, Inputs, Pull, Rules, elementwise, live, replaced

_SINGLE = ("exp", "log", "log1p", "sqrt", "rsqrt", "reciprocal", "square", "pow", "abs", "softplus")


class Rescale(Rules):
    """DeepLIFT with the rescale rule; of several baselines, the mean over them."""

    title = "DeepLIFT"
    logits_only = True

    def __init__(self, baseline: Any) -> None:
        self.baseline = baseline
        single = both((*RECTIFIERS, *CLIPPING, *SMOOTH, *GATES, *_SINGLE))
        handlers: dict[str, Handler] = dict.fromkeys(single, self._single)
        handlers |= dict.fromkeys(MAX_POOLS, self._max_pool)
        handlers |= dict.fromkeys(("mul", "mul_"), self._product)
        self.handlers = handlers | {"batch_norm": self._batch_norm}

    def blocks(self, inputs: Inputs) -> list[Inputs]:
        """The input once for every baseline, then the baselines."""
        found = baselines.all_like(self.baseline, inputs if len(inputs) > 1 else inputs[0])
        against = [b if isinstance(b, tuple) else (b,) for b in found]
        self.signs = tuple(s / len(against) for s in (1.0, -1.0) for _ in against)
        return [inputs] * len(against) + against

    def check(self, nodes: list[Any]) -> None:
        """Refuse what is neither linear nor has a rule."""
        refuse_unknown(self.title, nodes, LINEAR, "Use integrated-gradients, which needs no rules.")

    def _single(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if any(map(live, (*args[1:], *(v for k, v in kwargs.items() if k != "input")))):
            return NotImplemented
        return elementwise("rescale", func, args, kwargs, _rescaled)

    def _max_pool(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What a window's maximum changes by goes to where the larger of the two maxima is."""
        x = args[0] if args else kwargs["input"]
        rest = {k: v for k, v in kwargs.items() if k not in ("input", "return_indices")}
        if kwargs.get("return_indices"):
            return NotImplemented

        def build() -> tuple[Tensor, Pull]:
            values = x.detach()
            out, where = MAX_POOLS[func.__name__](values, *args[1:], return_indices=True, **rest)
            axes = int(func.__name__[-2])  # the spatial ones
            one, two = out.chunk(2)
            top = torch.maximum(one, two)
            at = [w.flatten(-axes) for w in where.chunk(2)]
            change = _difference(values).flatten(-axes)
            # From the baseline's maximum up to the larger, and from there down to the input's.
            parts = [(top - two).flatten(-axes), (one - top).flatten(-axes)]
            shares = [_over(part, change.gather(-1, i)) for part, i in zip(parts, at, strict=True)]
            still = (one == two).flatten(-axes) & (change.gather(-1, at[0]) == 0)
            shares[0] = shares[0].where(~still, 1.0)

            def pull(m: Tensor) -> tuple[Tensor]:
                halves = []
                for half in m.chunk(2):
                    flat, back = half.flatten(-axes), torch.zeros_like(change)
                    for part, i in zip(shares, at, strict=True):
                        back = back.scatter_add(-1, i, flat * part)
                    halves.append(back)
                return (torch.cat(halves).reshape(values.shape),)

            return out, pull

        return replaced("max pooling", build, x)

    def _product(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A product of two signals: the mean over the two orders in which they can change, so that both add up."""
        if len(args) != 2 or not (live(args[0]) and live(args[1])) or args[0].ndim != args[1].ndim:
            return NotImplemented
        a, b = args

        def build() -> tuple[Tensor, Pull]:
            x, y = a.detach().clone(), b.detach().clone()
            mean = [torch.cat([(v[: len(v) // 2] + v[len(v) // 2 :]) / 2] * 2) for v in (x, y)]
            return x * y, lambda m: ((m * mean[1]).sum_to_size(x.shape), (m * mean[0]).sum_to_size(y.shape))

        out = replaced("product", build, a, b)
        return a.copy_(out) if func.__name__ == "mul_" else out

    def _batch_norm(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        batch_norm(func, args, kwargs)  # refuses one that is not linear
        return NotImplemented


def _difference(joint: Tensor) -> Tensor:
    one, two = joint.chunk(2)
    return one - two


def _over(change: Tensor, by: Tensor) -> Tensor:
    return (change / by).where(by != 0, 0.0)


def _rescaled(x: Tensor, y: Tensor, slope: Tensor) -> Callable[[Tensor], Tensor]:
    """Difference of outputs over difference of inputs; where these are all but alike, the derivative."""
    one, two = x.chunk(2)
    by = one - two
    alike = by.abs() <= 8 * torch.finfo(x.dtype).eps * torch.maximum(one.abs(), two.abs())
    ratio = torch.where(alike, slope[: len(one)], _over(_difference(y), by)).repeat(2, *[1] * (x.ndim - 1))
    return lambda m: m * ratio
