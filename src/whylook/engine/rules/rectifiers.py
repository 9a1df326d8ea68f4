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
    both,
    plain,
    rectifies,
)
from whylook.engine.rules.rule import Rules, counted, elementwise, operation
from whylook.errors import Unsupported


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
        if rectifies(func, args, kwargs):
            return elementwise("rectifier", func, args, kwargs, self.rule)
        self._clamps += plain(func) in ("clamp", "clip", "clamp_min")  # as those that keep a norm from zero
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
        if smooth or other:
            raise Unsupported(
                f"{self.title} changes rectifiers only, and its rule has no meaning for anything else: "
                f"found {counted([*smooth, *other])} and {rectifiers} rectifiers. Use gradient or smoothgrad."
            )


class Deconvnet(Guided):
    """What is positive goes back, whatever passed forward."""

    title = "Deconvnet"

    @staticmethod
    def rule(x: Tensor, y: Tensor, slope: Tensor) -> Callable[[Tensor], Tensor]:
        """The signal that goes back through a rectifier."""
        return lambda g: g.clamp(min=0)
