"""Reading what a language service wrote: claims out of JSON, of JSON wrapped in prose, or of JSON that is still coming."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from whylook.narration.claims import KINDS, Claim

_MOST = 200  # claims that are read from one answer
_TRIES = 200  # opening brackets that are tried
_LONGEST = 1200  # characters of a claim; the longest true ones have a fifth of it
_START = re.compile(r'"claims"\s*:\s*\[')
_OPENING = re.compile(r"[{\[]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
_DECODER = json.JSONDecoder()


class Unreadable(ValueError):  # noqa: N818 - it is a statement about an answer, not a mishap
    """An answer in which no claims can be found."""


@dataclass(frozen=True)
class Answer:
    """What an answer holds.

    Parameters
    ----------
    claims : in the order they were written.
    not_assessable : what the service says cannot be known from the facts; it is shown as its words, not as a finding.
    """

    claims: tuple[Claim, ...]
    not_assessable: tuple[str, ...] = ()


def read(text: str) -> Answer:
    """Return the claims in an answer, whether it is plain JSON, fenced, between sentences, or a bare list of claims.

    Raises
    ------
    Unreadable
        If there is no JSON in it that holds a list of claims.
    """
    for found in _values(text):
        items = found.get("claims") if isinstance(found, dict) else found
        if not isinstance(items, list):
            continue
        claims = tuple(c for c in map(claim, items[:_MOST]) if c is not None)
        if not claims and items:
            continue
        others = found.get("not_assessable") if isinstance(found, dict) else None
        if not claims and not isinstance(found, dict):
            continue
        return Answer(claims, tuple(_line(o) for o in _texts(others)))
    raise Unreadable("There are no claims in the answer.")


def _values(text: str) -> Iterator[Any]:
    """Every JSON object or list in a text that is not part of another one, first to last."""
    at = 0
    for _ in range(_TRIES):
        found = _OPENING.search(text, at)
        if found is None:
            return
        try:
            value, at = _DECODER.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            at = found.end()
        else:
            yield value


def claim(item: Any) -> Claim | None:
    """Return one item of a list of claims as a claim, or None where it has no text.

    Its text is one line without control characters and marks that turn the direction of writing; a kind that there is
    not becomes `observation`, the strictest.
    """
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        return None
    text = _line(item["text"])
    if not text:
        return None
    kind = item.get("kind")
    ids = tuple(_line(i) for i in _texts(item.get("fact_ids")))
    return Claim(text, ids, kind if kind in KINDS else "observation")


def _texts(value: Any) -> list[str]:
    items = [value] if isinstance(value, str) else value if isinstance(value, Sequence) else []
    return [i for i in items[:_MOST] if isinstance(i, str) and i.strip()]


def _line(text: str) -> str:
    """One line of what may be shown on a terminal: no escape sequences, nothing that hides or turns characters."""
    return " ".join(_CONTROLS.sub(" ", text[:_LONGEST]).split())


class Arriving:
    """Claims out of an answer that arrives in pieces: each as soon as its last brace is there."""

    def __init__(self) -> None:
        self.text = ""
        self._at: int | None = None
        self._count = 0

    def feed(self, piece: str) -> list[Claim]:
        """Add a piece of the answer; return the claims that it completes."""
        self.text += piece
        if self._at is None:
            found = _START.search(self.text)
            if found is None:
                return []
            self._at = found.end()
        elif "}" not in piece:
            return []
        out = []
        while self._count < _MOST:
            start = self._at + len(self.text[self._at :]) - len(self.text[self._at :].lstrip(" \t\r\n,"))
            if not self.text.startswith("{", start):
                break
            try:
                item, self._at = _DECODER.raw_decode(self.text, start)
            except (ValueError, RecursionError):
                break
            self._count += 1
            if (made := claim(item)) is not None:
                out.append(made)
        return out
