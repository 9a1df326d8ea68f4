"""The narrator that needs no one: sentences put together from facts, the same for the same facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from whylook.facts.fact import shown
from whylook.facts.regions import THIRDS
from whylook.narration.claims import Claim
from whylook.narration.reading import plain_name, quoted

if TYPE_CHECKING:
    from whylook.facts.fact import Fact, Facts

_MOST_PAIRS = 6  # of maps that are compared one by one; of more, the most and the least alike
_DENSE = 2.0  # times the picture's density from which a region is worth an interpretation
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
        *_missing(facts),
        *(Claim(f.text, (f.id,), "limit") for f in facts.named("limit")),
    )


def _answers(facts: Facts) -> Iterator[Claim]:
    for f in facts.named("probability"):
        model, label = plain_name(f.subject.models[0]), quoted(f.subject.target)
        if f.value is None:
            if f.subject.rank == 1:
                yield Claim(f"The probability that {model} gives {label} is not assessable.", (f.id,))
        elif f.verdict == "largest":
            yield Claim(f"{model} gives {label} the largest probability, {f.text}.", (f.id,))
        elif f.verdict == "second":
            yield Claim(f"The second class of {model} is {label}, with a probability of {f.text}.", (f.id,))
    for f in facts.named("margin"):
        model = plain_name(f.subject.models[0])
        yield Claim(f"The margin of {model}, the gap in logits to its next class, is {f.text}.", (f.id,))
    for f in facts.named("same class"):
        a, b = map(plain_name, f.subject.models)
        same = "the same class" if f.verdict == "same" else "different classes"
        yield Claim(f"{a} and {b} answer with {same}.", (f.id,))
    for f in facts.named("shown"):
        if f.value is not None and f.value < 1:
            yield Claim(
                f"The part of the picture that {plain_name(f.subject.models[0])} was shown is {f.text}.", (f.id,)
            )


def _by_map(facts: Facts) -> Iterator[tuple[str, list[Fact]]]:
    """Facts of each map, by the first part of their ids."""
    own = [f for f in facts if f.id.startswith("a") and "." in f.id]
    for key, group in groupby(own, key=lambda f: f.id.partition(".")[0]):
        yield key, list(group)


def _map(facts: Facts, key: str, of: Sequence[Fact]) -> Iterator[Claim]:
    subject = of[0].subject
    title, model = shown(facts.titles[subject.methods[0]]), plain_name(subject.models[0])
    name = f"{title} map of {model} for {quoted(subject.target)}"
    known = {f.id.removeprefix(f"{key}."): f for f in of}
    for f in of:
        if f.name == "warning":
            yield Claim(f"A warning comes with the {name}: “{f.text}”.", (f.id,))
        elif f.name == "empty":
            what = "zero everywhere" if f.verdict == "zero" else "empty"
            yield Claim(f"The {name} is {what}: “{f.text}”.", (f.id,))
        elif f.name == "even":
            yield Claim(f"The {name} is the same everywhere.", (f.id,))
    spread = known.get("spread")
    even = spread is not None and spread.verdict == "even"
    if spread is not None and "even" not in known:
        word = "even" if even else "uneven"
        text = f"The spread of the {name} over the picture is {word}: {spread.text} of it lies elsewhere than the area does."
        yield Claim(text, (spread.id,))
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
            yield Claim(f"The relative residual of the {name} is {f.text}.", (f.id,))


def _places(name: str, of: Sequence[Fact]) -> Iterator[Claim]:
    shares = sorted((f for f in of if f.name == "share" and f.subject.region in THIRDS), key=lambda f: -(f.value or 0))
    largest = [f for f in shares if f.verdict == "largest"]
    for f in largest:
        how = f"the largest share of the mass, {f.text}, lies in the {f.subject.region} of the picture, {_than_area(f)}"
        yield Claim(f"In the {name}, {how}.", (f.id,))
    further = [f for f in shares if f.verdict == "more"][:_FURTHER]
    for f in further:
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
            if f.value is not None and f.value >= _DENSE and f.subject.region != f.subject.target:
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
            else:
                yield Claim(f"The {maps} {f.verdict}, with a rank correlation of {f.text}.", (f.id,))


def _missing(facts: Facts) -> Iterator[Claim]:
    for f in facts.named("failure"):
        of = f" of {plain_name(f.subject.models[0])}" if f.subject.models else ""
        by = f" by {shown(facts.titles[f.subject.methods[0]])}" if f.subject.methods else ""
        yield Claim(f"A map{of}{by} is missing: “{f.text}”.", (f.id,))
