"""Sentences on models over a data set: how often each is right, what its maps measure, what was found of each two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from whylook.narration.claims import Claim
from whylook.narration.phrases import Words, alike, claim, listed, one, together
from whylook.narration.reading import FINDING, plain_name

if TYPE_CHECKING:
    from whylook.facts.fact import Fact, Facts


def of_collection(facts: Facts) -> Iterator[Claim]:
    """On how many pictures, and how often each model is right."""
    for f in facts.named("pictures"):
        yield claim(f"The number of pictures on which the maps are compared is {f.text}.", [f], summary=True)
    known = [f for f in facts.named("accuracy") if f.value is not None]
    yield from together(
        facts, known, lambda these: claim(f"The accuracy is {listed(map(_of_model, these))}.", these, summary=True)
    )
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
    for _, these in alike(found, lambda f: (f.subject.models, f.text)):
        yield from together(facts, these, _finding)


def _finding(these: Sequence[Fact]) -> Claim:
    names = listed(f.name.removesuffix(FINDING) for f in these)
    what, models = one(len(these), "finding", "findings"), listed(map(plain_name, these[0].subject.models))
    return claim(f"The {what} on {names} for {models}: “{these[0].text}”.", these, summary=True)


def levels(facts: Facts) -> Iterator[Claim]:
    """Means of metrics with intervals and chance levels, the models of a method beside each other."""
    words = Words(facts)
    means = (
        [] if facts.named("maps") else [f for f in facts if f.subject.methods and f.subject.models and f.n is not None]
    )
    for (name, method, chance), these in alike(means, lambda f: (f.name, f.subject.methods[0], f.chance_text)):
        known = [f for f in these if f.value is not None]
        maps = f"The mean {name} of the {words.title(method)} maps"
        by_chance = f", where chance is {chance}" if chance else ""

        def mean(these: Sequence[Fact], maps: str = maps, by_chance: str = by_chance) -> Claim:
            return claim(f"{maps} is {listed(map(_of_model, these))}{by_chance}.", these)

        yield from together(facts, known, mean)
        for f in these:
            if f.value is None:
                yield claim(f"{maps} of {plain_name(f.subject.models[0])} is not assessable.", [f])
