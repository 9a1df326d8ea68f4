"""The rules that a claim has to pass, in the order in which they are tried; the first that fails is the reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from whylook.facts.fact import shown
from whylook.narration.binding import Bound, Place, at, bind, governed, uncovered, unsupported
from whylook.narration.claims import KINDS, Claim
from whylook.narration.comparisons import compared
from whylook.narration.lexicon import ALLOWED_DENIALS, BANNED, HEDGE, LEXICON, MECHANISM, SIGNIFICANT, SPATIAL, WORD
from whylook.narration.numbers import numbers, unreadable
from whylook.narration.reading import COUNTED, DIMENSIONS, FINDING, NAME, Dimension, Reading, is_verbatim, subject

if TYPE_CHECKING:
    from whylook.facts.fact import Fact, Facts

# Words that stand for a verdict: (pattern, kind of fact, the verdict that it must have).
_VERDICTS = (
    (r"partly agree(?:s)?", "agreement", ("partly agree",)),
    (r"(?<!partly )agree(?:s)?", "agreement", ("agree",)),
    (r"disagree(?:s|ment)?", "agreement", ("disagree",)),
    (r"same class", "same class", ("same",)),
    (r"different classes", "same class", ("different",)),
    (r"inside", "peak", ("inside",)),
    (r"outside", "peak", ("outside",)),
    (r"(?<!second )(?:highest|largest|strongest|greatest)|densest|top", "", ("largest",)),
    (r"lowest|smallest|weakest|least", "", ("smallest",)),
    (r"most probable|most likely|first", "probability", ("largest",)),
    (r"predict(?:s|ed|ing)?|label(?:s|ed)|says?|said|saying", "probability", ("largest",)),
    (r"second|runner-up", "probability", ("second",)),
    (r"not assessable", "", ("not assessable",)),
    (r"no detectable difference", "", ("no detectable difference",)),
    (r"zero everywhere", "empty", ("zero",)),
    (r"(?:un)?supported", "", ("supported",)),
    (r"not better than chance", "", ("not better than chance",)),
    (r"even(?:ly)?(?! spread)", "spread", ("even",)),
    (r"uneven(?:ly)?", "spread", ("uneven",)),
)
_PAIRS = {"agreement": ("pairs between models", "pairs within a model")}
_VERDICT = tuple((re.compile(rf"\b(?:{p})\b", re.IGNORECASE), kind, allowed) for p, kind, allowed in _VERDICTS)


_PRONOUN = re.compile(r"\b(?:it|its|itself|they|their|them|themselves|these|those|this|latter|former)\b", re.IGNORECASE)
_OWN_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|holds?|gives?|lies?|puts?|says?|contains?|peaks?|shows?|reach(?:es)?|covers?|"
    r"answers?|receives?|carr(?:y|ies)|assigns?)\b",
    re.IGNORECASE,
)

_ANEW = re.compile(r",|\b(?:and|but|while)\b", re.IGNORECASE)
_TOP = re.compile(r"\btop(?= (?:class|answer|prediction)\b)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Checked:
    """A claim, its facts and what is found in it."""

    claim: Claim
    facts: Facts

    @cached_property
    def cited(self) -> tuple[Fact, ...]:
        """Facts cited, each once."""
        return tuple(self.facts[i] for i in dict.fromkeys(self.claim.fact_ids) if i in self.facts)

    @cached_property
    def reading(self) -> Reading:
        """What its text names."""
        return Reading(self.claim.text, self.facts, self.cited)

    @cached_property
    def told(self) -> tuple[Fact, ...]:
        """Facts cited that the sentence tells: their kind is named, and what they are about."""
        return tuple(f for f in self.cited if self._tells(f))

    def _tells(self, fact: Fact) -> bool:
        if is_verbatim(fact) and f"“{shown(fact.text)}”" in self.claim.text:
            return self._about(fact)
        return fact.name in {t.name for t in self.reading.terms} and self._about(fact)

    def _about(self, fact: Fact) -> bool:
        """Whether everything is named by which this fact differs from others of its kind."""
        kin = self.facts.named(fact.name)
        for dimension in DIMENSIONS:
            own = subject(fact, dimension)
            named = self.reading.names(dimension)
            if set(own) <= named:
                continue
            rest = [d for d in DIMENSIONS if d not in (dimension, "target")] if dimension == "target" else []
            others = [k for k in kin if all(subject(k, d) == subject(fact, d) for d in rest)]
            if dimension == "region" or len(own) > 1 or any(subject(k, dimension) != own for k in others):
                return False
        return True

    @cached_property
    def bound(self) -> tuple[Bound, ...] | str:
        """Every number of the text with the facts that it can be of, or why one has none."""
        return bind(self.reading, self.told)


Check = Callable[[Checked], str | None]


def fault(claim: Claim, facts: Facts) -> str | None:
    """Return why a claim may not be shown, in a few words, or None where it may."""
    it = Checked(claim, facts)
    rules = _LIMIT_RULES if claim.kind == "limit" else _RULES
    return next((reason for rule in rules if (reason := rule(it)) is not None), None)


def _well_formed(it: Checked) -> str | None:
    if it.claim.kind not in KINDS:
        return f"is of the kind “{it.claim.kind}”, which there is not"
    if not it.claim.text.strip():
        return "says nothing"
    if not it.claim.fact_ids:
        return "cites no fact"
    unknown = [i for i in it.claim.fact_ids if i not in it.facts]
    return f"cites “{unknown[0]}”, which is not among the facts" if unknown else None


def _word_for_word(it: Checked) -> str | None:
    """A limit is said as it is written: the smallest change could turn it around."""
    text = " ".join(it.claim.text.split())
    if len(it.cited) == 1 and it.cited[0].name == "limit" and text == " ".join(it.cited[0].text.split()):
        return None
    return "is not one cited limit, word for word"


def _names(it: Checked) -> str | None:
    if it.reading.strangers:
        return f"quotes “{it.reading.strangers[0]}”, which is neither a name nor a text in its facts"
    kinds = {"models": "model", "methods": "method", "target": "class", "region": "region"}
    cited: dict[tuple[int, int], bool] = {}
    what: dict[tuple[int, int], str] = {}
    for m in it.reading.mentions:
        place = (m.start, m.end)  # one name may be that of a class and of a region
        own = any(m.name in subject(f, m.dimension) for f in it.cited)
        cited[place] = cited.get(place, False) or own
        what[place] = f"names the {kinds[m.dimension]} “{shown(m.name)}”, which none of its facts is about"
    return next((what[place] for place, there in cited.items() if not there), None)


def _forbidden(it: Checked) -> str | None:
    text = ALLOWED_DENIALS.sub(lambda m: "\x00" * len(m[0]), it.reading.masked)
    for why, pattern in BANNED:
        if found := pattern.search(text):
            return f"{why} (“{found[0]}”)"
    found = SIGNIFICANT.search(text)
    if found and (found[0].lower().startswith("in") or not any(f.significant for f in it.told)):
        return f"says “{found[0]}”, which no fact of it does"
    return None


def _vocabulary(it: Checked) -> str | None:
    known = {w.lower() for f in it.facts for w in WORD.findall(f.name)} | {"significant", "significantly"}
    words = it.reading.words - ({"top"} if _TOP.search(it.reading.masked) else set())
    if places := sorted(words & SPATIAL):
        return f"names a place (“{places[0]}”) that is not a region of its facts"
    strange = sorted(words - LEXICON - known)
    if strange:
        return f"says “{strange[0]}”, a word that its facts do not give"
    odd = re.search(r"[^\s\w.,;:()’'\-–—−%/+=<>≤≥~≈±×·*^⁻⁰¹²³⁴⁵⁶⁷⁸⁹\x00“”?!]", it.reading.masked)
    return f"holds the character “{odd[0]}”" if odd else None


def _numbers(it: Checked) -> str | None:
    if isinstance(it.bound, str):
        return it.bound
    strange = unreadable(it.reading.masked, numbers(it.reading.masked))
    return f"writes a number in a way that cannot be checked (“{strange}”)" if strange else None


def _tells_something(it: Checked) -> str | None:
    if not it.told:
        return "does not say what its facts are about"
    if sum(f.name in _PAIRS["agreement"] for f in it.told) > 1:
        return "counts more than one thing, which cannot be told apart"
    quoted = {f.text for f in it.told if f.name.endswith(FINDING)}
    if len(quoted) > 1:
        return "quotes more than one finding, which cannot be told apart"
    for group in it.reading.groups(NAME):
        for spot in group:
            if spot.names & COUNTED:
                continue
            names = spot.names | {n for name in spot.names for n in _PAIRS.get(name, ())}
            told = [f for f in it.told if {f.name, f.name.removesuffix(FINDING)} & names]
            word = it.claim.text[spot.start : spot.end]
            if not told:
                return f"speaks of “{word}” without a fact about it"
            place = at(spot.start, spot.end)
            here = [f for f in told if governed(it.reading, told, f, place)]
            if not here or uncovered(it.reading, told, here, place):
                return f"puts “{word}” with a name that its facts do not put it with"
    return unsupported(it.reading, it.told)


def _verdicts(it: Checked) -> str | None:
    for pattern, kind, allowed in _VERDICT:
        fits = [f for f in it.told if f.verdict in allowed and (not kind or f.name in (kind, *_PAIRS.get(kind, ())))]
        for found in pattern.finditer(it.reading.masked):
            if not all(_holds(it, fits, place) for place in _reach(it.reading, found)):
                return f"says “{found[0]}”, which its facts do not"
    return None


def _holds(it: Checked, fits: Sequence[Fact], place: Place) -> bool:
    here = [f for f in fits if governed(it.reading, it.told, f, place)]
    return bool(here) and not uncovered(it.reading, it.told, here, place, (*DIMENSIONS, NAME))


def _reach(reading: Reading, word: re.Match[str]) -> Iterator[Place]:
    """Places for which a verdict word stands: its own, and the names behind it that have no verb or word of their own.

    “The largest share lies in the center by A, and in the upper left by B” says it of both.
    """
    text = reading.masked
    yield at(*word.span())
    behind = [m for m in reading.mentions if m.start >= word.end()]
    previous = word.end()
    for number, mention in enumerate(behind):
        gap = text[previous : mention.start]
        after = min((m.start for m in behind if m.start >= mention.end), default=len(text))
        verb_of_its_own = (_OWN_VERB.search(gap) and number > 0) or (
            _ANEW.search(gap) and _OWN_VERB.search(text, mention.end, after)
        )
        if verb_of_its_own or re.search(r"[;:]", gap):
            return
        if not any(p.search(text, mention.end, after) for p, _, _ in _VERDICT):
            yield Place(
                mention.start, mention.end, min(m.start for m in reading.mentions if m.dimension == mention.dimension)
            )
        previous = mention.end


def _lists(it: Checked) -> str | None:
    """What lists and pronouns stand for has to be plain."""
    groups = {d: it.reading.groups(d) for d in DIMENSIONS}
    text = it.reading.masked
    for group in (g for of in groups.values() for g in of):
        if len({spot.names for spot in group}) < len(group):
            return f"names “{it.claim.text[group[0].start : group[0].end].strip('“”')}” more than once in a list"
    if re.search(r"\bboth\b", text, re.IGNORECASE) and not any(len(g) == 2 for d in DIMENSIONS for g in groups[d]):
        return "says “both” without naming two"
    both: tuple[Dimension, ...] = ("models", "methods")
    listed = [d for d in both if any(len(g) > 1 for g in groups[d])]
    pairs = {d for f in it.told if f.name == "agreement" for d in listed if len(subject(f, d)) == 2}
    if len(listed) == 2 and pairs:
        before = [text[: g[0].start] for d in pairs for g in groups[d] if len(g) > 1]
        if pairs == {"models"} and not any(re.search(r"\bbetween\s+$", b, re.IGNORECASE) for b in before):
            return "does not say whether models or methods are meant (“between A and B”)"
        if pairs == {"methods"} and not re.search(r"\b(?:within|each)\b", text, re.IGNORECASE):
            return "does not say whether models or methods are meant (“within each of A and B”)"
    for pronoun in _PRONOUN.finditer(text):
        for dimension in DIMENSIONS:
            before_it = {n for g in groups[dimension] if g[0].start < pronoun.start() for n in g[0].names}
            if sum(g[0].start < pronoun.start() for g in groups[dimension]) > 1 and len(before_it) > 1:
                return f"says “{pronoun[0]}”, which may stand for one or the other"
    return None


def _comparisons(it: Checked) -> str | None:
    return None if isinstance(it.bound, str) else compared(it.reading, it.told, it.bound)


def _most(it: Checked) -> str | None:
    for found in re.finditer(r"\bmost\b(?! probable| likely)", it.reading.masked, re.IGNORECASE):
        return f"puts an amount in a word that cannot be checked (“{found[0]}”)"
    return None


def _meaning(it: Checked) -> str | None:
    hedged = HEDGE.search(it.reading.masked)
    mechanism = MECHANISM.search(it.reading.masked)
    if it.claim.kind == "interpretation" and not hedged:
        return "gives a meaning without saying that it may be another (“may”, “might”, “could”, “is consistent with”)"
    if mechanism is None:
        return None
    if it.claim.kind != "interpretation":
        return f"says what the model does (“{mechanism[0]}”), which is an interpretation, not an observation"
    told = {r for f in it.told for d in DIMENSIONS for r in subject(f, d)}
    elsewhere = {(m.start, m.end) for m in it.reading.mentions if m.dimension != "region" and m.name in told}
    regions = [m for m in it.reading.mentions if m.dimension == "region"]
    named = {
        m.name for m in regions if (m.start, m.end) not in elsewhere or m.name in {f.subject.region for f in it.told}
    }
    dense = {f.subject.region for f in it.told if f.name in ("share", "density") and f.verdict in ("more", "largest")}
    if not named or not named <= dense:
        return f"says “{mechanism[0]}” without a region that holds more of the map than of the area"
    return None


_RULES: tuple[Check, ...] = (
    _well_formed, _names, _forbidden, _vocabulary, _numbers, _tells_something, _verdicts, _most, _lists, _comparisons, _meaning,
)  # fmt: skip
_LIMIT_RULES: tuple[Check, ...] = (_well_formed, _word_for_word)


def rules() -> Iterator[str]:
    """Names of the rules, in their order."""
    return (r.__name__.strip("_").replace("_", " ") for r in _RULES)
