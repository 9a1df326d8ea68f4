"""What a reader can set in an experiment: numbers, choices and networks, as data that a page makes controls of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from whylook.errors import UsageError
from whylook.phantom.shipped import NAMES

EMBEDDED = tuple(f"phantom:{name}" for name in NAMES)


@dataclass(frozen=True)
class Number:
    """A number between two ends.

    Parameters
    ----------
    name : of the parameter.
    title : what the reader sees.
    default, low, high, step : what it is at first, its ends, and the distance of neighbors, counted from `low`.
    unit : behind the number, or nothing.
    """

    kind: ClassVar[str] = "number"
    name: str
    title: str
    default: float
    low: float
    high: float
    step: float = 1
    unit: str = ""

    def check(self, value: Any) -> float:
        """Return `value` as a number; whole where the steps are.

        Raises
        ------
        UsageError
            If it is no number from `low` to `high`, or no whole one where that is asked for.
        """
        whole = all(float(v).is_integer() for v in (self.low, self.step))
        try:
            number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
        except OverflowError:
            number = math.inf
        if not self.low <= number <= self.high or (whole and not number.is_integer()):
            kind = "a whole number" if whole else "a number"
            raise UsageError(f"{self.name} must be {kind} from {self.low:g} to {self.high:g}, not {value!r}.")
        return int(number) if whole else number


@dataclass(frozen=True)
class Choice:
    """One of several names.

    Parameters
    ----------
    name, title, default : as for `Number`.
    options : (value, what the reader sees).
    """

    kind: ClassVar[str] = "choice"
    name: str
    title: str
    default: str
    options: tuple[tuple[str, str], ...]

    def check(self, value: Any) -> str:
        """Return `value`; one that is not among the options raises `UsageError`."""
        if value not in (known := [v for v, _ in self.options]):
            raise UsageError(f"{self.name} must be one of {', '.join(known)}, not {value!r}.")
        return str(value)


@dataclass(frozen=True)
class Network:
    """A network, by name.

    Parameters
    ----------
    name, title, default : as for `Number`.
    options : names of embedded networks.
    others : whether any other network makes sense, too: the experiment needs no film whose truth is known.
    """

    kind: ClassVar[str] = "network"
    name: str
    title: str
    default: str
    options: tuple[str, ...] = EMBEDDED
    others: bool = True

    def check(self, value: Any) -> str:
        """Return `value`; what is no name, or a name that makes no sense here, raises `UsageError`."""
        if not isinstance(value, str) or not (value in self.options or (self.others and value)):
            raise UsageError(f"{self.name} must be one of {', '.join(self.options)}, not {value!r}.")
        return value


Control = Number | Choice | Network


def as_data(control: Control, others: Sequence[str] = ()) -> dict[str, Any]:
    """A control as a page gets it, ready for JSON.

    Parameters
    ----------
    control : the control.
    others : names of further networks that are there, offered where they make sense.
    """
    fields = asdict(control)
    if isinstance(control, Choice):
        fields["options"] = [{"value": value, "title": title} for value, title in control.options]
    if isinstance(control, Network):
        names = (*control.options, *(n for n in others if control.others and n not in control.options))
        fields["options"] = [{"value": name, "title": name} for name in names]
    return {"kind": control.kind, **fields}
