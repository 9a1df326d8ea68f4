"""What is measured of every picture and model, and how: the part of a comparison that its numbers depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import whylook
from whylook.errors import UsageError
from whylook.methods import METHODS

if TYPE_CHECKING:
    from whylook.models.model import Model

# One of each way to ask a network: what its last layer holds, what its gradient says along a path, what it misses.
# On the phantom these put networks in the right order (docs/ranking.md), and they are right for any head.
USUAL_METHODS = ("hirescam", "integrated-gradients", "occlusion")
BLACK_BOX_METHODS = ("occlusion", "rise")
USUAL_PARAMETERS: Mapping[str, Mapping[str, Any]] = {"integrated-gradients": {"baseline": "blur"}}
LOCALIZATION = ("enrichment", "rank-accuracy", "pointing", "iou")
# Never a raw area: those depend on how steeply a network falls for any order (arXiv:2408.08137).
FAITHFULNESS = ("deletion-gap",)
SUSPICIOUS = ("mass", "enrichment")
# Few orders and steps per picture: their errors are the picture's own, and average out over pictures.
METRIC_PARAMETERS: Mapping[str, Mapping[str, Any]] = {"deletion-gap": {"steps": 8, "orders": 4}}


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Parameters
    ----------
    methods : names, in order.
    parameters : by method, those that are not its defaults.
    metrics : of the maps, given the mask where there is one.
    suspicious : of the maps, given the second mask.
    seed : of methods, metrics and dummies.
    """

    methods: tuple[str, ...]
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metrics: tuple[str, ...] = (*LOCALIZATION, *FAITHFULNESS)
    suspicious: tuple[str, ...] = SUSPICIOUS
    seed: int = 0

    def families(self, methods: Sequence[str] | None = None) -> tuple[str, ...]:
        """The families of (some of) the methods, each once."""
        return tuple(dict.fromkeys(METHODS[m].family for m in (self.methods if methods is None else methods)))

    def facts(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "methods": {m: {**METHODS[m].parameters, **self.parameters.get(m, {})} for m in self.methods},
            "metrics": {m: dict(METRIC_PARAMETERS.get(m, {})) for m in self.metrics},
            "suspicious": list(self.suspicious),
            "seed": self.seed,
            "version": whylook.__version__,
        }

    def key(self, kind: str, model: str, picture: str, target: int) -> str:
        """The name of what is measured of one picture and model: equal where nothing that the numbers depend on differs.

        Parameters
        ----------
        kind : `answer`, which depends on no method, or `scores`.
        model, picture : their fingerprints.
        target : index of the picture's class.
        """
        what = self.facts() if kind == "scores" else {"version": whylook.__version__}
        text = json.dumps([kind, model, picture, target, what], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def make_plan(
    methods: str | Sequence[str] | None,
    models: Sequence[Model],
    *,
    masks: bool,
    suspicious: bool,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> Plan:
    """Fill in what was not asked for.

    Parameters
    ----------
    methods : names; None: one of each of three families, or what a black box allows.
    models : those that are compared.
    masks, suspicious : whether the data have such.
    parameters : by method, its own.
    seed : of all random numbers.

    Raises
    ------
    UsageError
        If there is no such method, or it has no such parameter.
    """
    from whylook.engine.blackbox import BlackBox

    boxes = any(isinstance(m.network, BlackBox) for m in models)
    usual = BLACK_BOX_METHODS if boxes else USUAL_METHODS
    names = tuple(dict.fromkeys([methods] if isinstance(methods, str) else methods or usual))
    given = {name: dict(values) for name, values in (parameters or {}).items()}
    if stray := [n for n in given if n not in names]:
        raise UsageError(f"Parameters are given for {stray[0]!r}, which is not among the methods asked for.")
    own: dict[str, Mapping[str, Any]] = {}
    for name in names:
        wanted = {**USUAL_PARAMETERS.get(name, {}), **given.get(name, {})}
        METHODS[name].fill(wanted)
        if wanted:
            own[name] = wanted
    metrics = (*(LOCALIZATION if masks else ()), *FAITHFULNESS)
    return Plan(names, own, metrics, SUSPICIOUS if suspicious else (), seed)
