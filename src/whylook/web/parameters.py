"""Parameters of methods as a client may give them: numbers within reason, and no paths."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from whylook.baselines import OF_THE_INPUT, OF_THE_PREPARATION
from whylook.errors import UsageError

_MOST = 10_000  # samples, steps: what is kept of each of them has to fit into memory
_MOST_OF = {"cells": 64, "classes": 1000}
_PICTURES = ("baseline", "low", "high")  # these take pictures' paths, too: of the server's own disk
_LONGEST = 20_000  # characters


def checked(text: str, methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the parameters of methods, by method.

    Parameters
    ----------
    text : a JSON object of objects.
    methods : that were asked for.

    Raises
    ------
    UsageError
        If it is none, names another method or a parameter that it does not have, or a value may not be.
    """
    from whylook.methods import METHODS

    if len(text) > _LONGEST:
        raise UsageError(f"parameters has more than {_LONGEST:,} characters.")
    try:
        given = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise UsageError('parameters is not JSON such as {"smoothgrad": {"samples": 50}}.') from None
    if not isinstance(given, Mapping) or not all(isinstance(v, Mapping) for v in given.values()):
        raise UsageError('parameters is not an object of objects such as {"smoothgrad": {"samples": 50}}.')
    for name, own in given.items():
        if name not in methods:
            raise UsageError(f"Parameters are given for {name[:80]!r}, which is not among the methods asked for.")
        for parameter, value in own.items():
            _check(name, parameter, value)
        METHODS[name].fill(own)
    return {name: dict(own) for name, own in given.items() if own}


def _check(method: str, parameter: str, value: Any) -> None:
    if isinstance(value, list):
        if len(value) > 16:
            raise UsageError(f"{parameter} of {method} has more than 16 entries.")
        for one in value:
            _check(method, parameter, one)
    elif isinstance(value, Mapping):
        raise UsageError(f"{parameter} of {method} must be a number, a name, or a list of these.")
    elif isinstance(value, str):
        names = (*OF_THE_INPUT, *OF_THE_PREPARATION)
        if parameter in _PICTURES and value not in names:
            raise UsageError(f"{parameter} of {method} is {value[:80]!r}; it is a number or one of {', '.join(names)}.")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        most = _MOST_OF.get(parameter, _MOST)
        if not abs(value) <= most:  # so that NaN is refused, too
            raise UsageError(f"{parameter} of {method} must not be more than {most:,}.")
