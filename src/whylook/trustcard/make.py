"""`trust`: a map in, its trust card out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from whylook.errors import UsageError
from whylook.evaluate import cases
from whylook.explainer import ClassName, explain
from whylook.explanation import Explanation, Map
from whylook.metrics import Case, Score, measure
from whylook.metrics.grids import entire
from whylook.trustcard import figures, measured, verdicts
from whylook.trustcard.card import NOT_ASSESSABLE, Question, TrustCard
from whylook.trustcard.measured import THOROUGH, USUAL, Effort
from whylook.trustcard.second import second
from whylook.trustcard.warn import empty, warnings

Progress = Callable[[int, int, str], None]
DEFAULT_MODEL, DEFAULT_METHOD = "resnet50", "grad-cam"
_STAGES = ("deletion, insertion and knock-out", "networks with random weights", "a method of another family")


def trust(
    what: Any,
    model: Any = None,
    method: str | None = None,
    target: ClassName | None = None,
    *,
    mask: ArrayLike | Sequence[ArrayLike] | None = None,
    thorough: bool = False,
    parameters: Mapping[str, Any] | None = None,
    layer: Any = None,
    seed: int = 0,
    device: str | None = None,
    progress: Progress | None = None,
) -> TrustCard:
    """Measure whether one map can be believed.

    Parameters
    ----------
    what : an `Explanation`, or a picture (`Image`, or what `load_image` takes).
    model : of an explanation the name of one of its models; of a picture a `Model`, or what `load_model` takes, by
        default resnet50.
    method : a name from `whylook methods`; by default the explanation's only one, or grad-cam.
    target : the class, an index or a label; by default the model's own top class, or the explanation's only one.
    mask : what is marked in the picture: [H, W], or a list of such; see `whylook.metrics.region.Region.of`.
    thorough : no budget: more random orders and networks, and methods that take many evaluations are made again, too.
    parameters : the method's own, for a picture.
    layer : the layer that a CAM reads, for a picture.
    seed : of all that is random.
    device : where the model is run, for a picture.
    progress : called as `progress(done, total, what)`.

    Returns
    -------
    TrustCard. What cannot be measured is in it with the reason.

    Raises
    ------
    UsageError
        If there is no such map in the explanation, or several, or the mask has another size than the picture.
    ImageError, ModelError
        For a picture or a model that cannot be read.
    Unsupported
        If the method has no meaning for the network.
    """
    start = perf_counter()
    if isinstance(what, Explanation):
        stray = {"parameters": parameters, "layer": layer, "device": device}
        if given := [name for name, value in stray.items() if value is not None]:
            raise UsageError(f"{given[0]} belongs to making a map; an explanation's maps are made already.")
        explanation, shown = what, _chosen(what, model, method, target)
    else:
        name = method or DEFAULT_METHOD
        explanation = explain(
            what, DEFAULT_MODEL if model is None else model, name, target, layer=layer, seed=seed, device=device,
            parameters={name: dict(parameters)} if parameters else None,
        )  # fmt: skip
        shown = explanation.maps[0]
    alone = replace(
        explanation,
        models={shown.model: explanation.models[shown.model]},
        predictions={shown.model: explanation.predictions[shown.model]},
        maps=(shown,),
        failures=(),
    )
    return _card(alone, shown, mask, THOROUGH if thorough else USUAL, seed, progress, start)


def _chosen(explanation: Explanation, model: Any, method: str | None, target: ClassName | None) -> Map:
    found = [
        m
        for m in explanation.maps
        if (model is None or m.model == getattr(model, "name", model)) and method in (None, m.method)
    ]
    named = {(m.model, m.method) for m in found}
    if len(named) > 1:
        there = ", ".join(f"{model}/{method}" for model, method in sorted(named))
        raise UsageError(f"A trust card is of one map; choose one of {there} with model and method.")
    if not found:
        asked = "/".join(str(getattr(part, "name", part)) for part in (model, method) if part is not None)
        there = ", ".join(f"{m.model}/{m.method}" for m in explanation.maps)
        raise UsageError(f"There is no map {asked} in this explanation; there are: {there}.")
    return explanation.map(found[0].model, found[0].method, target)


def _card(
    explanation: Explanation, shown: Map, mask: Any, effort: Effort, seed: int, progress: Progress | None, start: float
) -> TrustCard:
    prediction = explanation.predictions[shown.model]
    cost = max(1, shown.passes.get("forward", 1))
    planned = effort.evaluations + cost * (effort.draws + 2)
    total = planned if effort.budget is None else max(planned, effort.budget)
    passes: Counter[str] = Counter({k: int(v) for k, v in shown.passes.items()})
    done = 0

    def advance(rows: int, what: str) -> None:
        nonlocal done
        done += rows
        if progress:
            progress(min(done, total), total, what)

    nothing = empty(shown)
    scores: dict[str, Score] = {}
    other: Map | None = None
    with cases(explanation, mask=mask, seed=seed, progress=lambda rows: advance(rows, _STAGES[0])) as (case,):
        assert case.perturbed is not None
        assert case.remake is not None
        board, again = case.perturbed.board, case.remake
        lost = None if case.region is None else case.region.lost
        if nothing is None:
            scores = measured.dependence(case, effort)

            def spent() -> int:
                return passes["forward"] + board.forwards + again.passes["forward"]

            advance(0, _STAGES[1])
            scores |= measured.remade(case, effort, cost, spent)
            scores["sobel"] = measured.edges(case)
            advance(0, _STAGES[2])
            left = None if effort.budget is None else effort.budget - spent()
            other, why = second(explanation, shown, left, seed)
            scores["rank-correlation"] = Score(None, why) if other is None else _agreement(case, other)
            for name in figures.PLACE:
                scores[name] = measure(name, case)
        passes.update({"forward": board.forwards})
        passes.update(again.passes)
    if other is not None:
        passes.update({k: int(v) for k, v in other.passes.items()})
    questions = _questions(scores, shown, other, nothing, asked_place=mask is not None)
    verdict = verdicts.overall(questions) if nothing is None else NOT_ASSESSABLE
    ranked = {r.index: r for r in prediction.top(len(prediction.labels))}
    answer, top = ranked[shown.target.index], prediction.top(1)[0]
    if progress:
        progress(total, total, "done")
    return TrustCard(
        explanation=explanation,
        map=shown,
        answer=answer,
        top=top,
        verdict=verdict,
        because=nothing or figures.because(verdict, questions),
        questions=questions,
        warnings=tuple(warnings(shown, explanation, answer, top, lost)),
        lost=lost,
        second=None if other is None else other.method,
        passes={k: passes[k] for k in ("forward", "backward")},
        budget=effort.budget,
        seconds=perf_counter() - start,
        seed=seed,
    )


def _agreement(case: Case, other: Map) -> Score:
    return measured.agreement(case, entire(np.asarray(other.values, np.float64), other.geometry))


def _questions(
    scores: Mapping[str, Score], shown: Map, other: Map | None, nothing: str | None, *, asked_place: bool
) -> tuple[Question, ...]:
    limits = verdicts.thresholds()
    cells = shown.values.size
    if other is not None:
        cells = min(cells, other.values.size)
    made = []
    for name, statistic in verdicts.STATISTICS.items():
        if name == "place" and not asked_place:
            continue
        found = verdicts.Statistic(None, nothing) if nothing is not None else statistic(scores)
        verdict, why = verdicts.judged(name, found, limits, cells)
        made.append(
            Question(
                name=name,
                asks=figures.ASKS[name],
                verdict=verdict,
                because=why or figures.answer(name, verdict, found.value, limits[name]),
                figures=figures.figures(name, scores, shown, other) if nothing is None else (),
                decides=name in verdicts.DECIDE,
                statistic=found.value,
                threshold=limits[name],
            )
        )
    return tuple(made)
