"""A chapter as HTML: no script, no style attribute, math as MathML, which browsers draw without any library."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from whylook.learn.chapter import Chapter, Code, Text

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_SOURCE = re.compile(r"\b(arXiv|doi):((?:\d{4}\.\d{4,5})|(?:10\.\d{4,}/[^\s<>,;)]*\w))")
_HOSTS = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}


def as_html(chapter: Chapter) -> str:
    """Return a chapter's body.

    The n-th experiment (from 0) is an empty `<div class="experiment" data-use="n">`, for the page to fill; sources given
    as `arXiv:…` and `doi:…` are links.
    """
    out = []
    uses = 0
    for piece in chapter.pieces:
        if isinstance(piece, Text):
            out.append(_linked(_markdown().render(piece.markdown)))
        elif isinstance(piece, Code):
            out.append(f'<pre class="code" tabindex="0"><code>{html.escape(piece.python.rstrip())}</code></pre>\n')
        else:
            out.append(f'<div class="experiment" data-use="{uses}"></div>\n')
            uses += 1
    return "".join(out)


def math(latex: str, options: Mapping[str, Any]) -> str:
    """Return a formula as MathML."""
    from latex2mathml.converter import convert

    return str(convert(latex, display="block" if options.get("display_mode") else "inline"))


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    return MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, renderer=math)


def _linked(text: str) -> str:
    def link(found: re.Match[str]) -> str:
        kind, name = found[1], found[2]
        return f'<a href="{_HOSTS[kind]}{name}" rel="noreferrer">{kind}:{name}</a>'

    return _SOURCE.sub(link, text)
