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
from whylook.trustcard.reliance import falls_of_copies, reliance
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
        if isinstance(what, list | tuple):
            raise UsageError("A trust card is of one picture, not of a list; call trust for each.")
        several = {"models": model, "methods": method, "targets": target}
        if given := [kind for kind, one in several.items() if isinstance(one, list | tuple | set)]:
            raise UsageError(f"A trust card is of one map; several {given[0]} take an explanation, and trust for each.")
        name = method or DEFAULT_METHOD
        explanation = explain(
            what, DEFAULT_MODEL if model is None else model, name, target, layer=layer, seed=seed, device=device,
            parameters={name: dict(parameters)} if parameters else None,
        )  # fmt: skip
        shown = explanation.maps[0]
    effort = THOROUGH if thorough else USUAL
    cards = _cards(_alone(explanation, shown), mask, effort, seed, progress)
    return replace(cards[0], seconds=perf_counter() - start)


def trust_all(
    explanation: Explanation, *, thorough: bool = False, seed: int = 0, progress: Progress | None = None
) -> Explanation:
    """Measure whether each map of an explanation can be believed.

    Parameters
    ----------
    explanation : of one picture.
    thorough, seed, progress : as for `trust`.

    Returns
    -------
    The explanation with its `cards`, in the order of its maps; each is the one that `trust` makes, but what is asked of a
    network for several maps is asked once.
    """
    return replace(explanation, cards=tuple(_cards(explanation, None, THOROUGH if thorough else USUAL, seed, progress)))


def _alone(explanation: Explanation, shown: Map) -> Explanation:
    """The explanation of one map."""
    return replace(
        explanation,
        models={shown.model: explanation.models[shown.model]},
        predictions={shown.model: explanation.predictions[shown.model]},
        maps=(shown,),
        failures=(),
        fingerprints={name: f for name, f in explanation.fingerprints.items() if name == shown.model},
        cards=(),
    )


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


def _cards(
    explanation: Explanation, mask: Any, effort: Effort, seed: int, progress: Progress | None
) -> list[TrustCard]:
    costs = [max(1, int(m.passes.get("forward", 1))) for m in explanation.maps]
    each = [effort.evaluations + cost * (2 + effort.plan(cost).draws) for cost in costs]
    made: list[TrustCard] = []
    begun = done = 0  # of all that is planned: before this map, and of this map

    def advance(rows: int, what: str = _STAGES[0]) -> None:
        nonlocal done
        done += rows
        if progress:
            progress(begun + min(done, each[len(made)]), sum(each), what)

    copies: dict[str, list[float]] = {}
    with cases(explanation, mask=mask, seed=seed, progress=advance) as given:
        for shown, case, cost, planned in zip(explanation.maps, given, costs, each, strict=True):
            if shown.model not in copies:
                copies[shown.model] = falls_of_copies(case)
            falls = copies[shown.model]
            made.append(_card(_alone(explanation, shown), shown, case, falls, cost, effort, seed, advance))
            begun, done = begun + planned, 0
    if progress:
        progress(sum(each), sum(each), "done")
    return made


def _card(
    explanation: Explanation, shown: Map, case: Case, copies: Sequence[float], cost: int, effort: Effort, seed: int,
    advance: Callable[[int, str], None],
) -> TrustCard:  # fmt: skip
    assert case.perturbed is not None
    assert case.remake is not None
    start = perf_counter()
    board, again = case.perturbed.board, case.remake
    before = board.forwards
    nothing, other = empty(shown), None
    scores: dict[str, Score] = {}
    if nothing is None:
        plan = effort.plan(cost)
        scores = measured.dependence(case, effort)
        scores["reliance"] = reliance(case, copies)
        marked = measured.marked(case)
        advance(0, _STAGES[1])
        scores |= measured.remade(marked, plan, cost)
        scores["sobel"] = measured.edges(marked)
        advance(cost * (plan.draws + plan.flip), _STAGES[2])
        other, why = second(explanation, shown, plan.left, seed)
        scores["rank-correlation"] = Score(None, why) if other is None else _agreement(marked, other)
        scores |= {name: measure(name, case) for name in figures.PLACE}
    passes: Counter[str] = Counter(forward=board.forwards - before + 2 * len(copies))
    for spent in (shown.passes, again.passes, {} if other is None else other.passes):
        passes.update({name: int(count) for name, count in spent.items()})
    questions = _questions(scores, shown, other, nothing, asked_place=case.region is not None)
    verdict = verdicts.overall(questions) if nothing is None else NOT_ASSESSABLE
    prediction = explanation.predictions[shown.model]
    answer = next(r for r in prediction.top(len(prediction.labels)) if r.index == shown.target.index)
    top, lost = prediction.top(1)[0], None if case.region is None else case.region.lost
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
        passes={name: passes[name] for name in ("forward", "backward")},
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
    made = []
    for name, statistic in verdicts.STATISTICS.items():
        if name == "place" and not asked_place:
            continue
        found = verdicts.Statistic(None, nothing) if nothing is not None else statistic(scores)
        verdict, why = verdicts.judged(name, found, limits, shown.values.size)
        made.append(
            Question(
                name=name,
                asks=figures.ASKS[name],
                verdict=verdict,
                because=why or figures.answer(name, verdict, scores),
                figures=figures.figures(name, scores, shown, other) if nothing is None else (),
                decides=name in verdicts.DECIDE,
                statistic=found.value,
                threshold=verdicts.limit(name, limits, shown.values.size),
            )
        )
    return tuple(made)
