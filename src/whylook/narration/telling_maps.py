"""Sentences on where maps lie, those of a model together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from whylook.facts.regions import THIRDS
from whylook.narration.claims import Claim
from whylook.narration.phrases import Told, Words, alike, by_map, claim, listed, one, texts, together
from whylook.narration.reading import plain_name

if TYPE_CHECKING:
    from whylook.facts.fact import Fact, Facts

_Of: TypeAlias = "tuple[Told, Fact]"  # a map and a fact of it
_DENSE = 2.0  # times the picture's density from which a region is worth an interpretation
_MORE = 1.25  # times its area from which a region beside the largest is told
_FURTHER = 2  # regions told beside the one with the largest share
_IN_SHORT = 4  # sentences of the summary on places


def places(facts: Facts) -> Iterator[Claim]:
    """What shows nothing, what is even, and where the largest shares of the others lie, by model or by method."""
    words, maps = Words(facts), by_map(facts)
    for m in maps:
        if (f := m.facts.get("empty")) is not None:
            what = "zero everywhere" if f.verdict == "zero" else "empty"
            yield claim(f"The {words.maps([m])} is {what}: “{f.text}”.", [f], summary=True)
    flat = [m for m in maps if "spread" in m.facts and "even" not in m.facts and m.even]
    for _, these in alike(flat, lambda m: (m.model, m.target)):
        yield from words.told(these, "spread", "The {maps} {is} spread evenly over the picture.", summary=True)
    yield from _largest(facts)


def _largest(facts: Facts) -> list[Claim]:
    words = Words(facts)
    known = [m for m in by_map(facts) if m.largest is not None and not m.even]
    axes: tuple[Callable[[Told], object], ...] = (
        lambda m: (m.model, m.target, _region(m)),
        lambda m: (m.method, m.target, _region(m)),
    )
    choices = [list(alike(known, axis)) for axis in axes]
    shortest = min(choices, key=len)
    made: list[Claim] = []

    def sentence(these: Sequence[Told]) -> Claim:
        shares = [m.largest for m in these if m.largest is not None]
        areas = {f.chance_text for f in shares}
        area = f", on {areas.pop()} of the area" if len(areas) == 1 else ""
        part = f"the largest share of the mass lies in the {_region(these[0])} ({texts(shares)}{area})"
        return claim(f"In the {words.maps(these)}, {part}.", shares, summary=True)

    for _, these in shortest[:_IN_SHORT]:
        made += together(facts, these, sentence)
    return made


def _region(m: Told) -> str:
    return "" if m.largest is None else m.largest.subject.region


def may_read(facts: Facts) -> Iterator[Claim]:
    """Regions that a model may read: those given that are denser than the picture by far, and than the others."""
    words = Words(facts)
    for (model, _), maps in alike(by_map(facts), lambda m: (m.model, m.target)):
        dense: list[tuple[str, Fact, Told]] = []
        for m in maps:
            these = [f for f in m.facts.values() if f.name == "density"]
            for f in these:
                densest = f.verdict == "largest" or len(these) == 1
                if densest and f.value is not None and f.value >= _DENSE and f.subject.region != f.subject.target:
                    dense.append((f.subject.region, f, m))

        def sentence(found: Sequence[tuple[str, Fact, Told]], model: str = model) -> Claim:
            region, own = found[0][0], [m for _, _, m in found]
            name = f"{words.titles(own)} {one(len(own), 'map is', 'maps are')}"
            target = (
                words.tail(own).removeprefix(f" of {plain_name(model)}") if len(facts.models) > 1 else words.tail(own)
            )
            times = texts([f for _, f, _ in found])
            return claim(
                f"{plain_name(model)} may read the region {plain_name(region)}{target}: the {name} {times} as dense there as "
                "over the picture.",
                [f for _, f, _ in found], "interpretation", summary=True,
            )  # fmt: skip

        for _, found in alike(dense, lambda d: d[0]):
            yield from together(facts, found, sentence)


def of_model(facts: Facts, model: str) -> Iterator[Claim]:
    """One model's maps: places, regions given, and what else is known of the maps."""
    words = Words(facts)
    in_short = {i for c in _largest(facts) for i in c.fact_ids}
    for _, maps in alike([m for m in by_map(facts) if m.model == model], lambda m: m.target):
        yield from _peaks(words, maps, in_short)
        yield from _further(words, maps)
        yield from _spread(words, maps)
        yield from _regions(words, maps)
        yield from _numbers(words, maps)


def _peaks(words: Words, maps: Sequence[Told], in_short: set[str]) -> Iterator[Claim]:
    """Where maps are largest, and the largest shares as far as the summary does not tell them."""
    flat = [m for m in maps if "even" in m.facts]
    yield from words.told(flat, "even", "The {maps} {is} the same everywhere.")
    for m in maps:
        if m.largest is not None and not m.even and m.largest.id not in in_short:
            how = f"{m.largest.text}, on {m.largest.chance_text} of the area"
            text = (
                f"In the {words.maps([m])}, the {m.largest.subject.region} holds the largest share of the mass ({how})."
            )
            yield claim(text, [m.largest])
    peaked = [m for m in maps if not m.even and _peak(m) is not None]

    def sentence(peaked: Sequence[Told]) -> Claim:
        parts, first = [], True
        for region, these in alike(peaked, lambda m: m.facts["peak"].subject.region):
            name = words.maps(these) if first else f"{words.titles(these)} {one(len(these), 'map', 'maps')}"
            parts.append(f"the {name}{one(len(these), ' peaks', ' peak') if first else ''} in the {region}")
            first = False
        text = ", and ".join(parts) if len(parts) < 3 else ", ".join(parts[:-1]) + f", and {parts[-1]}"
        return claim(f"{text[0].upper()}{text[1:]}.", [m.facts["peak"] for m in peaked])

    yield from together(words.facts, peaked, sentence)


def _peak(m: Told) -> Fact | None:
    found = m.facts.get("peak")
    return found if found is not None and found.subject.region in THIRDS else None


def _further(words: Words, maps: Sequence[Told]) -> Iterator[Claim]:
    """Regions that hold more than their area beside the one with the most."""

    def more(m: Told) -> list[Fact]:
        found = [f for f in m.thirds if f.verdict == "more" and (f.value or 0) >= _MORE * (f.chance or 1)]
        return [] if m.even else found[:_FURTHER]

    def sentence(these: Sequence[Told]) -> Claim:
        parts = []
        for m in these:
            held = listed(f"the {f.subject.region} ({f.text})" for f in more(m))
            parts.append(f"in {held} of the {words.title(m.method)} map")
        text = f"Further mass lies {listed(parts)}{words.tail(these)}."
        return claim(text, [f for m in these for f in more(m)])

    yield from together(words.facts, [m for m in maps if more(m)], sentence)


def _spread(words: Words, maps: Sequence[Told]) -> Iterator[Claim]:
    known = [m for m in maps if "spread" in m.facts and "even" not in m.facts]
    yield from words.counted(known, "spread", "For an even spread, {each} would have to move.")
    text = "A spread as even as that of the {maps} is consistent with little information on place."
    yield from words.told([m for m in known if m.even], "spread", text, "interpretation")


def _regions(words: Words, maps: Sequence[Told]) -> Iterator[Claim]:
    """Masks that were given: how much of the maps they hold, on how much area, and whether the peaks are inside."""
    regions = dict.fromkeys(
        f.subject.region for m in maps for f in m.facts.values() if f.subject.region and f.subject.region not in THIRDS
    )
    for region in regions:
        name = f"the region {plain_name(region)}"
        holding = [(m, f) for m in maps if (f := m.of("share", region)) is not None]

        def held(these: Sequence[_Of], name: str = name) -> Claim:
            texts_of = {id(m): f.text for m, f in these}
            parts = words.each([m for m, _ in these], lambda m: texts_of[id(m)], "of the mass in")
            area = these[0][1].chance_text
            return claim(f"{name[0].upper()}{name[1:]}, {area} of the area, holds {parts}.", [f for _, f in these])

        def inside(these: Sequence[_Of], name: str = name) -> Claim:
            peak = one(len(these), "peaks", "peak")
            text = f"The {words.maps([m for m, _ in these])} {peak} {these[0][1].verdict} {name}."
            return claim(text, [f for _, f in these])

        for _, these in alike(holding, lambda one: one[1].chance_text):
            yield from together(words.facts, these, held)
        peaks = [(m, f) for m in maps if (f := m.of("peak", region)) is not None]
        for _, these in alike(peaks, lambda one: one[1].verdict):
            yield from together(words.facts, these, inside)
    if len(regions) > 1:
        dense = [(m, f) for m in maps for f in m.facts.values() if f.name == "density" and f.verdict == "largest"]

        def densest(found: Sequence[_Of]) -> Claim:
            are, region = one(len(found), "is", "are"), plain_name(found[0][1].subject.region)
            text = f"Among the regions given, the {words.maps([m for m, _ in found])} {are} densest in {region}."
            return claim(text, [f for _, f in found])

        for _, found in alike(dense, lambda one: one[1].subject.region):
            yield from together(words.facts, found, densest)


def _numbers(words: Words, maps: Sequence[Told]) -> Iterator[Claim]:
    """What counts against the class, what lies on padding, what a sum leaves open."""

    def having(name: str) -> list[Told]:
        return [m for m in maps if name in m.facts and m.facts[name].value is not None]

    for name, of, text in (
        ("against", "of the sum of magnitudes in", "Against the class {counts} {each}."),
        ("padding", "of", "On the padding beside the picture {lies} {each}."),
        (
            "relative-residual", "for",
            "The relative residual, the part of the score that the sum of the values leaves open, is {each}.",
        ),
    ):  # fmt: skip
        yield from words.counted(having(name), name, text, of)


def warnings_and_gaps(facts: Facts) -> Iterator[Claim]:
    """Warnings of maps, and maps that there are not."""
    words = Words(facts)
    for m in by_map(facts):
        if (f := m.facts.get("warning")) is not None:
            yield claim(f"A warning comes with the {words.maps([m])}: “{f.text}”.", [f])
    for f in facts.named("failure"):
        of = f" of {plain_name(f.subject.models[0])}" if f.subject.models else ""
        by = f" by {words.title(f.subject.methods[0])}" if f.subject.methods else ""
        yield claim(f"A map{of}{by} is missing: “{f.text}”.", [f])
