"""Watches one forward, puts a rule in the place of each operation that has one, and reads the finished graph.

A rule keeps the forward value and brings its own backward: what autograd then carries from the score to the input is no
longer the gradient but a multiplier that the rule defines. Operations are seen where PyTorch dispatches them, so modules,
functional calls, tensor methods, in-place variants and reused modules are all alike. What is not replaced keeps its
gradient; whether that is right is asked of the finished graph (`Rules.check`), in which nothing can hide.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode

from whylook.engine.targets import Score

Pull = Callable[[Tensor], tuple[Tensor | None, ...]]
Handler = Callable[..., Any]
Inputs = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Sums:
    """What one pass began with and what came of it, each [n, k].

    Parameters
    ----------
    score : of the blocks, counted as the rules say.
    begun : logits times the multipliers that all began with, counted likewise.
    total : inputs times multipliers, and the biases' shares.
    size : the same in absolute values, and the scores of all blocks in theirs: rounding is a share of these.
    """

    score: Tensor
    begun: Tensor
    total: Tensor
    size: Tensor

    @property
    def residual(self) -> Tensor:
        """By how much the parts exceed the score, [n, k]."""
        return self.total - self.score

    @property
    def off(self) -> Tensor:
        """Where they miss it by more than rounding can explain (on real networks in float32 it is 1e-8 of the size)."""
        exact = {torch.float64: 1e-9, torch.float32: 1e-5}.get(self.score.dtype, 0.05)
        if self.score.device.type != "cpu":
            exact = max(exact, 1e-3)  # convolutions may run in TensorFloat-32
        return ~(self.residual.abs() <= exact * self.size)


class Rules:
    """What a kind of rule says; one object serves one pass.

    Parameters (of the class)
    -------------------------
    handlers : by operation's name, a function `(func, args, kwargs) -> result` that stands in for it where one of its
        tensors depends on the input; `NotImplemented` leaves the operation as it is.
    signs : what the score of each block of rows counts (see `blocks`).
    """

    handlers: Mapping[str, Handler] = {}
    signs: tuple[float, ...] = (1.0,)

    def blocks(self, inputs: Inputs) -> list[Inputs]:
        """Inputs that are run jointly, one block of rows after another; the first are the inputs themselves."""
        return [inputs]

    def collect(self) -> list[Tensor]:
        """What one backward pass brought to the network's biases, [n, *grid] each; asked for after every backward."""
        return []

    def seed(self, logits: Tensor) -> Tensor:
        """Let a rule begin at the network's output."""
        return logits

    def weights(self, score: Score, logits: Tensor, targets: Tensor, one_logit: bool) -> Tensor:
        """Multipliers [k, b n, classes] of the logits [b n, classes] that all begins with: how the score reacts to them."""
        return score.slopes(logits, targets, one_logit)

    def rest(self, missing: Tensor) -> list[Tensor]:
        """What a bias has of `missing` [n], by which a score that is no logit differs from its multipliers' sum."""
        return []

    def account(self, sums: Sums) -> tuple[Mapping[str, Tensor], Sequence[Sequence[str | None]]]:
        """Facts (numbers [n, k]) and warnings (n lists of k) about what came back.

        Raises
        ------
        Unsupported
            If it cannot be right.
        """
        return {}, ()

    def check(self, nodes: list[Any]) -> None:
        """Raise `Unsupported` where the graph's `nodes`, from the score to the input, have no meaning for the rules."""


class _Replaced(torch.autograd.Function):
    """An operation's value with another backward."""

    @staticmethod
    def forward(ctx: Any, name: str, build: Callable[[], tuple[Tensor, Pull]], *inputs: Tensor) -> Tensor:
        out, ctx.pull = build()
        ctx.rule = name
        return out.clone() if out._is_view() or any(out is i for i in inputs) else out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        return (None, None, *ctx.pull(grads[0]))


def replaced(name: str, build: Callable[[], tuple[Tensor, Pull]], *inputs: Tensor) -> Tensor:
    """Value of an operation with a backward of its own.

    Parameters
    ----------
    name : of the operation, for the record.
    build : gives the value and the function from the value's multiplier to those of `inputs`.
    inputs : the tensors that the multiplier goes on to.
    """
    out: Tensor = _Replaced.apply(name, build, *inputs)
    return out


def words(text: str) -> frozenset[str]:
    """Names, as a set, from a text with blanks between them."""
    return frozenset(text.split())


def live(value: Any) -> bool:
    """Whether `value` is a tensor that depends on the input (parameters are frozen)."""
    return isinstance(value, Tensor) and value.requires_grad


def elementwise(
    name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any],
    rule: Callable[[Tensor, Tensor, Tensor], Callable[[Tensor], Tensor]],
) -> Tensor:  # fmt: skip
    """Stand in for a function of single values, in place or not.

    `rule` gives, from input, output and derivative, the function from the output's multiplier to the input's.
    """
    x: Tensor = args[0] if args else kwargs["input"]
    in_place = False

    def build() -> tuple[Tensor, Pull]:
        nonlocal in_place
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_()
            copy = leaf.clone()
            out = func(copy, *args[1:], **{k: v for k, v in kwargs.items() if k != "input"})
            in_place = out is copy
            (slope,) = torch.autograd.grad(out, leaf, torch.ones_like(out))
        pull = rule(leaf.detach(), out.detach(), slope)
        return out.detach(), lambda m: (pull(m),)

    out = replaced(name, build, x)
    return x.copy_(out) if in_place else out


# In place, but no function of the values: shapes, what is written over, what is drawn.
_NOT_VALUES = words(
    """squeeze_ unsqueeze_ transpose_ t_ swapaxes_ swapdims_ resize_ set_ as_strided_ detach_ requires_grad_ copy_ zero_
    fill_ bernoulli_"""
)


def _in_the_open(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Callable[[], Tensor] | None:
    """What an operation in place on a view computes, for autograd's graph hides it behind the name of the copying."""
    name = getattr(func, "__name__", "")
    if not args or not isinstance(args[0], Tensor) or not args[0]._is_view():
        return None
    if kwargs.get("inplace"):
        return lambda: func(*args, **{**kwargs, "inplace": False})
    if not name.endswith("_") or name.endswith("__") or name in _NOT_VALUES:
        return None
    twin = getattr(Tensor, name[:-1], None) or getattr(F, name[:-1], None)
    return None if twin is None else lambda: twin(*args, **kwargs)


class _Watch(TorchFunctionMode):
    """Sends each operation on tensors that depend on the input to its handler."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        super().__init__()
        self._handlers = handlers

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not torch.is_grad_enabled() or not any(map(live, (*args, *kwargs.values()))):
            return func(*args, **kwargs)
        handler = self._handlers.get(getattr(func, "__name__", ""))
        if handler is not None:
            result = handler(func, args, kwargs)
            if result is not NotImplemented:
                return result
        hidden = _in_the_open(func, args, kwargs)
        return func(*args, **kwargs) if hidden is None else args[0].copy_(hidden())


@contextmanager
def applied(rules: Rules) -> Iterator[None]:
    """Run the body, one forward, under `rules`."""
    with _Watch(rules.handlers):
        yield


def operation(node: Any) -> str:
    """Name of a node's operation: the rule's, or autograd's without its suffix (`Relu`, `Convolution`)."""
    if is_rule(node):
        return str(node.rule)
    name = re.sub(r"^.*::|Backward\d*$|Backwards$", "", node.name())
    # Whatever somebody calls a function of their own, it is none of PyTorch's.
    return f"{name} (an autograd.Function)" if isinstance(node, BackwardCFunction) else name


def is_rule(node: Any) -> bool:
    """Whether a rule stands in the node's place."""
    return getattr(node, "_forward_cls", None) is _Replaced


def branches(node: Any) -> int:
    """How many of a node's operands depend on the input."""
    return sum(parent is not None for parent, _ in node.next_functions)


def counted(names: list[str]) -> str:
    """`3 SiLU and 1 Sigmoid`, the most frequent first."""
    parts = [f"{count} {name}" for name, count in Counter(names).most_common()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
