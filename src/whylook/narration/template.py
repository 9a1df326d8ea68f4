"""The narrator that needs no one: sentences put together from facts, the same for the same facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from whylook.facts.fact import shown
from whylook.facts.regions import THIRDS
from whylook.narration.claims import Claim
from whylook.narration.reading import FINDING, plain_name, quoted

if TYPE_CHECKING:
    from whylook.facts.fact import Fact, Facts

_MOST_PAIRS = 6  # of maps that are compared one by one; of more, the most and the least alike
_DENSE = 2.0  # times the picture's density from which a region is worth an interpretation
_MORE = 1.25  # times its area from which a region beside it is told
_FURTHER = 2  # regions told beside the one with the largest share


def template(facts: Facts) -> tuple[Claim, ...]:
    """Tell the facts in sentences.

    Parameters
    ----------
    facts : of one picture.

    Returns
    -------
    Claims, in reading order: what the models answer, where each map lies, whether maps agree, what is missing, limits.
    """
    return (
        *_answers(facts),
        *(claim for key, of in _by_map(facts) for claim in _map(facts, key, of)),
        *_agreement(facts),
        *_compared(facts),
        *_missing(facts),
        *(Claim(f.text, (f.id,), "limit") for f in facts.named("limit")),
    )


def _answers(facts: Facts) -> Iterator[Claim]:
    answers = facts.named("probability")
    for model in facts.models:
        name = plain_name(model)
        top = [f for f in answers if f.subject.models == (model,)]
        if top and top[0].value is None:
            text = f"The probability that {name} gives {quoted(top[0].subject.target)} is not assessable."
            yield Claim(text, (top[0].id,))
        elif len(top) > 1 and top[1].value is not None and top[0].subject.target != top[1].subject.target:
            first, second = (quoted(f.subject.target) for f in top[:2])
            text = (
                f"{name} gives {first} the largest probability, {top[0].text}, and {second} the second, {top[1].text}."
            )
            yield Claim(text, (top[0].id, top[1].id))
        elif top:
            text = f"{name} gives {quoted(top[0].subject.target)} the largest probability, {top[0].text}."
            yield Claim(text, (top[0].id,))
        for f in facts.named("margin"):
            if f.subject.models == (model,):
                yield Claim(f"The margin of {name}, the gap in logits to its next class, is {f.text}.", (f.id,))
        for f in facts.named("shown"):
            if f.subject.models == (model,) and f.value is not None and f.value < 1:
                yield Claim(f"The part of the picture that {name} was shown is {f.text}.", (f.id,))
    for f in facts.named("same class"):
        a, b = f.subject.models
        if a == facts.models[0]:  # the others follow from these, or can be seen above
            same = "the same class" if f.verdict == "same" else "different classes"
            yield Claim(f"{plain_name(a)} and {plain_name(b)} answer with {same}.", (f.id,))


def _by_map(facts: Facts) -> Iterator[tuple[str, list[Fact]]]:
    """Facts of each map, by the first part of their ids."""
    own = [f for f in facts if f.id.startswith("a") and "." in f.id]
    for key, group in groupby(own, key=lambda f: f.id.partition(".")[0]):
        yield key, list(group)


def _map(facts: Facts, key: str, of: Sequence[Fact]) -> Iterator[Claim]:
    subject = of[0].subject
    title, model = shown(facts.titles[subject.methods[0]]), plain_name(subject.models[0])
    short = f"{title} map" + (f" of {model}" if len(facts.models) > 1 else "")
    whole = f"{short} for {quoted(subject.target)}"
    alike = (f.subject for f in facts if (f.subject.models, f.subject.methods) == (subject.models, subject.methods))
    name = whole if len({s.target for s in alike}) > 1 else short
    known = {f.id.removeprefix(f"{key}."): f for f in of}
    for f in of:
        if f.name == "warning":
            yield Claim(f"A warning comes with the {whole}: “{f.text}”.", (f.id,))
        elif f.name == "empty":
            what = "zero everywhere" if f.verdict == "zero" else "empty"
            yield Claim(f"The {whole} is {what}: “{f.text}”.", (f.id,))
        elif f.name == "even":
            yield Claim(f"The {whole} is the same everywhere.", (f.id,))
    spread = known.get("spread")
    even = spread is not None and spread.verdict == "even"
    if spread is not None and "even" not in known:
        how = "evenly" if even else "unevenly"
        moved = f"{spread.text} of it would have to move for an even spread"
        yield Claim(f"The {whole} is spread {how} over the picture: {moved}.", (spread.id,))
        if even:
            text = f"A spread as even as that of the {name} is consistent with a map that carries little information on place."
            yield Claim(text, (spread.id,), "interpretation")
    if not even:
        yield from _places(name, of)
    yield from _regions(model, title, name, of)
    for f in of:
        if f.name == "negative share":
            yield Claim(f"Of the sum of magnitudes in the {name}, {f.text} counts against the class.", (f.id,))
        elif f.name == "padding":
            yield Claim(f"On the padding beside the picture lies {f.text} of the {name}.", (f.id,))
        elif f.name == "relative residual" and f.value is not None:
            what = "which is the part of the score that the sum of its values leaves open"
            yield Claim(f"The relative residual of the {name}, {what}, is {f.text}.", (f.id,))
    for f in of:
        if "trust-" in f.id:
            yield Claim(f"The {f.name} of the {name} is {f.verdict}.", (f.id,))


def _places(name: str, of: Sequence[Fact]) -> Iterator[Claim]:
    shares = sorted((f for f in of if f.name == "share" and f.subject.region in THIRDS), key=lambda f: -(f.value or 0))
    largest = [f for f in shares if f.verdict == "largest"]
    for f in largest:
        how = f"the largest share of the mass, {f.text}, lies in the {f.subject.region} of the picture, {_than_area(f)}"
        yield Claim(f"In the {name}, {how}.", (f.id,))
    further = [f for f in shares if f.verdict == "more" and (f.value or 0) >= _MORE * (f.chance or 1)]
    for f in further[:_FURTHER]:
        yield Claim(f"In the {name}, the {f.subject.region} holds {f.text} of the mass, {_than_area(f)}.", (f.id,))
    for f in of:
        if f.name == "peak" and f.subject.region in THIRDS:
            yield Claim(f"The {name} peaks in the {f.subject.region} of the picture, at {f.text}.", (f.id,))


def _than_area(fact: Fact) -> str:
    if fact.text == fact.chance_text:
        return f"as much as its {fact.chance_text} of the area"
    more = fact.value is not None and fact.chance is not None and fact.value > fact.chance
    return f"{'more' if more else 'less'} than its {fact.chance_text} of the area"


def _regions(model: str, title: str, name: str, of: Sequence[Fact]) -> Iterator[Claim]:
    """Masks that were given: how much of the map they hold, how dense it is there, what that may mean."""
    for f in of:
        region = plain_name(f.subject.region) if f.subject.region else ""
        if not region or f.subject.region in THIRDS:
            continue
        if f.name == "share":
            yield Claim(f"In the {name}, the region {region} holds {f.text} of the mass, {_than_area(f)}.", (f.id,))
        elif f.name == "density":
            dense = f"The {name} is {f.text} as dense in the region {region} as over the picture."
            if f.verdict == "largest":
                dense = f"Among the regions given, the {name} is densest in {region}, at {f.text} the density of the picture."
            yield Claim(dense, (f.id,))
            densest = f.verdict == "largest" or sum(other.name == "density" for other in of) == 1
            if densest and f.value is not None and f.value >= _DENSE and f.subject.region != f.subject.target:
                text = (
                    f"{model} may read the region {region}: the {name} is {f.text} as dense there as over the picture."
                )
                yield Claim(text, (f.id,), "interpretation")
        elif f.name == "peak":
            yield Claim(f"The peak of the {name} lies {f.verdict} the region {region}.", (f.id,))


def _agreement(facts: Facts) -> Iterator[Claim]:
    for pairs in ("models", "methods"):
        these = [f for f in facts.named("agreement") if len(getattr(f.subject, pairs)) == 2]
        if len(these) > _MOST_PAIRS:
            known = sorted((f for f in these if f.value is not None), key=lambda f: f.value or 0)
            these = [known[-1], known[0]] if len(known) > 1 else known
        for f in these:
            models = " and ".join(map(plain_name, f.subject.models))
            titles = " and ".join(shown(facts.titles[m]) for m in f.subject.methods)
            maps = f"{titles} maps of {models} for {quoted(f.subject.target)}"
            if f.value is None:
                yield Claim(f"The agreement of the {maps} is not assessable.", (f.id,))
                continue
            how = f"the {maps} {f.verdict}"
            if f.verdict not in ("agree", "partly agree"):
                how = f"the agreement of the {maps} is {f.verdict}"
            chance = f"where smooth maps reach {f.chance_text} by chance"
            yield Claim(f"{how[0].upper()}{how[1:]}, with a rank correlation of {f.text}, {chance}.", (f.id,))


def _compared(facts: Facts) -> Iterator[Claim]:
    """Models over a data set: how often each is right, means of metrics, and what was found of each two."""
    for f in facts:
        if f.name == "pictures":
            yield Claim(f"The number of pictures on which the maps are compared is {f.text}.", (f.id,))
        elif f.interval is not None or f.name == "accuracy":
            maps = f" in the {shown(facts.titles[f.subject.methods[0]])} maps" if f.subject.methods else ""
            of = f"The {f.name} of {plain_name(f.subject.models[0])}{maps}"
            if f.value is None:
                yield Claim(f"{of} is not assessable.", (f.id,))
                continue
            interval = f" (95 % interval {f.interval_text})" if f.interval_text else ""
            chance = f", where chance is {f.chance_text}" if f.chance_text else ""
            yield Claim(f"{of} is {f.text} on average{interval}{chance}.", (f.id,))
        elif f.name.endswith(FINDING):
            models = " and ".join(map(plain_name, f.subject.models))
            yield Claim(f"The {f.name} for {models} is: “{f.text}”.", (f.id,))


def _missing(facts: Facts) -> Iterator[Claim]:
    for f in facts.named("failure"):
        of = f" of {plain_name(f.subject.models[0])}" if f.subject.models else ""
        by = f" by {shown(facts.titles[f.subject.methods[0]])}" if f.subject.methods else ""
        yield Claim(f"A map{of}{by} is missing: “{f.text}”.", (f.id,))
