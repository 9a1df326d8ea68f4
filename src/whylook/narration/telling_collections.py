"""Sentences on models over a data set: how often each is right, what its maps measure, what was found of each two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from whylook.narration.claims import Claim
from whylook.narration.phrases import Words, alike, claim, listed, one
from whylook.narration.reading import FINDING, plain_name

if TYPE_CHECKING:
    from whylook.facts.fact import Fact, Facts


def of_collection(facts: Facts) -> Iterator[Claim]:
    """On how many pictures, and how often each model is right."""
    for f in facts.named("pictures"):
        yield claim(f"The number of pictures on which the maps are compared is {f.text}.", [f], summary=True)
    known = [f for f in facts.named("accuracy") if f.value is not None]
    if known:
        yield claim(f"The accuracy is {listed(map(_of_model, known))}.", known, summary=True)
    for f in facts.named("accuracy"):
        if f.value is None:
            text = f"The accuracy of {plain_name(f.subject.models[0])} is not assessable."
            yield claim(text, [f], summary=True)


def _of_model(fact: Fact) -> str:
    interval = f" (95 % interval {fact.interval_text})" if fact.interval_text else ""
    return f"{fact.text}{interval} for {plain_name(fact.subject.models[0])}"


def findings(facts: Facts) -> Iterator[Claim]:
    """What was found of each two models, in the comparison's own words; metrics with the same words together."""
    found = [f for f in facts if f.name.endswith(FINDING)]
    for (models, text), these in alike(found, lambda f: (f.subject.models, f.text)):
        names = listed(f.name.removesuffix(FINDING) for f in these)
        what = one(len(these), "finding", "findings")
        yield claim(f"The {what} on {names} for {listed(map(plain_name, models))}: “{text}”.", these, summary=True)


def levels(facts: Facts) -> Iterator[Claim]:
    """Means of metrics with intervals and chance levels, the models of a method beside each other."""
    words = Words(facts)
    means = (
        [] if facts.named("maps") else [f for f in facts if f.subject.methods and f.subject.models and f.n is not None]
    )
    for (name, method, chance), these in alike(means, lambda f: (f.name, f.subject.methods[0], f.chance_text)):
        known = [f for f in these if f.value is not None]
        maps = f"The mean {name} of the {words.title(method)} maps"
        if known:
            by_chance = f", where chance is {chance}" if chance else ""
            yield claim(f"{maps} is {listed(map(_of_model, known))}{by_chance}.", known)
        for f in these:
            if f.value is None:
                yield claim(f"{maps} of {plain_name(f.subject.models[0])} is not assessable.", [f])
