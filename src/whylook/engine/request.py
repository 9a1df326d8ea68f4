"""What is asked of a network, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from torch import Tensor, nn

from whylook import baselines
from whylook.engine.layers import Layer
from whylook.engine.probe import Inputs
from whylook.errors import UsageError
from whylook.methods import METHODS, Method

Precision = Literal["bfloat16"] | None
Layers = str | nn.Module | Sequence[str | nn.Module] | None


_GUESS = 64  # evaluations of a method that finds out how many it takes, for progress


@dataclass(frozen=True, eq=False)
class Request:
    """One method with its parameters; `layer` (one, or several) only for methods that read one."""

    method: Method
    parameters: Mapping[str, Any] = field(default_factory=dict)
    layer: Layers = None
    precision: Precision = None

    def __post_init__(self) -> None:
        if self.precision is not None:
            check_precision(self.method, self.precision)
        if self.layer is not None and not self.method.needs.layer:
            raise UsageError(f"{self.method.name} reads no layer, so layer={self.layer!r} has no meaning for it.")
        if isinstance(self.layer, list | tuple) and not self.layer:
            raise UsageError("layer is an empty list; leave it out to read the last spatial layer.")
        object.__setattr__(self, "parameters", self.method.fill(self.parameters))
        for name in ("baseline", "low", "high"):
            if self.parameters.get(name) is not None:
                baselines.check(self.parameters[name])

    @property
    def wanted(self) -> tuple[str | nn.Module | None, ...]:
        """The layers asked for; None for the one that is found."""
        if isinstance(self.layer, list | tuple):
            return tuple(self.layer)
        return (cast("str | nn.Module | None", self.layer),)

    @property
    def evaluations(self) -> int:
        """Evaluations it will report to `progress`, per row: its `samples` or `steps`; where these adapt, a guess."""
        if not self.method.needs.probe or not {"samples", "steps", "window"} & set(self.parameters):
            return 0
        return int(self.parameters.get("samples") or self.parameters.get("steps") or _GUESS)


@dataclass(frozen=True, eq=False)
class Raw:
    """One request's result.

    Parameters
    ----------
    values : a tensor [n, k, …], or a tuple of such.
    layers : those read, none or one or several.
    forwards, backwards, seconds : what it cost by itself.
    facts : by name, numbers [n, k] that belong to the maps.
    warnings : n lists of k sentences or None.
    extent : what the map's cells cover, where that is not the input (see `Noted`).
    """

    values: Inputs
    layers: tuple[Layer, ...]
    forwards: int
    backwards: int
    seconds: float = 0.0
    facts: Mapping[str, Tensor] = field(default_factory=dict)
    warnings: Sequence[Sequence[str | None]] = ()
    extent: Any = None


def takes_only_scores(method: Method) -> bool:
    """Whether a method runs the whole network forward and nothing else, so that bfloat16 is enough for it."""
    return bool({"scores", "occluded"} & set(method.arguments)) and not {"gradients", "evaluate"} & set(
        method.arguments
    )


def check_precision(method: Method, precision: Any) -> None:
    """Refuse what is not known, and gradients in bfloat16: too coarse to be shown."""
    if precision != "bfloat16":
        raise UsageError(f"precision={precision!r} is not known; it is bfloat16, or left out for the network's own.")
    if not takes_only_scores(method):
        names = ", ".join(m.name for m in METHODS if takes_only_scores(m))
        raise UsageError(f"{method.name} cannot be made in bfloat16, for it takes more than scores; {names} can.")
