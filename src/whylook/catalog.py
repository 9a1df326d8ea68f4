"""What is known of each method, as data and as a page: read from the registry and the functions' docstrings."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, Protocol, TypeVar

from whylook.methods import METHODS, Method

_SPACE = {
    "input": "the input's shape",
    "pixels": "the input's grid, without channels",
    "layer": "the layer's grid",
    "windows": "one value per position of the window",
}
_CHANNELS = {
    "sum": "drawn as their sum over the channels",
    "abs-max": "drawn as the largest absolute value over the channels",
}
# What the engine takes for a method, beside the method's own parameters.
_ENGINE = {
    "layer": "module or dotted name of the layer that is read, or several; found by itself where it is not given",
    "score": "`logit`, `probability` or `margin`, the log-odds of the class",
    "against": "a second class: why the target rather than this one?",
    "seed": "of the random numbers",
}


class _Entry(Protocol):
    """What stands in a registry by family."""

    @property
    def family(self) -> str: ...
    @property
    def function(self) -> Callable[..., Any]: ...


E = TypeVar("E", bound=_Entry)


def grouped(entries: Iterable[E]) -> Iterator[tuple[str, str, list[E]]]:
    """Each family's name, its module's first line, and its entries, in order of registration."""
    for family, members in groupby(entries, key=lambda e: e.family):
        together = list(members)
        before, _, _ = together[0].function.__module__.rpartition(f".{family}")
        about = getattr(sys.modules.get(f"{before}.{family}"), "__doc__", None) or ""
        yield family, about.partition("\n")[0], together


def families() -> Iterator[tuple[str, str, list[Method]]]:
    """Each family's name, what it has in common, and its methods."""
    return grouped(METHODS)


def facts(method: Method) -> dict[str, Any]:
    """All that is known of a method, ready for JSON."""
    return {
        "name": method.name,
        "title": method.title,
        "summary": method.summary,
        "family": method.family,
        "formula": method.formula,
        "paper": method.paper,
        "link": link(method.paper),
        "cost": method.cost,
        "signed": method.signed,
        "sign": sign(method),
        "space": method.space,
        "map": _SPACE[method.space] + (f", {_CHANNELS[method.channels]}" if method.channels else ""),
        "target": "the class explained" if method.class_specific else "none: the same map for every class",
        "limits": method.limits,
        "prefer": method.prefer,
        "parameters": dict(method.parameters),
        "meanings": {**{name: meaning(method, name) for name in method.parameters}, **_engine(method)},
    }


def sign(method: Method) -> str:
    """What negative values mean."""
    if not method.signed:
        return "0 or more"
    return "signed: negative speaks against the target" if method.class_specific else "signed"


def meaning(method: Method, parameter: str) -> str:
    """What the function's docstring says of one of its parameters, or an empty text."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", _doc(method), re.DOTALL | re.MULTILINE)
    entries = re.findall(r"^(\w[\w, ]*?) : (.*?)(?=^\w|\Z)", section[1] if section else "", re.DOTALL | re.MULTILINE)
    return next((" ".join(text.split()) for names, text in entries if parameter in names.split(", ")), "")


def link(paper: str) -> str:
    """Where to read `arXiv:…` or `doi:…`."""
    kind, _, number = paper.partition(":")
    return f"https://arxiv.org/abs/{number}" if kind == "arXiv" else f"https://doi.org/{number}"


def markdown() -> str:
    """The page `docs/methods.md`."""
    count = len(METHODS)
    lines = [
        "# Methods",
        "",
        f"All {count} attribution methods, from the registry: `whylook methods` prints this table, `whylook methods NAME` one",
        "entry. (Made by `python docs/make_methods.py`; change the method, not this page.)",
    ]
    anchors = _anchors()
    for family, common, methods in families():
        lines += ["", f"## {family}", "", common, "", "| method | sign | cost | paper |", "|---|---|---|---|"]
        lines += [
            f"| [{m.name}](#{anchors[m.name]}) | {'signed' if m.signed else '0 or more'} | {_cell(m.cost)} "
            f"| [{m.paper}]({link(m.paper)}) |"
            for m in methods
        ]
        for m in methods:
            lines += ["", *_entry(m)]
    return "\n".join(lines) + "\n"


def _entry(method: Method) -> list[str]:
    known = facts(method)
    lines = [f"### {method.name}", "", f"**{method.title}.** {known['summary']}", "", f"- Formula: `{method.formula}`"]
    for heading in ("paper", "cost", "sign", "map", "target", "limits", "prefer"):
        text = f"[{method.paper}]({known['link']})" if heading == "paper" else known[heading]
        lines.append(f"- {heading.capitalize()}: {text}")
    own = [f"`{name}={value!r}`: {meaning(method, name)}" for name, value in method.parameters.items()]
    lines += [f"- {text}" for text in own]
    if also := _engine(method):
        lines.append(f"- Also takes {', '.join(f'`{name}`' for name in also)}.")
    return lines


def _engine(method: Method) -> dict[str, str]:
    """The engine's parameters that mean something for this method."""
    means = {"layer": method.needs.layer, "score": method.class_specific, "against": method.class_specific,
             "seed": method.seeded}  # fmt: skip
    return {name: text for name, text in _ENGINE.items() if means[name]}


def _doc(method: Method) -> str:
    return inspect.getdoc(method.function) or ""


def _anchors() -> dict[str, str]:
    """By method, the name that GitHub gives its heading: only letters, digits and hyphens, and a number if it is taken."""
    taken: dict[str, int] = {}
    anchors = {}
    for family, _, methods in families():
        for heading in (family, *(m.name for m in methods)):
            plain = re.sub(r"[^\w-]", "", heading)
            again = taken.get(plain, 0)
            taken[plain] = again + 1
            anchors[heading] = f"{plain}-{again}" if again else plain
    return anchors


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
