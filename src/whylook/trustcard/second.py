"""The method of another family that a map is compared with: the first in a fixed order that fits the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from whylook.engine.request import Request
from whylook.engine.targets import ScoreName
from whylook.errors import Unsupported
from whylook.explainer import explain
from whylook.explanation import Explanation, Map
from whylook.methods import METHODS

# Best followers of what the phantom networks rest on first (docs/ranking.md), cheap ones only, one per family at least.
ORDER = ("lrp", "hirescam", "integrated-gradients", "transformer-attribution", "occlusion", "lime")
_PARAMETERS: Mapping[str, Mapping[str, Any]] = {"integrated-gradients": {"baseline": "blur"}}
_MIXED = {"guided-grad-cam": ("cam", "rules")}  # made of two, so neither is another family


def families(name: str) -> tuple[str, ...]:
    """The families that the method called `name` is of; those of a method that is not registered are nobody else's."""
    return _MIXED.get(name, (METHODS[name].family if name in METHODS else "",))


def order(name: str) -> int:
    """The place of a method in the order; those that are not in it share the last."""
    return ORDER.index(name) if name in ORDER else len(ORDER)


def candidates(name: str) -> Iterator[str]:
    """Methods of other families than that of the method called `name`, in order."""
    yield from (other for other in ORDER if METHODS[other].family not in families(name))


def second(explanation: Explanation, shown: Map, left: int | None, seed: int) -> tuple[Map | None, str]:
    """Make a map of the same answer by a method of another family.

    Parameters
    ----------
    explanation, shown : the picture, the model and the map.
    left : forward passes that may be spent, or None.
    seed : of its random numbers.

    Returns
    -------
    The map, or None and why there is none.
    """
    model, target = explanation.models[shown.model], shown.target
    why = "no method of another family fits this network"
    for name in candidates(shown.method):
        method = METHODS[name]
        parameters = _PARAMETERS.get(name, {})
        if left is not None and Request(method, parameters).evaluations > left:
            why = "the methods of other families that fit take more forward passes than are left; --thorough has them"
            continue
        try:
            made = explain(
                explanation.image, model, name, target.index, score=cast("ScoreName", target.score),
                against=target.against, parameters={name: parameters}, seed=seed,
            ).maps[0]  # fmt: skip
        except Unsupported:
            continue
        if made.reason is None:
            return made, ""
    return None, why
