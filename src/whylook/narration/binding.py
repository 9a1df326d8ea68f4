"""Which fact a number, or a name, of a sentence belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from whylook.narration.numbers import Number, numbers
from whylook.narration.reading import DIMENSIONS, VERBATIM, Dimension, Mention, Reading, subject

if TYPE_CHECKING:
    from whylook.facts.fact import Fact

Role = Literal["value", "chance", "interval", "n"]
_BEFORE = re.compile(
    r"(?:chance(?: level)?(?: of| is|,|:)?|even spread(?: would give)?|area(?: of| is|:)|expected(?: are| is)?)\s*\(?$",
    re.I,
)
_AFTER = re.compile(
    r"^\s*(?:of the (?:picture's |shown )?area|of the area shown|by chance|by area alone|for an even spread)", re.I
)
_INTERVAL_LABEL = re.compile(r"95\s*%\s*(?:confidence )?interval", re.I)
_COUNTED = re.compile(r"^\s*(?:cells|pictures|images)\b", re.I)
_NAMES: tuple[Dimension, ...] = (*DIMENSIONS, "name")


@dataclass(frozen=True)
class Bound:
    """A number, the fact that it is of, and whether it is its value, its chance level, …"""

    number: Number
    fact: Fact
    role: Role

    @property
    def value(self) -> float | None:
        """The unrounded value behind the number."""
        return self.fact.chance if self.role == "chance" else self.fact.value


def bind(reading: Reading, told: Sequence[Fact]) -> tuple[Bound, ...] | str:
    """Find the fact of every number, by value as it is shown, role, and the names that stand nearest.

    Returns
    -------
    One per number, in the order of the text; or a sentence's end that says which number has none.
    """
    text = reading.masked
    labels = [m.span() for m in _INTERVAL_LABEL.finditer(text)] if any(f.interval for f in told) else []
    out = []
    found = [n for n in numbers(text) if not any(a <= n.start < b for a, b in labels)]
    for number in found:
        role = _role(text, number)
        roles: tuple[Role, ...] = ("value", "interval") if role == "value" else (role,)
        alike = [(f, r) for f in told for r in roles if any(_same(number, n, f) for n in _shown(f, r))]
        fits = [(f, r) for f, r in alike if governed(reading, told, f, number.start, [n.start for n in found])]
        if not fits:
            where = "not the one that its sentence says" if alike else "not in its facts as it is shown there"
            return f"the number {number.text} is {where}"
        out.append(Bound(number, *fits[0]))
    return tuple(out)


def _role(text: str, number: Number) -> Role:
    if _BEFORE.search(text[: number.start]) or _AFTER.search(text[number.end :]):
        return "chance"
    return "n" if _COUNTED.search(text[number.end :]) else "value"


def _shown(fact: Fact, role: Role) -> list[Number]:
    if fact.name in VERBATIM:
        return []
    match role:
        case "value":
            return numbers(fact.text)
        case "chance":
            return numbers(fact.chance_text)
        case "interval":
            return numbers(fact.interval_text)
        case "n":
            return numbers(str(fact.n)) if fact.n is not None else []


def _same(said: Number, known: Number, fact: Fact) -> bool:
    if said.same(known):
        return True
    unit = said.unit in (known.unit, fact.unit) and "%" not in (known.unit, said.unit)
    return unit and (said.value, said.qualifier) == (known.value, known.qualifier)


def governed(reading: Reading, told: Sequence[Fact], fact: Fact, place: int, others: Sequence[int] = ()) -> bool:
    """Whether what stands at `place` belongs to `fact`, by each dimension in which the facts told differ.

    A name governs what follows it up to the next name of its dimension; where things stand before the first name
    (`others` are the places of all such things), it governs what precedes it.
    """
    for dimension in _NAMES:
        own = subject(fact, dimension)
        if len({subject(f, dimension) for f in told if subject(f, dimension)}) < 2 or not own:
            continue
        these = [m for m in (reading.terms if dimension == "name" else reading.mentions) if m.dimension == dimension]
        if len(own) > 1:  # a pair: no single name can govern, so there must be no other pair in the sentence
            return False
        if own[0] not in _governing(these, place, min([place, *others])):
            return False
    return True


def _governing(mentions: Sequence[Mention], place: int, first: int) -> set[str]:
    if not mentions:
        return set()
    if first < mentions[0].start:
        later = [m for m in mentions if m.start > place]
        nearest = later[0] if later else None
    else:
        earlier = [m for m in mentions if m.start <= place]
        nearest = earlier[-1] if earlier else None
    return set() if nearest is None else {m.name for m in mentions if (m.start, m.end) == (nearest.start, nearest.end)}


def unsupported(reading: Reading, told: Sequence[Fact]) -> str | None:
    """Return what is named and belongs to no fact told: by itself, or together with the name that governs it."""
    mentions = reading.mentions
    places = {(m.start, m.end) for m in mentions}
    for place in sorted(places):
        here = [m for m in mentions if (m.start, m.end) == place]
        if not any(m.name in subject(f, m.dimension) for m in here for f in told):
            return f"names “{reading.text[place[0] : place[1]].strip('“”')}” without telling a fact about it"
        if not any(_together(reading, told, m) for m in here):
            name = reading.text[place[0] : place[1]].strip("“”")
            return f"puts “{name}” together with a name that its facts do not put it with"
    return None


def _together(reading: Reading, told: Sequence[Fact], mention: Mention) -> bool:
    """Whether some fact told is about this name and about the names that govern it."""
    about = [f for f in told if mention.name in subject(f, mention.dimension)]
    same = [m.start for m in reading.mentions if m.dimension == mention.dimension]
    return any(
        all(_fits(reading, told, fact, other, mention, same) for other in DIMENSIONS if other != mention.dimension)
        for fact in about
    )


def _fits(
    reading: Reading, told: Sequence[Fact], fact: Fact, dimension: Dimension, mention: Mention, same: Sequence[int]
) -> bool:
    own = subject(fact, dimension)
    values = {subject(f, dimension) for f in told if subject(f, dimension)}
    if len(values) < 2 or not own or len(own) > 1 or DIMENSIONS.index(dimension) > DIMENSIONS.index(mention.dimension):
        return True
    these = [m for m in reading.mentions if m.dimension == dimension]
    return own[0] in _governing(these, mention.start, min(same))
