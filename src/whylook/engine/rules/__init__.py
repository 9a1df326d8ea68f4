"""Rules that replace the backward pass of single operations; one file per kind of rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whylook.engine.rules.rule import Rules


def make(name: str, parameters: Mapping[str, Any]) -> Rules:
    """Make the rules called `name` (see `Needs.rules`) with a method's parameters; each pass takes new ones.

    Raises
    ------
    UsageError
        For a parameter that cannot be right.
    """
    from whylook.engine.rules import deeplift, fullgrad, rectifiers, relevance

    kinds: dict[str, Callable[..., Rules]] = {
        "guided-backprop": rectifiers.Guided,
        "deconvnet": rectifiers.Deconvnet,
        "lrp": relevance.Relevance,
        "excitation-backprop": relevance.Excitation,
        "deeplift": deeplift.Rescale,
        "fullgrad": fullgrad.Biases,
    }
    return kinds[name](**parameters)
