"""Whether a comparison goes the way its values go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from whylook.narration.binding import Bound, at, governed, uncovered
from whylook.narration.reading import DIMENSIONS, FINDING, TERMS, Reading, subject

if TYPE_CHECKING:
    from whylook.facts.fact import Fact

_UP = r"more|higher|larger|greater|above|exceeds?|stronger|denser|ahead"
_DOWN = r"less|lower|smaller|below|fewer|weaker|behind"
_EQUAL = r"as (?:much|many|high|large|low|small)|equals?|same(?! class| everywhere)"
_SECOND = re.compile(r"\b(?:than|as)\b", re.IGNORECASE)  # what a comparison is with stands behind it
_COMPARATOR = re.compile(rf"\b(?:(?P<up>{_UP})|(?P<down>{_DOWN})|(?P<equal>{_EQUAL}))\b", re.IGNORECASE)
_CHANCE = re.compile(r"\b(?:chance|area|even spread|expected)\b", re.IGNORECASE)

Side = tuple[float | None, str, "Fact"]


def compared(reading: Reading, told: Sequence[Fact], bound: Sequence[Bound]) -> str | None:
    """Return why the comparison in a sentence is wrong or cannot be checked; None where there is none, or it holds."""
    names = [t for t in reading.terms if t.name not in TERMS]  # “IoU at equal area” compares nothing
    found = [
        m
        for m in _COMPARATOR.finditer(reading.masked)
        if not any(t.start <= m.start() and m.end() <= t.end for t in names)
    ]
    if not found:
        return None
    if len(found) > 1:
        return "makes more than one comparison in a sentence, which cannot be checked"
    word = found[0]
    second_part = _SECOND.search(reading.masked, word.end())
    place = second_part.start() if second_part else word.start()
    sides = _by_numbers(bound, place) or _by_chance(reading, told, place) or _by_names(reading, told, place)
    if sides is None:
        return f"compares (“{word[0]}”) what cannot be told from its facts"
    (first, first_text, one), (second, second_text, other) = sides
    if first is None or second is None:
        return f"compares (“{word[0]}”) what could not be measured"
    way = 0 if first_text == second_text else (1 if first > second else -1)
    said = 1 if word["up"] else -1 if word["down"] else 0
    tested = [
        f
        for f in reading.facts.named(one.name + FINDING)
        if set(f.subject.models) == {*one.subject.models, *other.subject.models}
    ]
    if said and any(f.verdict not in ("higher", "lower") for f in tested):
        return f"says “{word[0]}”, but what was tested says: {tested[0].text}"
    return None if way == said else f"says “{word[0]}”, but the values ({first_text} and {second_text}) say otherwise"


def _by_numbers(bound: Sequence[Bound], place: int) -> tuple[Side, Side] | None:
    these = [b for b in bound if b.role in ("value", "chance")]
    if len(these) != 2 or not these[0].number.start < place < these[1].number.start:
        return None
    if these[0].fact.name != these[1].fact.name:
        return None
    return _side(these[0].fact, these[0].role), _side(these[1].fact, these[1].role)


def _by_chance(reading: Reading, told: Sequence[Fact], place: int) -> tuple[Side, Side] | None:
    """A value before the comparison, its chance level named behind it."""
    where = at(place, place)
    measured = [f for f in told if f.chance is not None and governed(reading, told, f, where)]
    if not measured or _CHANCE.search(reading.masked[:place]) or not _CHANCE.search(reading.masked[place:]):
        return None
    if len({(f.name, f.subject.region) for f in measured}) != 1 or len({_way(f) for f in measured}) != 1:
        return None
    if uncovered(reading, told, measured, where):
        return None
    return _side(measured[0], "value"), _side(measured[0], "chance")


def _way(fact: Fact) -> int:
    """Which way a value lies from its chance level, as both are shown."""
    if fact.value is None or fact.chance is None or fact.text == fact.chance_text:
        return 0
    return 1 if fact.value > fact.chance else -1


def _by_names(reading: Reading, told: Sequence[Fact], place: int) -> tuple[Side, Side] | None:
    """Two facts of a kind that differ in one name, which stands before the comparison for one and behind it for the other."""
    found = []
    for dimension in DIMENSIONS:
        before = {m.name for m in reading.mentions if m.dimension == dimension and m.start < place}
        behind = {m.name for m in reading.mentions if m.dimension == dimension and m.start > place}
        for a in told:
            for b in told:
                if a is b or a.name != b.name:
                    continue
                rest = [d for d in DIMENSIONS if d != dimension]
                one, two = subject(a, dimension), subject(b, dimension)
                alike = all(subject(a, d) == subject(b, d) for d in rest) or (
                    dimension == "models" and all(subject(a, d) == subject(b, d) for d in rest if d != "target")
                )
                if alike and len(one) == len(two) == 1 and one[0] in before - behind and two[0] in behind - before:
                    found.append((_side(a, "value"), _side(b, "value")))
    return found[0] if len(found) == 1 else None


def _side(fact: Fact, role: str) -> Side:
    return (fact.chance, fact.chance_text, fact) if role == "chance" else (fact.value, fact.text, fact)
