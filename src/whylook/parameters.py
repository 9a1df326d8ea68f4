"""Parameters of methods and metrics: whether there is one of that name, and whether its value is of the right kind."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

from whylook.errors import UsageError


def complete(
    owner: str, function: Callable[..., Any], defaults: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Check what was given and add the defaults of what was not.

    Parameters
    ----------
    owner : whose parameters they are, for messages.
    function : whose annotations say of which kind each is: `int`, `float` (finite), a sequence of floats, `str` or a name
        of strings, each also with `| None`. `Any` is left to the function.
    defaults, given : by name.

    Returns
    -------
    By name, in the order of `defaults`; numbers of other libraries (numpy's) as Python's own.

    Raises
    ------
    UsageError
        For a name that is not among the defaults, or a value of another kind.
    """
    for name in given:
        if name not in defaults:
            raise UsageError(f"{owner} has no parameter {name!r}; it has {', '.join(defaults) or 'none of its own'}.")
    if not given:
        return dict(defaults)
    known = inspect.signature(function).parameters
    own = {name: _checked(owner, name, value, known[name].annotation, defaults[name]) for name, value in given.items()}
    return {**defaults, **own}


def check_seed(seed: Any) -> None:
    """Refuse what no generator of random numbers takes.

    Raises
    ------
    UsageError
        If it is not a whole number from 0 to 2^63 − 1.
    """
    whole = _whole(seed)
    if whole is None or not 0 <= whole < 2**63:
        raise UsageError(f"seed must be a whole number from 0 to 2^63 - 1, not {seed!r}.")


def _checked(owner: str, name: str, value: Any, annotation: Any, default: Any) -> Any:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    kinds = {part.strip() for part in text.split("|")}
    if "Any" in kinds or (value is None and "None" in kinds):
        return value
    kind: str
    plain: Any
    if "int" in kinds:
        kind, plain = "a whole number", _whole(value)
    elif "float" in kinds:
        kind, plain = "a finite number", _finite(value)
    elif text.endswith("[float]"):
        several = [_finite(v) for v in value] if isinstance(value, list | tuple) else []
        kind, plain = "a list of finite numbers", None if not several or None in several else tuple(several)
    elif "str" in kinds or isinstance(default, str) or value == "":
        kind, plain = "a name", value if isinstance(value, str) and value else None
    else:
        return value
    if plain is None:
        raise UsageError(f"{name} of {owner} must be {kind}, not {value!r}.")
    return plain


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def _finite(value: Any) -> float | None:
    if isinstance(value, Integral):
        return _whole(value)
    return float(value) if isinstance(value, Real) and math.isfinite(value) else None
