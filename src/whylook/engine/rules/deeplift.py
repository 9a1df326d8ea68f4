"""DeepLIFT's rescale rule: a nonlinearity's multiplier is its difference from the baseline over its input's.

The network is run on the input and on the baseline at once, one block of rows after the other; both halves get the same
multiplier, so that what comes back to the two, times their difference, adds up to the difference of the scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from whylook import baselines
from whylook.engine.rules.activations import CLIPPING, GATES, RECTIFIERS, SMOOTH, both
from whylook.engine.rules.operations import LINEAR, MAX_POOLS, batch_norm, refuse_unknown
from whylook.engine.rules.rule import Handler, Inputs, Pull, Rules, Sums, elementwise, live, replaced
from whylook.engine.targets import Score
from whylook.errors import Unsupported
from whylook.quadrature import fixed

_NODES, _PANEL = 16, 4.0
_SINGLE = ("exp", "log", "log1p", "sqrt", "rsqrt", "reciprocal", "square", "pow", "abs", "softplus")


class Rescale(Rules):
    """DeepLIFT with the rescale rule; of several baselines, the mean over them."""

    title = "DeepLIFT"

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

    def weights(self, score: Score, logits: Tensor, targets: Tensor, one_logit: bool) -> Tensor:
        """Mean of the score's derivatives on the straight line from the baseline's logits to the input's.

        Times the difference of the logits that is the difference of the scores; both halves get the same.
        """
        if score.name == "logit":
            return super().weights(score, logits, targets, one_logit)
        one, two = logits.cpu().double().chunk(2)
        asked = targets.cpu()
        rows = [
            _on_the_line(score, one[i : i + 1], two[i : i + 1], asked[i : i + 1], one_logit) for i in range(len(one))
        ]
        return torch.cat(rows, 1).repeat(1, 2, 1).to(logits)

    def account(self, sums: Sums) -> tuple[Mapping[str, Tensor], Sequence[Sequence[str | None]]]:
        """Refuse a map that does not add up to the difference of the scores, as it does wherever every rule fits."""
        if bool(sums.off.any()):
            worst = float(sums.residual[sums.off].abs().max())
            raise Unsupported(
                f"{self.title}'s parts miss the difference of the scores by {worst:.3g}: the network mixes its rows, draws "
                "random numbers, or lays rows on another axis than the first, where the rules compare each with its "
                "baseline. Use integrated-gradients."
            )
        return {"residual": sums.residual}, ()

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


def _on_the_line(score: Score, x: Tensor, reference: Tensor, targets: Tensor, one_logit: bool) -> Tensor:
    """Mean [k, 1, classes] of the derivatives at the logits between `reference` and `x` [1, classes]."""
    change = x - reference
    # A sigmoid's width is a few logits: within one panel of four, sixteen nodes leave rounding alone.
    panels = max(1, math.ceil(float(change.max() - change.min()) / _PANEL))
    nodes, shares = (torch.tensor(v, dtype=torch.float64) for v in fixed("gauss-legendre", _NODES))
    total = x.new_zeros(targets.shape[1], 1, x.shape[1])
    for panel in range(panels):
        at = reference + change * ((panel + nodes) / panels)[:, None]
        slopes = score.slopes(at, targets.expand(len(at), -1), one_logit)
        total += (slopes * shares[:, None]).sum(1, keepdim=True) / panels
    return total


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
