"""What is known of each metric, as data and as a page: read from the registry."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from whylook.catalog import grouped, link
from whylook.metrics import METRICS, Metric

_NEEDS = {
    "map": "the map only",
    "mask": "a mask of the picture",
    "other": "a second map",
    "perturbed": "the network, for evaluations of the picture with parts filled in",
    "remake": "the network, to make the map again",
}


def families() -> Iterator[tuple[str, str, list[Metric]]]:
    """Each family's name, the question that it asks, and its metrics."""
    for family, about, metrics in grouped(METRICS):
        yield family, re.split(r"(?<=[.?]) ", about)[0], metrics


def facts(metric: Metric) -> dict[str, Any]:
    """All that is known of a metric, ready for JSON; an end of the range that is infinite is null."""
    return {
        "name": metric.name,
        "title": metric.title,
        "summary": metric.summary,
        "family": metric.family,
        "formula": metric.formula,
        "better": metric.better,
        "range": [None if math.isinf(v) else v for v in metric.range],
        "chance": metric.chance,
        "needs": metric.needs,
        "cost": metric.cost,
        "limits": metric.limits,
        "parameters": dict(metric.parameters),
        "paper": metric.paper,
        "link": None if metric.paper == "none" else link(metric.paper),
    }


def words(metric: Metric) -> dict[str, str]:
    """The facts of a metric as people read them, in the order of its page."""
    low, high = (f"{v:g}".replace("-", "−").replace("inf", "∞") for v in metric.range)
    paper = "none: it is defined here" if metric.paper == "none" else f"{metric.paper}\n{link(metric.paper)}"
    return {
        "formula": metric.formula,
        "better": metric.better or "neither: it describes",
        "range": f"{low} to {high}",
        "chance": metric.chance if isinstance(metric.chance, str) else f"{metric.chance:g}",
        "needs": _NEEDS[metric.needs],
        "cost": metric.cost,
        "limits": metric.limits,
        "parameters": ", ".join(f"{k}={v!r}" for k, v in metric.parameters.items()) or "none",
        "paper": paper,
    }


def markdown() -> str:
    """The page `docs/metrics.md`."""
    lines = [
        "# Metrics",
        "",
        f"All {len(METRICS)} measures of maps, from the registry: `whylook metrics` prints this table, `whylook metrics NAME`",
        "one entry. (Made by `python docs/make_metrics.py`; change the metric, not this page.)",
    ]
    for family, question, metrics in families():
        lines += ["", f"## {family}", "", question, ""]
        lines += ["| metric | better | range | chance level | paper |", "|---|---|---|---|---|"]
        for m in metrics:
            known = words(m)
            paper = m.paper if m.paper == "none" else f"[{m.paper}]({link(m.paper)})"
            better = m.better or "–"
            lines.append(f"| [{m.name}](#{m.name}) | {better} | {known['range']} | {known['chance']} | {paper} |")
        for m in metrics:
            known = words(m)
            lines += ["", f"### {m.name}", "", f"**{m.title}.** {m.summary}", "", f"- Formula: `{m.formula}`"]
            shown = ("better", "range", "chance", "needs", "cost", "limits")
            lines += [f"- {heading.capitalize()}: {known[heading]}" for heading in shown]
            lines += [f"- Parameters: `{known['parameters']}`"] if m.parameters else []
    return "\n".join(lines) + "\n"
