"""Chapters of the tutorial: Markdown files with a head (title, part, order, slug), code and experiments in fences.

A file begins with lines `name: value` between two lines `---`. A fence ```` ```python ```` is code that runs; a fence
```` ```experiment NAME {"parameter": value} ```` is an experiment with other settings than its defaults, and holds nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from whylook.errors import UsageError

PARTS = {
    "introduction": "Introduction",
    "theory": "Theory",
    "uses": "Uses",
    "pitfalls": "Pitfalls",
    "trust": "Trust",
}
_HEAD = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_FENCE = re.compile(r"^```(\w+)[ ]*([^\n]*)\n(.*?)^```[ ]*$\n?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Text:
    """Markdown with `$…$` and `$$…$$` math."""

    markdown: str


@dataclass(frozen=True)
class Code:
    """Python that runs, after the code before it in the same chapter."""

    python: str


@dataclass(frozen=True)
class Use:
    """An experiment, and the parameters that differ from its defaults."""

    experiment: str
    parameters: Mapping[str, Any]


Piece = Text | Code | Use


@dataclass(frozen=True)
class Chapter:
    """A chapter.

    Parameters
    ----------
    slug : its name in addresses.
    title : of the chapter.
    part : one of `PARTS`.
    order : its place among all chapters.
    pieces : what it is made of, from above.
    """

    slug: str
    title: str
    part: str
    order: int
    pieces: tuple[Piece, ...]

    @property
    def uses(self) -> tuple[Use, ...]:
        """Its experiments, in order."""
        return tuple(p for p in self.pieces if isinstance(p, Use))


def read(text: str) -> Chapter:
    """Read a chapter from the text of its file.

    Raises
    ------
    ValueError
        If its head is missing or incomplete, its part is none of `PARTS`, or a fence is not known.
    """
    head = _HEAD.match(text)
    if head is None:
        raise ValueError("A chapter begins with its head: lines of name: value between two lines of ---.")
    known = dict(line.split(": ", 1) for line in head[1].splitlines())
    slug, title, part, order = (known[name] for name in ("slug", "title", "part", "order"))
    if part not in PARTS:
        raise ValueError(f"The part {part!r} of {slug} is none of {', '.join(PARTS)}.")
    return Chapter(slug, title, part, int(order), tuple(_pieces(text[head.end() :], slug)))


def _pieces(body: str, slug: str) -> list[Piece]:
    found: list[Piece] = []
    at = 0
    for fence in _FENCE.finditer(body):
        _add_text(found, body[at : fence.start()])
        kind, rest, inside = fence.groups()
        if kind == "python":
            found.append(Code(inside))
        elif kind == "experiment":
            name, _, parameters = rest.partition(" ")
            found.append(Use(name, json.loads(parameters) if parameters.strip() else {}))
        else:
            raise ValueError(f"{slug} has a fence {kind!r}; there are python and experiment.")
        at = fence.end()
    _add_text(found, body[at:])
    return found


def _add_text(found: list[Piece], markdown: str) -> None:
    if markdown.strip():
        found.append(Text(markdown.strip("\n")))


@cache
def chapters() -> tuple[Chapter, ...]:
    """All chapters, in order."""
    there = [f for f in files("whylook.learn").joinpath("chapters").iterdir() if f.name.endswith(".md")]
    return tuple(sorted((read(f.read_text("utf-8")) for f in there), key=lambda c: c.order))


def chapter(slug: str) -> Chapter:
    """The chapter of that name.

    Raises
    ------
    UsageError
        If there is none; the message names those there are.
    """
    found = {c.slug: c for c in chapters()}
    if slug not in found:
        raise UsageError(f"There is no chapter {slug!r}; there are {', '.join(found)}.")
    return found[slug]
