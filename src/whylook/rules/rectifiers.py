"""Guided backpropagation and the deconvolutional network: rectifiers that let only positive signals back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from whylook.errors import Unsupported
from whylook.rules.activations import (
    CLIPPING,
    COMPARISONS,
    NATIVE_RECTIFIERS,
    NATIVE_SMOOTH,
    RECTIFIERS,
    both,
    plain,
    rectifies,
)
from whylook.rules.engine import Rules, counted, elementwise, operation

_OTHER = {"Softmax": "softmax", "NativeLayerNorm": "layer norm", "NativeGroupNorm": "group norm", "Sigmoid": "Sigmoid",
          "Hardsigmoid": "Hardsigmoid"}  # fmt: skip


class Guided(Rules):
    """What passed forward and is positive goes back."""

    title = "Guided backpropagation"

    def __init__(self) -> None:
        self._decided: list[str] = []
        names = both((*RECTIFIERS, *CLIPPING))
        self.handlers = {**dict.fromkeys(names, self._rectifier), **dict.fromkeys(COMPARISONS, self._comparison)}

    @staticmethod
    def rule(x: Tensor, y: Tensor, slope: Tensor) -> Callable[[Tensor], Tensor]:
        """The signal that goes back through a rectifier."""
        return lambda g: slope * g.clamp(min=0)

    def _rectifier(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if not rectifies(func, args, kwargs):
            return NotImplemented
        return elementwise("rectifier", func, args, kwargs, self.rule)

    def _comparison(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        self._decided.append(plain(func))  # a rectifier may be written this way, and would not be seen as one
        return NotImplemented

    def check(self, nodes: list[Any]) -> None:
        """Refuse networks whose activations are not rectifiers, with the count of what was found."""
        names = [operation(n) for n in nodes]
        rectifiers = names.count("rectifier")
        if unseen := [n for n in names if n in NATIVE_RECTIFIERS and n not in ("Clamp", "ClampMin")]:
            raise Unsupported(
                f"{self.title} cannot reach {counted(unseen)} of this network (compiled, or not a rectifier at zero); "
                "give the module it was made of, or use gradient."
            )
        smooth = [{**NATIVE_SMOOTH}[n] for n in names if n in NATIVE_SMOOTH]
        other = [_OTHER[n] for n in names if n in _OTHER]
        if smooth or self._decided or (other and not rectifiers):
            found = counted([*smooth, *self._decided, *(other if not rectifiers else [])])
            raise Unsupported(
                f"{self.title} changes rectifiers only, and its rule has no meaning for anything else: "
                f"found {found} and {rectifiers} rectifiers. Use gradient or smoothgrad."
            )


class Deconvnet(Guided):
    """What is positive goes back, whatever passed forward."""

    title = "Deconvnet"

    @staticmethod
    def rule(x: Tensor, y: Tensor, slope: Tensor) -> Callable[[Tensor], Tensor]:
        """The signal that goes back through a rectifier."""
        return lambda g: g.clamp(min=0)
