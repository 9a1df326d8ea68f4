"""What a claim names: models, methods, classes and regions, the kinds of facts, and quotations, each with its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Literal

from whylook.facts.fact import shown
from whylook.facts.regions import THIRDS
from whylook.narration.lexicon import BANNED, LEXICON, SPATIAL, WORD

if TYPE_CHECKING:
    from whylook.facts.fact import Fact, Facts

Dimension = Literal["models", "methods", "target", "region", "name"]
DIMENSIONS: tuple[Dimension, ...] = ("models", "methods", "target", "region")
NAME: Dimension = "name"

# How each kind of fact is said; one that is not here is said by its name. Longer matches win over shorter ones.
TERMS = {
    "probability": r"probabilit(?:y|ies)|most probable|most likely|says?|second",
    "margin": r"margins?",
    "shown": r"shown",
    "share": r"mass",
    "density": r"times|densit(?:y|ies)|dense[rst]*",
    "peak": r"peak(?:s|ed)?",
    "agreement": r"agree(?:s|ment)?|disagree(?:s|ment)?|correlat(?:e|es|ions?)",
    "same class": r"same class|different classes",
    "negative share": r"against",
    "models": r"models?|networks?",
    "methods": r"methods?",
    "maps": r"maps?",
    "empty": r"zero everywhere|missing|empty",
    "even": r"same everywhere",
    "warning": r"warnings?",
    "failure": r"missing",
    "note": r"notes?|noted",
    "pairs between models": r"pairs of maps between models",
    "pairs within a model": r"pairs of maps within (?:a|one) model",
}
VERBATIM = ("warning", "failure", "empty", "note", "limit")
COUNTED = frozenset({"models", "methods", "maps", "pictures", "note"})
"""Kinds of facts whose words stand in sentences about others, too."""
FINDING = " finding"
_MASK = "\x00"


@dataclass(frozen=True)
class Mention:
    """Something named at [start, end): in a dimension, by its name there."""

    dimension: Dimension
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Spot:
    """A place [start, end) where something of one dimension is named; one word may be the name of several."""

    names: frozenset[str]
    start: int
    end: int


_JOINED = re.compile(r"\s*(?:(?P<comma>,)|,?\s+and)\s+(?:the\s+)?(?:regions?\s+)?", re.IGNORECASE)


def joined(gaps: Sequence[str]) -> list[bool]:
    """Tell which gaps between neighbors join them to a list: “A, B and C”; commas alone do not."""
    found = [_JOINED.fullmatch(gap) for gap in gaps]
    kept: list[bool] = []
    for i, one in enumerate(found):
        rest = list(takewhile(bool, found[i:]))
        kept.append(one is not None and any(r is not None and not r["comma"] for r in rest))
    return kept


def quoted(label: str) -> str:
    """Return how a class is written in a claim."""
    return f"“{shown(label)}”"


def plain_name(name: str) -> str:
    """Return how a model or a region is written: as it is where no word could be taken for it, else quoted."""
    if not re.fullmatch(r"[A-Za-z][\w.:+/\-]*[\w+]", name):
        return quoted(name)
    taken = _words(name) & (LEXICON | SPATIAL) and not re.search(r"[\d_:]", name)
    return quoted(name) if taken or name.lower() in _methods() or any(p.search(name) for _, p in BANNED) else name


@cache
def _methods() -> frozenset[str]:
    """How methods are written, in lower case: a model that is called like one is written in quotation marks."""
    from whylook.methods import METHODS

    return frozenset(s.lower() for m in METHODS for s in (m.name, m.title))


def _words(text: str) -> set[str]:
    return {w.lower() for w in re.findall(r"[^\W\d_]+", text)}


@dataclass(frozen=True, eq=False)
class Reading:
    """A claim's text, read with the vocabulary of a table of facts.

    Parameters
    ----------
    text : of the claim.
    facts : whose names are known.
    cited : the facts cited, whose words may be quoted.
    """

    text: str
    facts: Facts
    cited: Sequence[Fact]

    @cached_property
    def _found(self) -> tuple[tuple[Mention, ...], str, tuple[str, ...]]:
        """Mentions, the text with them and with quotations masked (places stay), and quotations that are unknown."""
        text, unknown = self.text, []
        mentions: list[Mention] = []
        names = self._surfaces()
        sentences = {shown(f.text) for f in self.cited if is_verbatim(f)}
        for m in re.finditer(r"“([^“”]*)”|\"([^\"]*)\"", text):
            inner = m[1] if m[1] is not None else m[2]
            these = [Mention(d, n, m.start(), m.end()) for d, n, s in names if s == inner]
            these = [t for t in these if t.dimension != "methods"] or these  # what is called like a method is meant
            if inner in sentences:  # it may have the words of a name that is not meant
                these = [t for t in these if any(t.name in subject(f, t.dimension) for f in self.cited)]
            elif not these:
                unknown.append(inner)
                continue
            mentions += these
            text = text[: m.start()] + _MASK * len(m[0]) + text[m.end() :]
        plain = [
            (d, n, s)
            for d, n, s in names
            if d == "methods" or (d == "region" and n in THIRDS) or (d != "target" and plain_name(n) == s)
        ]
        alike: dict[str, list[tuple[Dimension, str]]] = {}
        for d, n, s in plain:  # one name may be that of a method and of a region
            alike.setdefault(s.lower(), []).append((d, n))
        for s, whose in sorted(alike.items(), key=lambda one: -len(one[0])):
            for m in re.finditer(rf"(?<![\w+\-\x00]){re.escape(s)}(?![\w+\-\x00])", text, re.IGNORECASE):
                mentions += [Mention(d, n, m.start(), m.end()) for d, n in whose]
                text = text[: m.start()] + _MASK * len(m[0]) + text[m.end() :]
        return tuple(sorted(mentions, key=lambda m: m.start)), text, tuple(unknown)

    def _surfaces(self) -> list[tuple[Dimension, str, str]]:
        """(dimension, name, as it is written) of everything that the table names."""
        names: list[tuple[Dimension, str, str]] = [("models", m, shown(m)) for m in self.facts.models]
        for m in self.facts.methods:
            names += [("methods", m, s) for s in {m, shown(self.facts.titles.get(m, m))}]
        names += [("target", c, shown(c)) for c in self.facts.classes]
        names += [("region", r, shown(r)) for r in self.facts.regions]
        return names

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """What is named, in the order of the text."""
        return self._found[0]

    @property
    def masked(self) -> str:
        """The text without names and quotations; every place is what it was."""
        return self._found[1]

    @property
    def strangers(self) -> tuple[str, ...]:
        """What stands between quotation marks and is neither a name nor a cited fact's text."""
        return self._found[2]

    @cached_property
    def terms(self) -> tuple[Mention, ...]:
        """Kinds of facts that are named, longest match first where several overlap, in the order of the text."""
        kinds = {f.name for f in self.facts} | set(TERMS)
        hits = [
            Mention("name", kind, m.start(), m.end())
            for kind in sorted(kinds)
            for m in re.finditer(rf"\b(?:{TERMS.get(kind, re.escape(kind))})\b", self.masked, re.IGNORECASE)
        ]
        kept: list[Mention] = []
        for hit in sorted(hits, key=lambda h: h.start - h.end):
            if not any(
                k.start <= hit.start and hit.end <= k.end and (hit.start, hit.end) != (k.start, k.end) for k in kept
            ):
                kept.append(hit)
        return tuple(sorted(kept, key=lambda m: m.start))

    def groups(self, dimension: Dimension) -> tuple[tuple[Spot, ...], ...]:
        """What is named in a dimension, in the order of the text; what “A, B and C” lists stands together."""
        return self._groups[dimension]

    @cached_property
    def _groups(self) -> dict[Dimension, tuple[tuple[Spot, ...], ...]]:
        found: dict[Dimension, tuple[tuple[Spot, ...], ...]] = {}
        for dimension in (*DIMENSIONS, NAME):
            these = [m for m in (self._kinds if dimension == NAME else self.mentions) if m.dimension == dimension]
            places: dict[tuple[int, int], set[str]] = {}
            for m in these:
                places.setdefault((m.start, m.end), set()).add(m.name)
            spots = [Spot(frozenset(names), *place) for place, names in sorted(places.items())]
            lists = [[spot] for spot in spots[:1]]
            for spot, together in zip(
                spots[1:], joined([self.masked[a.end : b.start] for a, b in pairwise(spots)]), strict=True
            ):
                if together:
                    lists[-1].append(spot)
                else:
                    lists.append([spot])
            found[dimension] = tuple(tuple(spots) for spots in lists)
        return found

    @property
    def _kinds(self) -> Sequence[Mention]:
        """Kinds of facts that are named, without “maps” and the like where it is not their number that is told."""
        cited = {f.name for f in self.cited}
        return [t for t in self.terms if t.name in cited or t.name not in COUNTED]

    @cached_property
    def words(self) -> frozenset[str]:
        """Words that are no names, in lower case."""
        return frozenset(w.lower().replace("’", "'") for w in WORD.findall(self.masked))

    def names(self, dimension: Dimension) -> set[str]:
        """What is named in a dimension."""
        return {m.name for m in self.mentions if m.dimension == dimension}


def is_verbatim(fact: Fact) -> bool:
    """Whether the text of a fact is a sentence, which is quoted as it stands."""
    return fact.name in VERBATIM or fact.name.endswith(FINDING)


def subject(fact: Fact, dimension: Dimension) -> tuple[str, ...]:
    """What a fact is about in a dimension: none, one or two names."""
    if dimension == "name":
        return (fact.name,)
    value = getattr(fact.subject, dimension)
    return value if isinstance(value, tuple) else ((value,) if value else ())
