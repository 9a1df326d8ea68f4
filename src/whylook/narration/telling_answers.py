"""Sentences on what the models answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from whylook.narration.claims import Claim
from whylook.narration.phrases import alike, claim, listed, one, texts, together
from whylook.narration.reading import plain_name, quoted

if TYPE_CHECKING:
    from whylook.facts.fact import Fact, Facts


def first_answers(facts: Facts) -> Iterator[Claim]:
    """Each model's first class, those of one class together; a class whose probability is not known is left to `answers`."""
    tops = [f for f in facts.named("probability") if f.subject.rank == 1 and f.value is not None]
    for _, these in alike(tops, lambda f: f.subject.target):
        yield from together(facts, these, _first)


def _first(these: Sequence[Fact]) -> Claim:
    names = listed(map(_name, these))
    both = " both" if len(these) == 2 else ""
    odds = f"with {one(len(these), 'a probability', 'probabilities')} of {listed(f.text for f in these)}"
    say = one(len(these), "says", "say")
    return claim(f"{names}{both} {say} {quoted(these[0].subject.target)}, {odds}.", these, summary=True)


def answers(facts: Facts) -> Iterator[Claim]:
    """What is unknown of the answers, second classes, margins, and how much of the picture a model was shown."""
    odds = facts.named("probability")
    for f in odds:
        if f.subject.rank == 1 and f.value is None:
            text = f"The probability that {_name(f)} gives {quoted(f.subject.target)} is not assessable."
            yield claim(text, [f])
    first = {f.subject.models: f.subject.target for f in odds if f.subject.rank == 1}
    seconds = [
        f for f in odds
        if f.subject.rank == 2 and f.value is not None and f.subject.target != first[f.subject.models]
    ]  # fmt: skip
    yield from together(facts, seconds, _second)
    yield from together(facts, facts.named("margin"), _margin)
    parts = [f for f in facts.named("shown") if f.value is not None and f.value < 1]
    yield from together(facts, parts, _shown)


def _second(seconds: Sequence[Fact]) -> Claim:
    parts = [
        f"{quoted(target)} for {listed(f'{_name(f)} ({f.text})' for f in these)}"
        for target, these in alike(seconds, lambda f: f.subject.target)
    ]
    return claim(f"The second class is {listed(parts)}.", seconds)


def _margin(margins: Sequence[Fact]) -> Claim:
    whose = listed(f"{f.text} for {_name(f)}" for f in margins)
    return claim(f"The margin, the gap in logits to the next class, is {whose}.", margins)


def _shown(parts: Sequence[Fact]) -> Claim:
    names = listed(map(_name, parts))
    return claim(f"{names} {one(len(parts), 'was', 'were')} shown {texts(parts)} of the picture.", parts)


def _name(fact: Fact) -> str:
    return plain_name(fact.subject.models[0])
