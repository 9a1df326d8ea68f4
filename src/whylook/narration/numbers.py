"""Numbers as people write them, told apart by value, unit and qualifier."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

_SUPERSCRIPTS = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
_PLAIN = str.maketrans(_SUPERSCRIPTS, "-0123456789")
_NUMBER = re.compile(
    r"(?P<qualifier>[<>≤≥~≈±]\s*)?"
    r"(?<![\w.])(?P<sign>[−–-]?)(?P<digits>(?:\d{1,3}(?:[,\u202f\u2009]\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
    r"(?:[eE](?P<e>[−+-]?\d+))?(?![A-Za-z_])"
    rf"(?P<power>[{_SUPERSCRIPTS}]+)?"
    rf"(?:\s*[×x·*]\s*10(?:\^(?P<caret>[−-]?\d+)|(?P<raised>[{_SUPERSCRIPTS}]+)))?"
    r"(?:\s*(?P<unit>%|percent\b|percentage points?\b|times\b|px\b|pixels?\b|passes\b|seconds?\b|s\b))?"
)
_UNITS = {
    "percent": "%", "pixel": "px", "pixels": "px", "second": "s", "seconds": "s", "percentage point": "points",
    "percentage points": "points",
}  # fmt: skip
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_COUNT = re.compile(r"\b(" + "|".join(_WORDS[2:]) + r")\b", re.IGNORECASE)
_QUALIFIERS = {"≤": "≤", "≥": "≥", "≈": "~"}


@dataclass(frozen=True)
class Number:
    """A number at [start, end) of a text; two are the same if all but their places are."""

    value: Decimal
    unit: str
    qualifier: str
    start: int
    end: int
    text: str

    def same(self, other: Number) -> bool:
        """Whether both are the same number: value, unit and qualifier."""
        return (self.value, self.unit, self.qualifier) == (other.value, other.unit, other.qualifier)


def numbers(text: str) -> list[Number]:
    """All numbers in a text, in their order: digits with thousands separators, powers of ten, and words from two on."""
    found = []
    for m in _NUMBER.finditer(text):
        value = Decimal(re.sub(r"[,\u202f\u2009]", "", m["digits"]))
        if m["e"]:
            value = value.scaleb(_whole(m["e"]))
        if m["power"]:
            value = value ** _whole(m["power"].translate(_PLAIN))
        if m["caret"] or m["raised"]:
            value = value.scaleb(_whole(m["caret"] or m["raised"].translate(_PLAIN)))
        if m["sign"]:
            value = -value
        unit = (m["unit"] or "").lower()
        qualifier = (m["qualifier"] or "").strip()
        found.append(
            Number(
                value.normalize(),
                _UNITS.get(unit, unit),
                _QUALIFIERS.get(qualifier, qualifier),
                m.start(),
                m.end(),
                m[0].strip(),
            )
        )
    for m in _COUNT.finditer(text):
        found.append(Number(Decimal(_WORDS.index(m[0].lower())), "", "", m.start(), m.end(), m[0]))
    return sorted(found, key=lambda n: n.start)


def unreadable(text: str, found: list[Number]) -> str:
    """Return the first character with a numeric meaning (½, ², Ⅳ) that is in none of the numbers found, or nothing."""
    inside = {i for n in found for i in range(n.start, n.end)}
    for i, character in enumerate(text):
        if i not in inside and unicodedata.numeric(character, None) is not None:
            return character
    return ""


def _whole(text: str) -> int:
    return max(-400, min(400, int(text.replace("−", "-"))))
