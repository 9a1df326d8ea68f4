"""How to feed a network otherwise: the exact words for the command line, for Python and for a model.toml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from whylook.preprocess import Preprocess

_FIELDS = ("mean", "std", "scale", "channel_order", "interpolation")


@dataclass(frozen=True)
class Remedy:
    """The same change, three times.

    Parameters
    ----------
    options : of the command line, beside --arch and --checkpoint.
    python : an expression of a `Preprocess`, given the model as `model`.
    toml : lines of a model.toml.
    """

    options: str
    python: str
    toml: str


def remedy(declared: Preprocess, wanted: Preprocess) -> Remedy:
    """What has to be given for a network to be fed as `wanted` says: all that differs from `declared`.

    Means and stds are always among it, so that it stays right where other defaults hold.
    """
    changed = {
        name: getattr(wanted, name)
        for name in _FIELDS
        if name in ("mean", "std") or getattr(wanted, name) != getattr(declared, name)
    }
    options = " ".join(f"--{name.replace('_', '-')} {_plain(value)}" for name, value in changed.items())
    fields = ", ".join(f"{name}={_python(value)}" for name, value in changed.items())
    lines = "\n".join(f"{name} = {_toml(value)}" for name, value in changed.items())
    return Remedy(options, f"dataclasses.replace(model.preprocess, {fields})", lines)


def _number(value: float) -> str:
    return f"{value:.6g}"


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_number, value))
    return value if isinstance(value, str) else _number(value)


def _python(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_number, value))}{',' if len(value) == 1 else ''})"
    return repr(value) if isinstance(value, str) else _number(value)


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_number, value))}]"
    return f'"{value}"' if isinstance(value, str) else _number(value)
