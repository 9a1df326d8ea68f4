"""Watches one forward, puts a rule in the place of each operation that has one, and reads the finished graph.

A rule keeps the forward value and brings its own backward: what autograd then carries from the score to the input is no
longer the gradient but a multiplier that the rule defines. Operations are seen where PyTorch dispatches them, so modules,
functional calls, tensor methods, in-place variants and reused modules are all alike. What is not replaced keeps its
gradient; whether that is right is asked of the finished graph (`Rules.check`), in which nothing can hide.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from whylook.engine.targets import Score
from whylook.errors import Unsupported

Pull = Callable[[Tensor], tuple[Tensor | None, ...]]
Handler = Callable[..., Any]
Inputs = tuple[Tensor, ...]


class Rules:
    """What a kind of rule says; one object serves one pass.

    Parameters (of the class)
    -------------------------
    handlers : by operation's name, a function `(func, args, kwargs) -> result` that stands in for it where one of its
        tensors depends on the input; `NotImplemented` leaves the operation as it is.
    signs : what the score of each block of rows counts (see `blocks`).
    logits_only : whether the multipliers mean something for a logit, or a difference of logits, alone.
    """

    handlers: Mapping[str, Handler] = {}
    signs: tuple[float, ...] = (1.0,)
    logits_only: ClassVar[bool] = False

    def check_score(self, score: Score, title: str) -> None:
        """Raise `Unsupported` where the multipliers mean nothing for this score."""
        if self.logits_only and score.name != "logit":
            raise Unsupported(
                f"{title} shares out a logit, or the difference of two, along the network's operations; score={score.name!r} "
                "adds one that it has no rule for. Use score='logit', with against= for a contrast."
            )

    def blocks(self, inputs: Inputs) -> list[Inputs]:
        """Inputs that are run jointly, one block of rows after another; the first are the inputs themselves."""
        return [inputs]

    def collect(self) -> list[Tensor]:
        """What one backward pass brought to the network's biases, [n, *grid] each; asked for after every backward."""
        return []

    def seed(self, logits: Tensor) -> Tensor:
        """Let a rule begin at the network's output."""
        return logits

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


class _Watch(TorchFunctionMode):
    """Sends each operation on tensors that depend on the input to its handler."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        super().__init__()
        self._handlers = handlers

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        handler = self._handlers.get(getattr(func, "__name__", ""))
        if handler is not None and torch.is_grad_enabled() and any(map(live, (*args, *kwargs.values()))):
            result = handler(func, args, kwargs)
            if result is not NotImplemented:
                return result
        return func(*args, **kwargs)


@contextmanager
def applied(rules: Rules) -> Iterator[None]:
    """Run the body, one forward, under `rules`."""
    with _Watch(rules.handlers):
        yield


def graph(score: Tensor) -> list[Any]:
    """All nodes of autograd's graph from `score` down to the input, each once."""
    nodes: list[Any] = []
    seen: set[Any] = set()
    waiting = [score.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes.append(node)
        waiting.extend(parent for parent, _ in node.next_functions)
    return nodes


def operation(node: Any) -> str:
    """Name of a node's operation: the rule's, or autograd's without its suffix (`Relu`, `Convolution`)."""
    return getattr(node, "rule", None) or re.sub(r"^.*::|Backward\d*$|Backwards$", "", node.name())


def branches(node: Any) -> int:
    """How many of a node's operands depend on the input."""
    return sum(parent is not None for parent, _ in node.next_functions)


def counted(names: list[str]) -> str:
    """`3 SiLU and 1 Sigmoid`, the most frequent first."""
    parts = [f"{count} {name}" for name, count in Counter(names).most_common()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
