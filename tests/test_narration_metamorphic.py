"""What must not change, or change in a known way, where what is told is changed in a known way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

import made_up
import whylook
from whylook.facts import Fact
from whylook.facts.evidence import Evidence, MapEvidence, of_explanation
from whylook.narration import Narrative
from whylook.phantom import DEMO_SEED, picture
from whylook.phantom.render import render

NAMES = ("resnet50", "vgg16", "mobilenet")
KEPT = ("made-up-gradient", "made-up-cam")


def three() -> Evidence:
    """Three models that differ in answers and in maps."""
    e = of_explanation(made_up.explanation(models=NAMES, methods=KEPT, failing=False))
    turned = [replace(m, values=np.rot90(m.values, 2).copy()) if m.model == "vgg16" else m for m in e.maps]
    return replace(e, maps=tuple(turned))


def renamed(e: Evidence, names: dict[str, str]) -> Evidence:
    return replace(
        e,
        answers={names[m]: a for m, a in e.answers.items()},
        maps=tuple(replace(m, model=names[m.model]) for m in e.maps),
    )


def verdicts(told: Narrative, names: dict[str, str] | None = None) -> Counter[tuple[object, ...]]:
    """What the sentences that were kept rest on: kind, names, number and verdict of every fact that one of them cites."""

    def of(fact: Fact) -> tuple[object, ...]:
        s = fact.subject
        models = frozenset(s.models if names is None else (names[m] for m in s.models))
        return fact.name, models, frozenset(s.methods), s.target, s.region, s.rank, fact.text, fact.verdict

    assert not told.verified.dropped
    cited = {i for c in told.verified.kept if c.kind != "limit" for i in c.fact_ids}
    return Counter(of(told.facts[i]) for i in cited)


@pytest.mark.parametrize("order", list(permutations(NAMES))[1:])
def test_permuting_the_models_permutes_the_verdicts(order: tuple[str, ...]) -> None:
    e = three()
    told = whylook.narrate(e)
    names = dict(zip(NAMES, order, strict=True))
    assert verdicts(whylook.narrate(renamed(e, names))) == verdicts(told, names)
    assert verdicts(told, names) != verdicts(told)  # the models do differ
    assert len(verdicts(told)) > 30


@pytest.mark.parametrize("order", list(permutations(NAMES))[1:])
def test_the_order_of_the_models_changes_no_verdict(order: tuple[str, ...]) -> None:
    e = three()
    maps = tuple(sorted(e.maps, key=lambda m: order.index(m.model)))
    turned = replace(e, answers={m: e.answers[m] for m in order}, maps=maps)
    assert verdicts(whylook.narrate(turned)) == verdicts(whylook.narrate(e))


def among_others(values: np.ndarray) -> Narrative:
    """One model, two maps that lie in the marker, and one that is given, between them."""
    e = of_explanation(made_up.explanation(models=["resnet50"], methods=made_up.METHODS))
    first: MapEvidence = replace(e.maps[0], values=made_up.bump(14, 14, 0.15, 0.85).astype(np.float32))
    maps = (
        first,
        replace(first, method="made-up-cam", values=values.astype(np.float32)),
        replace(first, method="made-up-signed"),
    )
    marker = np.zeros((64, 96), bool)
    marker[4:16, 74:90] = True
    return whylook.narrate(replace(e, maps=maps), {"marker": marker})


@pytest.mark.parametrize("seed", range(5))
def test_a_random_map_is_told_as_such_beside_maps_that_show_something(seed: int) -> None:
    told = among_others(np.random.default_rng(seed).random((56, 56)))
    text = told.text().replace("\n", " ")
    assert "The made-up-cam map is spread evenly over the picture." in text
    assert "made-up-cam map is consistent with little information on place" in text
    assert "resnet50 may read the region marker: the made-up-gradient and made-up-signed maps are" in text
    assert not told.verified.dropped


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((7, 7)), "The made-up-cam map is zero everywhere"),
        (np.full((7, 7), np.nan), "The made-up-cam map is empty"),
        (np.ones((7, 7)), "The made-up-cam map is the same everywhere."),
    ],
)
def test_a_map_of_nothing_is_told_as_such_and_in_no_place(values: np.ndarray, said: str) -> None:
    told = among_others(values)
    assert said in told.text().replace("\n", " ")
    nothing = [f.id for f in told.facts if f.subject.methods == ("made-up-cam",) and f.subject.region]
    places = [c.text for c in told.verified.kept if set(c.fact_ids) & set(nothing)]
    assert not [t for t in places if "largest share" in t or "may read" in t or "peaks" in t]
    assert not told.verified.dropped


def test_the_shortcut_of_the_picture_that_comes_with_whylook_is_told() -> None:
    masks = {"marker": render(DEMO_SEED, lesion="disc", marker=True, catheter=True).scoring_mask("marker")}
    e = whylook.explain(picture(), ["phantom:vgg", "phantom:vgg-shortcut"], ["grad-cam"], "disc")
    told = whylook.narrate(e, masks)
    meant = [c for c in told.verified.kept if c.kind == "interpretation" and "may read" in c.text]
    (one,) = meant
    assert one.text.startswith("phantom:vgg-shortcut may read the region marker")
    assert one.summary
    assert not told.verified.dropped
