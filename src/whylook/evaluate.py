"""Scores of the maps of an explanation: what the trust card and the comparison of models are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whylook.engine.request import Request
from whylook.engine.targets import Score as Explained
from whylook.explainer import prepare, prepared
from whylook.explanation import Explanation, Map
from whylook.methods import METHODS
from whylook.metrics import METRICS, Case, Score, blocks, measure
from whylook.metrics.dummies import dummies
from whylook.metrics.grids import entire
from whylook.metrics.metric import Floats, fingerprint
from whylook.metrics.region import Region
from whylook.perturbed import Perturbed, perturbing
from whylook.remake import Remake


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of one map, and of the four dummies at its grain.

    Parameters
    ----------
    map : the map.
    scores : by metric.
    dummies : by dummy, by metric; empty where none were asked for.
    lost : share of the mask that the crop cut away, or None without a mask.
    """

    map: Map
    scores: Mapping[str, Score]
    dummies: Mapping[str, Mapping[str, Score]] = field(default_factory=dict)
    lost: float | None = None


def evaluate(
    explanation: Explanation,
    metrics: Sequence[str] = (),
    *,
    mask: ArrayLike | Sequence[ArrayLike] | None = None,
    with_dummies: bool = False,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> list[Evaluation]:
    """Score every map of an explanation.

    Parameters
    ----------
    explanation : of one picture.
    metrics : names from `whylook metrics`; none: all that need no other map, and those that need a mask if there is one.
    mask : what is marked in the picture; see `Region.of`.
    with_dummies : score the four dummies, too.
    parameters : by metric name, its own.
    seed : of metrics, dummies and fillings.
    progress : called with the number of evaluations of the network done.

    Returns
    -------
    One per map, in order; a score that cannot be had carries its reason. Neither company nor order change a bit.

    Raises
    ------
    UsageError
        For an unknown metric or parameter, or a mask that does not fit the picture.
    """
    names = list(metrics) or [m.name for m in METRICS if m.needs != "other" and (m.needs != "mask" or mask is not None)]
    own = dict(parameters or {})

    filled = [name for name in names if METRICS[name].needs == "perturbed"]

    def scores(case: Case, names: Sequence[str] = names) -> dict[str, Score]:
        return {name: measure(name, case, **own.get(name, {})) for name in names}

    def strangers(case: Case) -> dict[str, dict[str, Score]]:
        # Where blocks are filled in, only the blocks count: maps of one grain share their dummies, and the evaluations.
        coarse = dict(dummy_cases(case, _grain(case)))
        rest = [name for name in names if name not in filled]
        found = {dummy: {**scores(c, rest), **scores(coarse[dummy], filled)} for dummy, c in dummy_cases(case)}
        return {dummy: {name: each[name] for name in names} for dummy, each in found.items()}

    results = []
    with cases(explanation, mask=mask, seed=seed, progress=progress) as given:
        for shown, case in zip(explanation.maps, given, strict=True):
            lost = None if case.region is None else case.region.lost
            results.append(Evaluation(shown, scores(case), strangers(case) if with_dummies else {}, lost))
    return results


def _grain(case: Case) -> tuple[int, int]:
    """Blocks that are filled in of a case's map, at most."""
    assert case.perturbed is not None
    return blocks.grain(np.asarray(case.values, np.float64), case.perturbed.input_shape, blocks.CELLS)


@contextmanager
def cases(
    explanation: Explanation,
    *,
    mask: ArrayLike | Sequence[ArrayLike] | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Iterator[list[Case]]:
    """Give one `Case` per map of an explanation, with the network at hand while the body runs.

    All maps of a model share one board: what is asked of the network for one of them is there for all.
    """
    with ExitStack() as stack:
        boards, inputs = {}, {}
        for name, model in explanation.models.items():
            inputs[name] = prepare(model, explanation.image)
            boards[name] = stack.enter_context(perturbing(model.network, inputs[name], seed=seed, progress=progress))
        made = []
        for shown in explanation.maps:
            model, x = explanation.models[shown.model], inputs[shown.model]
            softmax = model.head == "softmax"
            made.append(
                Case(
                    values=entire(np.asarray(shown.values, np.float64), shown.geometry),
                    region=None if mask is None else Region.of(mask, shown.geometry),
                    perturbed=Perturbed(
                        boards[shown.model], shown.target.index, softmax=softmax, against=shown.target.against
                    ),
                    remake=_remake(explanation, shown, x),
                    seed=seed,
                    picture=fingerprint(x.detach().cpu().numpy()),
                )
            )
        yield made


def _remake(explanation: Explanation, shown: Map, x: Any) -> Remake:
    model, target = explanation.models[shown.model], shown.target
    method = METHODS[shown.method]
    layers = shown.layer.split(", ") if shown.layer and method.needs.layer else None
    parameters = dict(shown.parameters)
    precision = parameters.pop("precision", None)  # the map's record lists it among them
    request = Request(method, parameters, layers[0] if layers and len(layers) == 1 else layers, precision)
    seed = int(explanation.provenance.get("seed", 0))
    score = Explained(target.score, target.against, softmax=model.head == "softmax")  # type: ignore[arg-type]
    classes = len(explanation.predictions[shown.model].logits)
    return Remake.by(prepared(request, model, x, seed), model.network, x, target.index, classes, score, seed)


def dummy_cases(case: Case, grid: tuple[int, int] | None = None) -> Iterator[tuple[str, Case]]:
    """The case of each dummy: the same picture, network and mask, another explainer.

    Parameters
    ----------
    case : of the map that they stand beside.
    grid : their (rows, columns); the map's where none is given.
    """
    remake = case.remake
    assert remake is not None
    size = grid or (case.values.shape[0], case.values.shape[1])

    def draw(name: str, x: Any) -> NDArray[np.float64]:
        return dummies(x[0].detach().cpu().numpy(), size, seed=case.seed)[name]

    for name, values in dummies(remake.x[0].detach().cpu().numpy(), size, seed=case.seed).items():

        def make(network: Any, x: Any, target: int, name: str = name) -> Floats:
            return draw(name, x)

        yield name, replace(case, values=values, remake=replace(remake, make=make))
