"""`whylook models` and `whylook methods`: what there is, made from the registries."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from whylook.cli.terminal import document, out, table

PAGE = 80  # columns that the methods' facts are laid out for, whatever the terminal; 3 per column and 1 are its frame


def methods(name: str | None = None, *, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """List the attribution methods, or describe one.

    Parameters
    ----------
    name : str | None
        A method, for all that is known of it.
    json : bool
        Print one JSON document.
    """
    from whylook.catalog import facts, families
    from whylook.methods import METHODS

    if name and json:
        document(facts(METHODS[name]))
    elif name:
        page(facts(METHODS[name]))
    elif json:
        document([facts(m) for m in METHODS])
    else:
        out("Attribution methods (whylook methods NAME tells more)\n")
        widest = max(len(m.name) for m in METHODS)
        for family, common, members in families():
            rows = [(f"{m.name}\n{m.title}", "±" if m.signed else "+", f"{m.cost}\n{m.paper}") for m in members]
            table(
                f"{family}: {common}",
                ("name, title", "sign", "cost, paper"),
                rows,
                widths=(widest, 4, PAGE - 14 - widest),
            )
        out(
            "Sign: +, the finished map is 0 or more; ±, it has negative values, too. Costs are for one class of one picture."
        )


def page(known: dict[str, Any]) -> None:
    """Print all that is known of one method."""
    shown = [(heading, known[heading]) for heading in ("formula", "cost", "sign", "map", "target", "limits", "prefer")]
    own = known["parameters"]
    shown.append(("paper", f"{known['paper']}\n{known['link']}"))
    table(f"{known['title']} ({known['name']}): {known['summary']}", ("", ""), shown, widths=(7, PAGE - 14))
    parameters = [(f"{n}={own[n]!r}" if n in own else n, text) for n, text in known["meanings"].items()]
    widest = max((len(name) for name, _ in parameters), default=4)
    table("Parameters", ("", ""), parameters or [("none", "")], widths=(widest, PAGE - 7 - widest))


def models(pattern: str | None = None, *, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """List where models come from, the embedded and the reference models, or timm's names that match a pattern.

    Parameters
    ----------
    pattern : str | None
        With wildcards, as `'resnet*'`: timm's pretrained models of that name.
    json : bool
        Print one JSON document.
    """
    from whylook.models.catalogue import catalogue

    if pattern:
        import timm

        names = timm.list_models(pattern, pretrained=True)
        if json:
            document(names)
        else:
            table(f"timm models like {pattern!r}", ("name",), [(n,) for n in names] or [("none",)])
        return
    entries = catalogue()
    if json:
        document(entries)
        return
    table(
        "Models (-m NAME)",
        ("name", "what it is"),
        [(e["name"], e["what"]) for e in entries["models"]],
    )
    table(
        "Where models come from (-m SOURCE:NAME; whylook models 'resnet*' searches timm)",
        ("source", "what it is", "example"),
        [(e["name"], e["what"], e["example"]) for e in entries["sources"]],
    )
