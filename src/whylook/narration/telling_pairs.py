"""Sentences on whether maps agree, and whether they can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from whylook.narration.claims import Claim
from whylook.narration.phrases import Told, Words, alike, by_map, claim, listed, one, together
from whylook.narration.reading import plain_name, quoted

if TYPE_CHECKING:
    from whylook.facts.fact import Fact, Facts

_MOST = 6  # pairs that are told one by one; of more, the most and the least alike
_COUNTED = {"models": "pairs between models", "methods": "pairs within a model"}


def agreement_in_short(facts: Facts) -> Iterator[Claim]:
    """Whether maps of different models, and of different methods, agree: pair by pair, or how many of the pairs do."""
    for pairs, counted in _COUNTED.items():
        these = _pairs(facts, pairs)
        sentences = list(_by_verdict(facts, these, pairs, numbers=False))
        agree = next((f for f in facts.named(counted) if f.verdict == "agree"), None)
        if agree is not None and len(sentences) > 1:
            kind = counted.removeprefix("pairs ").replace(
                "a model", "one model" if len(facts.models) == 1 else "a model"
            )
            how = one(int(agree.value or 0), "agrees", "agree")
            text = f"Of {agree.n} pairs of maps {kind}, {agree.text} {how}."
            yield claim(text, [agree], summary=True)
        else:
            yield from sentences


def agreement(facts: Facts) -> Iterator[Claim]:
    """The same with its numbers."""
    for pairs in _COUNTED:
        these = _pairs(facts, pairs)
        if len(these) > _MOST:
            known = sorted((f for f in these if f.value is not None), key=lambda f: f.value or 0)
            these = [known[-1], known[0]] if len(known) > 1 else known
        yield from _by_verdict(facts, these, pairs, numbers=True)


def _pairs(facts: Facts, pairs: str) -> list[Fact]:
    return [f for f in facts.named("agreement") if len(getattr(f.subject, pairs)) == 2]


def _by_verdict(facts: Facts, these: Sequence[Fact], pairs: str, *, numbers: bool) -> Iterator[Claim]:
    """Pairs of one kind together: of two models the methods, of two methods the models, as far as their verdict is one."""
    words = Words(facts)
    several = len({f.subject.target for f in facts.named("agreement")}) > 1

    def sentence(found: Sequence[Fact]) -> Claim:
        pair, verdict, target = getattr(found[0].subject, pairs), found[0].verdict, found[0].subject.target
        if pairs == "models":
            where = f"between {listed(map(plain_name, pair))}, "
            titles = listed(words.title(f.subject.methods[0]) for f in found)
        else:
            models = listed(plain_name(f.subject.models[0]) for f in found)
            where = f"within {one(len(found), '', 'each of ')}{models}, " if len(facts.models) > 1 else ""
            titles = listed(map(words.title, pair))
        maps = f"{titles} maps" + (f" for {quoted(target)}" if several else "")
        text = f"{where}the agreement of the {maps} is {verdict}"
        if verdict in ("agree", "partly agree"):
            text = f"{where}the {maps} {verdict}"
        if numbers and found[0].value is not None:
            known = one(len(found), "the rank correlation is", "the rank correlations are")
            shown = [f.chance_text for f in found]
            chance = shown[0] if len(set(shown)) == 1 else listed(shown)
            text += f": {known} {listed(f.text for f in found)}, where smooth maps reach {chance} by chance"
        return claim(f"{text[0].upper()}{text[1:]}.", found, summary=not numbers)

    for (_, verdict, _), found in alike(these, lambda f: (getattr(f.subject, pairs), f.verdict, f.subject.target)):
        if numbers and verdict == "not assessable" and len(found) == len(these):
            continue  # the summary has said so
        yield from together(facts, found, sentence)


def believed_in_short(facts: Facts) -> Iterator[Claim]:
    """Verdicts of the trust cards, those alike together."""
    yield from _trust(facts, ("trust-verdict",), summary=True)


def believed(facts: Facts) -> Iterator[Claim]:
    """Verdicts on the questions of the trust cards."""
    asked = dict.fromkeys(k for m in by_map(facts) for k in m.facts if k.startswith("trust-") and k != "trust-verdict")
    yield from _trust(facts, tuple(asked), summary=False)


def _trust(facts: Facts, asked: Sequence[str], *, summary: bool) -> Iterator[Claim]:
    words = Words(facts)

    def sentence(own: Sequence[Told], keys: Sequence[str], verdict: str) -> Claim:
        told = [m.facts[k] for m in own for k in keys if k in m.facts]
        names = listed(dict.fromkeys(f.name for f in told))
        is_ = one(len(keys), "is", "are")
        return claim(f"The {names} of the {words.maps(own)} {is_} {verdict}.", told, summary=summary)

    for _, maps in alike(by_map(facts), lambda m: (m.model, m.target)):
        for found, these in alike(maps, lambda m: tuple(_verdict(m, k) for k in asked)):
            verdicts = dict(zip(asked, found, strict=True))
            for verdict, keys in alike(asked, verdicts.__getitem__):
                if verdict:
                    yield from together(facts, these, partial(sentence, keys=keys, verdict=verdict))


def _verdict(m: Told, key: str) -> str:
    return m.facts[key].verdict if key in m.facts else ""
