"""`whylook metrics`: how maps are measured, made from the registry."""

from __future__ import annotations

from typing import Annotated

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
    from whylook.metrics_catalog import facts, families, words

    if name and json:
        document(facts(METRICS[name]))
    elif name:
        asked = METRICS[name]
        shown = list(words(asked).items())
        table(f"{asked.title} ({name}): {asked.summary}", ("", ""), shown, widths=(10, PAGE - 17))
    elif json:
        document([facts(m) for m in METRICS])
    else:
        out("Metrics (whylook metrics NAME tells more)\n")
        widest = max(len(text) for m in METRICS for text in (m.name, m.title, m.paper))
        columns = ("name, title, paper", "better, range", "chance level")
        for family, question, members in families():
            known = [words(m) for m in members]
            rows = [
                (f"{m.name}\n{m.title}\n{m.paper}", f"{m.better or '–'}\n{w['range']}", w["chance"])
                for m, w in zip(members, known, strict=True)
            ]
            table(f"{family}: {question}", columns, rows, widths=(widest, 13, PAGE - 23 - widest))
        out("Better –: the number describes; neither high nor low is better. Paper none: defined here.")
