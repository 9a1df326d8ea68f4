"""Guided backpropagation and the deconvolutional network: rectifiers that let only positive signals back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.autograd.function import BackwardCFunction

from whylook.engine.rules.activations import (
    CLIPPING,
    COMPARISONS,
    NATIVE_COMPARISONS,
    NATIVE_RECTIFIERS,
    NATIVE_SMOOTH,
    NEITHER,
    RECTIFIERS,
    answers,
    both,
    plain,
    rectifies,
)
from whylook.engine.rules.operations import HOMOGENEOUS, LINEAR, unknown
from whylook.engine.rules.rule import Rules, branches, counted, elementwise, live, operation, words
from whylook.errors import Unsupported

# What a function of single values may be made of, where nothing else depends on the input.
_SINGLE = words(
    """Sigmoid Hardsigmoid Tanh Erf Exp Clamp ClampMin ClampMax Relu Hardtanh Softplus Add Sub Rsub Mul Div Neg Pow Clone
    rectifier"""
)


class Guided(Rules):
    """What passed forward and is positive goes back."""

    title = "Guided backpropagation"

    def __init__(self) -> None:
        self._decided: list[str] = []
        self._clamps = 0
        names = both((*RECTIFIERS, *CLIPPING))
        self.handlers = {**dict.fromkeys(names, self._rectifier), **dict.fromkeys(COMPARISONS, self._comparison)}

    @staticmethod
    def rule(x: Tensor, y: Tensor, slope: Tensor) -> Callable[[Tensor], Tensor]:
        """The signal that goes back through a rectifier."""
        return lambda g: slope * g.clamp(min=0)

    def _rectifier(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        limits = (*args[1:], *(v for k, v in kwargs.items() if k != "input"))
        if plain(func) == "prelu" or not any(map(live, limits)):
            if rectifies(func, args, kwargs):
                return elementwise("rectifier", func, args, kwargs, self.rule)
            self._clamps += plain(func) in ("clamp", "clip", "clamp_min") and _harmless(func, args, kwargs)
        return NotImplemented

    def _comparison(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        self._decided.append(plain(func))  # a rectifier may be written this way, and would not be seen as one
        return NotImplemented

    def check(self, nodes: list[Any]) -> None:
        """Refuse networks whose activations are not rectifiers, with the count of what was found."""
        names = [operation(n) for n in nodes]
        rectifiers = names.count("rectifier")
        clamps = [n for n in names if n in ("Clamp", "ClampMin")]
        unseen = [n for n in names if n in NATIVE_RECTIFIERS] + clamps[self._clamps :]
        own = [n for n, node in zip(names, nodes, strict=True) if isinstance(node, BackwardCFunction)]
        unseen += [n for n in own if n != "rectifier"]
        if not self._decided:
            unseen += [n for n in names if n in NATIVE_COMPARISONS]
        if unseen:
            raise Unsupported(
                f"{self.title} cannot tell what {counted(unseen)} of this network lets pass (compiled, written by hand, or "
                "not a rectifier at zero); give it with PyTorch's own rectifiers, or use gradient."
            )
        smooth = [NATIVE_SMOOTH[n] for n in names if n in NATIVE_SMOOTH] + self._decided
        other = [NEITHER[n] for n in names if n in NEITHER] if not rectifiers else []
        if not smooth and not other:
            other = ["activation written by hand"] * sum(map(_by_hand, nodes))
        if not smooth and not other and not rectifiers:
            other = unknown(nodes, LINEAR | HOMOGENEOUS)
        if smooth or other:
            raise Unsupported(
                f"{self.title} changes rectifiers only, and its rule has no meaning for anything else: "
                f"found {counted([*smooth, *other])} and {rectifiers} rectifiers. Use gradient or smoothgrad."
            )


def _harmless(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a clamp is no activation: it keeps what is divided by from zero, or caps what is large."""
    low, small = answers(func, args, kwargs, (-1e6, 0.1))
    return bool((((low > 0) | (low == -1e6)) & (small == 0.1)).all())


def _by_hand(node: Any) -> bool:
    """Whether a node is the product of a signal and a function of its single values, as x · sigmoid(x)."""
    if operation(node) != "Mul" or branches(node) != 2:
        return False
    one, other = node.next_functions[:2]
    return one in _line(other) or other in _line(one)


def _line(edge: tuple[Any, int]) -> list[tuple[Any, int]]:
    """What lies behind an edge of the graph, as far as it is functions of single values of one signal."""
    found: list[tuple[Any, int]] = []
    while operation(edge[0]) in _SINGLE and branches(edge[0]) == 1:
        edge = next(e for e in edge[0].next_functions if e[0] is not None)
        found.append(edge)
    return found


class Deconvnet(Guided):
    """What is positive goes back, whatever passed forward."""

    title = "Deconvnet"

    @staticmethod
    def rule(x: Tensor, y: Tensor, slope: Tensor) -> Callable[[Tensor], Tensor]:
        """The signal that goes back through a rectifier."""
        return lambda g: g.clamp(min=0)
