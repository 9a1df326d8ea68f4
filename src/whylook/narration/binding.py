"""Which fact a number, or a name, of a sentence belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Literal

from whylook.narration.numbers import Number, numbers
from whylook.narration.reading import DIMENSIONS, NAME, Dimension, Mention, Reading, Spot, is_verbatim, joined, subject

if TYPE_CHECKING:
    from whylook.facts.fact import Fact

Role = Literal["value", "chance", "interval", "n"]
_BEFORE = re.compile(
    r"(?:chance(?: level)?(?: of| is|,|:)?|even spread(?: would give)?|area(?: of| is|:)|expected(?: are| is)?)\s*\(?$",
    re.I,
)
_AFTER = re.compile(
    r"^\s*(?:of the (?:picture's |shown )?area|of the area shown|by chance|by area alone|by area|for an even spread)",
    re.I,
)
_INTERVAL_LABEL = re.compile(r"95\s*%\s*(?:confidence )?interval", re.I)
_COUNTED = re.compile(r"^\s*(?:cells|pictures|images|pairs)\b", re.I)
_BREAKS = re.compile(
    r"[^\w\s%'’\-\x00]|\b(?:and|but|while|than|as|where|which|or|from|against|to|whose|among)\b", re.IGNORECASE
)
_LEADS_ON = re.compile(
    r"\b(?:in|inside|outside|of|for|by|within|between)\s+(?:the\s+)?(?:regions?\s+)?$", re.IGNORECASE
)
_NAMES: tuple[Dimension, ...] = (*DIMENSIONS, NAME)


@dataclass(frozen=True)
class Place:
    """Where something stands that names may govern.

    Parameters
    ----------
    start, end : in the text; those of the whole list for a number in a list.
    first : where the first thing of its kind in the sentence stands.
    index, of : which of how many in its list; 0 and 1 for what stands alone.
    """

    start: int
    end: int
    first: int
    index: int = 0
    of: int = 1


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

    In a list, the first number is that of the first name, and so on; a number by itself holds for each name of a list.

    Returns
    -------
    One per number, in the order of the text; or a sentence's end that says which number has none.
    """
    text = reading.masked
    labels = [m.span() for m in _INTERVAL_LABEL.finditer(text)] if any(f.interval for f in told) else []
    out = []
    found = [n for n in numbers(text) if not any(a <= n.start < b for a, b in labels)]
    for number, place in zip(found, _places(text, found), strict=True):
        role = _role(text, place)
        roles: tuple[Role, ...] = ("value", "interval") if role == "value" else (role,)
        alike = [(f, r) for f in told for r in roles if any(_same(number, n, f) for n in _shown(f, r))]
        fits = [(f, r) for f, r in alike if governed(reading, told, f, place)]
        if not fits or uncovered(reading, told, [f for f, _ in fits], place):
            where = "not the one that its sentence says" if alike else "not in its facts as it is shown there"
            return f"the number {number.text} is {where}"
        out.append(Bound(number, *fits[0]))
    return tuple(out)


def _places(text: str, found: Sequence[Number]) -> list[Place]:
    """Where each number stands, and in which list."""
    lists = [[n] for n in found[:1]]
    for n, together in zip(found[1:], joined([text[a.end : b.start] for a, b in pairwise(found)]), strict=True):
        if together:
            lists[-1].append(n)
        else:
            lists.append([n])
    return [
        Place(those[0].start, those[-1].end, found[0].start, i, len(those))
        for those in lists
        for i in range(len(those))
    ]


def _role(text: str, place: Place) -> Role:
    if _BEFORE.search(text[: place.start]) or _AFTER.search(text[place.end :]):
        return "chance"
    return "n" if _COUNTED.search(text[place.end :]) else "value"


def _shown(fact: Fact, role: Role) -> list[Number]:
    if is_verbatim(fact):
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


def governed(reading: Reading, told: Sequence[Fact], fact: Fact, place: Place) -> bool:
    """Whether what stands at `place` belongs to `fact`, by each dimension in which the facts told differ."""
    for dimension in _NAMES:
        own = subject(fact, dimension)
        if len({subject(f, dimension) for f in told if subject(f, dimension)}) < 2 or not own:
            continue
        group = _governing(reading, dimension, place)
        if dimension == "target" and _unnamed(reading):  # the other names tell which
            continue
        if len(own) > 1:
            if {n for spot in group for n in spot.names} != set(own):
                return False
        elif not any(own[0] in spot.names for spot in _picked(group, place)):
            return False
    return True


def _unnamed(reading: Reading) -> bool:
    """Whether no class is named, as far as that is not the name of a model or a region, too."""
    others = {(m.start, m.end) for m in reading.mentions if m.dimension != "target"}
    return all((m.start, m.end) in others for m in reading.mentions if m.dimension == "target")


def uncovered(
    reading: Reading,
    told: Sequence[Fact],
    fits: Sequence[Fact],
    place: Place,
    dimensions: Sequence[Dimension] = DIMENSIONS,
) -> bool:
    """Whether a list of names governs `place`, and for one of them, or a combination of them, none of `fits` is there."""
    lists = {d: group for d in dimensions if len(group := _governing(reading, d, place)) > 1}
    numbered = [d for d, group in lists.items() if place.of == len(group) and len(_singles(told, d)) > 1]
    if len(numbered) > 1:  # “the A and B maps of C and D, 1 and 2” can be read in two ways
        return True
    wide = [(d, group) for d, group in lists.items() if d not in numbered]
    return any(
        not any(all(_about(f, d, spot) for (d, _), spot in zip(wide, these, strict=True)) for f in fits)
        for these in product(*(spots for _, spots in wide))
    )


def _singles(told: Sequence[Fact], dimension: Dimension) -> set[str]:
    """What facts are about in a dimension, less those that are about two at once."""
    return {own[0] for f in told if len(own := subject(f, dimension)) == 1}


def _about(fact: Fact, dimension: Dimension, spot: Spot) -> bool:
    own = subject(fact, dimension)
    return not own or any(o in spot.names for o in own)


def _picked(group: Sequence[Spot], place: Place) -> Sequence[Spot]:
    """The one of a list that goes with a number of a list as long; else all of it."""
    return group[place.index : place.index + 1] if place.of > 1 and len(group) == place.of else group


def _governing(reading: Reading, dimension: Dimension, place: Place) -> Sequence[Spot]:
    """The name, or list of names, that governs a place.

    That is the next one where only a preposition leads on to it (“46 % of the”); else the one before; and where things
    of this kind stand before the first name, the one behind.
    """
    groups = reading.groups(dimension)
    if not groups:
        return ()
    if own := [g for g in groups for spot in g if (spot.start, spot.end) == (place.start, place.end)]:
        return own[0]
    later = [g for g in groups if g[0].start >= place.end]
    if later and _leads_on(reading.masked[place.end : later[0][0].start]):
        return later[0]
    earlier = [g for g in groups if g[0].start <= place.start]
    if place.first < groups[0][0].start and later:
        return later[0]
    return earlier[-1] if earlier else ()


def _leads_on(gap: str) -> bool:
    return not gap.strip() or (_BREAKS.search(gap) is None and _LEADS_ON.search(gap) is not None)


def at(start: int, end: int) -> Place:
    """A place that stands for itself."""
    return Place(start, end, start)


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
    """Whether some fact told is about this name and about the names that govern it, each of them where they are a list."""
    about = [f for f in told if mention.name in subject(f, mention.dimension)]
    first = min(m.start for m in reading.mentions if m.dimension == mention.dimension)
    place = Place(mention.start, mention.end, first)
    others = [d for d in DIMENSIONS if d != mention.dimension]
    fits = [f for f in about if all(_fits(reading, told, f, other, mention, place) for other in others)]
    before = DIMENSIONS[: DIMENSIONS.index(mention.dimension)]
    return bool(fits) and not uncovered(reading, told, fits, place, before)


def _fits(
    reading: Reading, told: Sequence[Fact], fact: Fact, dimension: Dimension, mention: Mention, place: Place
) -> bool:
    own = subject(fact, dimension)
    values = {subject(f, dimension) for f in told if subject(f, dimension)}
    if len(values) < 2 or not own or len(own) > 1 or DIMENSIONS.index(dimension) > DIMENSIONS.index(mention.dimension):
        return True
    return any(own[0] in spot.names for spot in _governing(reading, dimension, place))
