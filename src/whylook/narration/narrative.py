"""A narrative: checked sentences under headings, the facts behind them, and what was dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whylook.narration.claims import Claim, Verified
from whylook.narration.reading import FINDING, plain_name

if TYPE_CHECKING:
    from whylook.facts.fact import Fact, Facts

SCHEMA = "whylook-narrative/1"
SUMMARY, ANSWERS, PLACES, AGREEMENT, BELIEVED, COMPARED, LEVELS, MISSING, LIMITS, OTHER = (
    "In short", "What the models answer", "Where the maps lie", "Do the maps agree?", "Can the maps be believed?",
    "How the models compare",
    "What was measured", "Warnings, and what is missing", "What this cannot show", "Further",
)  # fmt: skip
_ANSWERS = ("probability", "margin", "same class", "shown", "models", "methods", "maps", "accuracy", "pictures")


@dataclass(frozen=True, eq=False)
class Narrative:
    """What was told of one picture.

    Parameters
    ----------
    narrator : who told it: `template`, or the name of a language model.
    facts : that it may be about.
    verified : its claims, checked.
    notes : anything to be said of how it came about.
    not_assessable : what the narrator said that the facts do not tell; shown as its words, not checked.
    """

    narrator: str
    facts: Facts
    verified: Verified
    notes: tuple[str, ...] = ()
    not_assessable: tuple[str, ...] = field(default=())

    @property
    def paragraphs(self) -> Mapping[str, tuple[Claim, ...]]:
        """What is shown, by heading, in reading order; a claim's first fact decides where it stands."""
        rows: dict[str, list[Claim]] = {SUMMARY: [], ANSWERS: [], PLACES: []}
        for model in self.facts.models:
            rows[self._of(model)] = []
        rows |= {h: [] for h in (AGREEMENT, BELIEVED, COMPARED, LEVELS, MISSING, OTHER, LIMITS)}
        for claim in self.verified.claims:
            rows[SUMMARY if claim.summary else self._heading(claim)].append(claim)
        return {heading: tuple(claims) for heading, claims in rows.items() if claims}

    def _heading(self, claim: Claim) -> str:
        fact = self.facts[claim.fact_ids[0]]
        if claim.kind == "limit":
            return LIMITS
        if fact.name.endswith(FINDING):
            return COMPARED
        if fact.name in _ANSWERS:
            return ANSWERS
        if fact.name in ("failure", "warning"):
            return MISSING
        if fact.name in ("agreement", "pairs between models", "pairs within a model"):
            return AGREEMENT
        if ".trust-" in fact.id:
            return BELIEVED
        if fact.n is not None and not self.facts.named("maps"):  # over a data set
            return LEVELS
        models = {m for i in claim.fact_ids for m in self.facts[i].subject.models}
        if not models:
            return OTHER
        return self._of(models.pop()) if len(models) == 1 else PLACES

    def _of(self, model: str) -> str:
        return f"Where the maps of {plain_name(model)} lie" if len(self.facts.models) > 1 else PLACES

    def as_dict(self) -> dict[str, Any]:
        """One picture of `narrative.json`: strict JSON, without the name of the picture."""
        return {
            "narrator": self.narrator,
            **self.verified.as_dict(),
            "not_assessable": list(self.not_assessable),
            "notes": list(self.notes),
            "facts": self.facts.as_dict(),
        }

    def text(self) -> str:
        """Plain prose for a terminal."""
        parts = [f"{self.facts.picture}, told by {self.by}"]
        for heading, claims in self.paragraphs.items():
            parts.append(heading + "\n" + " ".join(c.text for c in claims))
        if self.verified.dropped:
            rows = [f"  “{d.claim.text}”\n    {d.reason}" for d in self.verified.dropped]
            parts.append(f"Dropped: {len(rows)} that did not pass the check\n" + "\n".join(rows))
        if self.not_assessable:
            parts.append(
                "Not assessable, in the narrator's own words\n" + "\n".join(f"  {t}" for t in self.not_assessable)
            )
        return "\n\n".join([*parts, *self.notes])

    @staticmethod
    def told(fact: Fact) -> str:
        """A fact in one line, for a footnote."""
        about = f"{fact.about[0].upper()}{fact.about[1:]}"
        if fact.name == "limit":
            return f"{about}."
        known = {"share": "its share of the area: ", "agreement": "by smoothness alone up to "}.get(fact.name)
        chance = f"; {known}{fact.chance_text}" if known and fact.chance_text else ""
        counted = "pictures" if fact.interval is not None else "cells" if known else "pairs"
        n = f"; n = {fact.n} {counted}" if fact.n is not None else ""
        return f"{about}: {fact.text.rstrip('.')}{chance}{n}."

    @property
    def by(self) -> str:
        """Who told it, in words."""
        return "whylook's template" if self.narrator == "template" else self.narrator

    def markdown(self) -> str:
        """The same as Markdown, with the facts behind each sentence as footnotes."""
        lines = [
            f"# {escape(self.facts.picture or 'Narrative')}",
            "",
            f"Told by {escape(self.by)}; every sentence checked.",
        ]
        cited: dict[str, int] = {}
        for heading, claims in self.paragraphs.items():
            told = []
            for claim in claims:
                marks = "".join(f"[^{cited.setdefault(i, len(cited) + 1)}]" for i in claim.fact_ids)
                meaning = "*" if claim.kind == "interpretation" else ""
                told.append(f"{meaning}{escape(claim.text)}{meaning}{marks}")
            lines += ["", f"## {escape(heading)}", "", " ".join(told)]
        if self.verified.dropped:
            lines += ["", "## Dropped", ""]
            lines += [f"- ~~{escape(d.claim.text)}~~ {escape(d.reason)}" for d in self.verified.dropped]
        if self.not_assessable:
            lines += ["", "## Not assessable, in the narrator's own words", ""]
            lines += [f"- {escape(t)}" for t in self.not_assessable]
        lines += ["", *(f"{escape(n)}" for n in self.notes)]
        for i, number in cited.items():
            f = self.facts[i]
            lines.append(f"[^{number}]: `{i}` {escape(self.told(f))}")
        return "\n".join(lines).rstrip() + "\n"


def document(narratives: Sequence[Narrative]) -> dict[str, Any]:
    """Return the content of `narrative.json`."""
    return {"schema": SCHEMA, "pictures": [n.as_dict() for n in narratives]}


def escape(text: str) -> str:
    """Return text of which Markdown and HTML make nothing else, on one line."""
    line = " ".join(text.split())
    for character in "\\`*_[]<>#|~!":
        line = line.replace(character, "\\" + character)
    return line.replace("&", "&amp;")
