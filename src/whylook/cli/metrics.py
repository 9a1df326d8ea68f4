"""`whylook metrics`: how maps are measured, made from the registry."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Annotated, Any

from cyclopts import Parameter

from whylook.cli.terminal import document, out, table

PAGE = 80  # columns that the facts are laid out for, whatever the terminal


def metrics(name: str | None = None, *, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """List the measures of maps, or describe one.

    Parameters
    ----------
    name : str | None
        A metric, for all that is known of it.
    json : bool
        Print one JSON document.
    """
    from whylook.metrics import METRICS

    known = [_facts(m) for m in ([METRICS[name]] if name else METRICS)]
    if json:
        document(known[0] if name else known)
    elif name:
        _page(known[0])
    else:
        out("Metrics (whylook metrics NAME tells more)\n")
        widest = max(len(text) for f in known for text in (f["name"], f["title"], f["paper"]))
        for family, members in groupby(known, key=lambda f: f["family"]):
            rows = [
                (
                    f"{f['name']}\n{f['title']}\n{f['paper']}",
                    f"{f['better'] or '–'}\n{_span(f['range'])}",
                    _number(f["chance"]),
                )
                for f in members
            ]
            columns = ("name, title, paper", "better, range", "chance level")
            table(family, columns, rows, widths=(widest, 13, PAGE - 23 - widest))
        out("Better –: the number describes and is better neither high nor low. Paper none: defined here.")


def _page(f: dict[str, Any]) -> None:
    own = ", ".join(f"{k}={v!r}" for k, v in f["parameters"].items()) or "none"
    shown = [
        ("formula", f["formula"]),
        ("better", f["better"] or "neither: it describes"),
        ("range", _span(f["range"])),
        ("chance", _number(f["chance"])),
        ("needs", _NEEDS[f["needs"]]),
        ("cost", f["cost"]),
        ("limits", f["limits"]),
        ("parameters", own),
        ("paper", f["paper"]),
    ]
    table(f"{f['title']} ({f['name']}): {f['summary']}", ("", ""), shown, widths=(10, PAGE - 17))


_NEEDS = {
    "map": "the map only",
    "mask": "a mask of the picture",
    "other": "a second map",
    "perturbed": "the network, for evaluations of the picture with parts filled in",
    "remake": "the network, to make the map again",
}


def _facts(m: Any) -> dict[str, Any]:
    """All that is known of a metric, ready for JSON, where an end that is infinite is null."""
    return {
        "name": m.name,
        "title": m.title,
        "summary": m.summary,
        "family": m.family,
        "better": m.better,
        "range": [None if math.isinf(v) else v for v in m.range],
        "chance": m.chance,
        "needs": m.needs,
        "formula": m.formula,
        "cost": m.cost,
        "limits": m.limits,
        "parameters": dict(m.parameters),
        "paper": m.paper,
    }


def _span(ends: list[float | None]) -> str:
    low, high = ("∞" if v is None else f"{v:g}".replace("-", "−") for v in ends)
    return f"{'−∞' if ends[0] is None else low} to {high}"


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
