"""The report as one self-contained HTML document."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from whylook.errors import UsageError
from whylook.report.payload import SCHEMA as VIEW
from whylook.report.payload import fact_rows, payload, told
from whylook.report.static import static as static

if TYPE_CHECKING:
    from whylook.explanation import Explanation
    from whylook.narration.narrative import Narrative
    from whylook.report.section import Section

_PAGE_STYLE = "html,body{margin:0}#whylook{min-height:100vh}\n"
_START = """
mount(document.getElementById("whylook"), JSON.parse(document.getElementById("whylook-data").textContent));
"""


def page(what: Iterable[Explanation | Section], title: str | None = None) -> str:
    """Return the report: one HTML document that needs no other file and fetches nothing.

    Its content security policy allows the one script and the one style sheet in it, by their hashes, and
    pictures from the file itself.

    Parameters
    ----------
    what : explanations, or sections (heading, prose, table) that hold them.
    title : of the page; by default the names of the pictures.
    """
    return _page(payload(what, title))


def retold(report: str, narratives: Sequence[Narrative]) -> str:
    """Return a report with other sentences in it, and all else as it was.

    Parameters
    ----------
    report : the HTML of `page` with one section per picture, as `whylook explain` makes it.
    narratives : one per section.

    Raises
    ------
    UsageError
        If it is no such report.
    """
    found = re.search(r'<script type="application/json" id="whylook-data">(.*?)</script>', report, re.DOTALL)
    try:
        data = json.loads(found[1]) if found else {}
        parts = data.get("sections", [])
        whole = data.get("schema") == VIEW and [len(p["explanations"]) for p in parts] == [1] * len(narratives)
    except (ValueError, LookupError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise UsageError("the report is none that whylook explain wrote, or is of another version")
    for part, narrative in zip(parts, narratives, strict=True):
        part["narrative"] = told(narrative)
        part["explanations"][0]["facts"] = fact_rows(narrative.facts)
    return _page(data)


def _page(data: dict[str, Any]) -> str:
    style = _PAGE_STYLE + asset("viewer.css")
    script = asset("viewer.js") + _START
    parts = {
        "title": html.escape(data["title"]),
        "style": style,
        "script": script,
        "style_hash": csp_hash(style),
        "script_hash": csp_hash(script),
        "data": embed(data),
    }
    return _filled("page.html", parts)


def still_page(title: str, kind: str, style: str, body: str) -> str:
    """Return a page that runs nothing: one HTML document that needs no other file and fetches nothing.

    Its content security policy allows its one style sheet, by its hash, and pictures from the file itself.

    Parameters
    ----------
    title : as plain text.
    kind : class of its main element, by which `style` knows it.
    style : what it has beyond the report's style sheet.
    body : HTML.
    """
    whole = "html,body{margin:0}\n" + asset("viewer.css") + style
    parts = {"title": html.escape(title), "kind": kind, "style": whole, "style_hash": csp_hash(whole), "body": body}
    return _filled("still.html", parts)


def _filled(template: str, parts: Mapping[str, str]) -> str:
    # One pass, so that a value that looks like a placeholder stays what it is.
    text = re.sub(r"\{(\w+)\}", lambda found: parts[found[1]], asset(template))
    # A lone surrogate (from a file name that is not UTF-8) can be in a string but not in a file.
    return text.encode("utf-8", "replace").decode("utf-8")


def asset(name: str, room: str = "whylook.report") -> str:
    """Return the text of a file that comes with a package, by default this one (`viewer.js`, `viewer.css`, …)."""
    return files(room).joinpath(name).read_text("utf-8")


def embed(data: object) -> str:
    """Return strict JSON that can stand inside a script element: no `<` that could end it, no line separators."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def csp_hash(text: str) -> str:
    """Return what a content security policy calls this style sheet or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
