"""`whylook models` and `whylook methods`: what there is, made from the registries."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from whylook.cli.terminal import document, table


def methods(name: str | None = None, *, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """List the attribution methods, or describe one.

    Parameters
    ----------
    name : str | None
        A method, for all that is known of it.
    json : bool
        Print one JSON document.
    """
    from whylook.methods import METHODS

    facts = [_method(m) for m in ([METHODS[name]] if name else METHODS)]
    if json:
        document(facts[0] if name else facts)
    elif name:
        page = [(k, _words(v)) for k, v in facts[0].items() if k not in ("name", "summary")]
        table(f"{name}: {facts[0]['summary']}", ("", ""), page)
    else:
        table(
            "Attribution methods (whylook methods NAME tells more)",
            ("name", "family", "what it shows", "cost", "signed", "paper"),
            [tuple(_words(f[k]) for k in ("name", "family", "summary", "cost", "signed", "paper")) for f in facts],
        )


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{k}={v}" for k, v in value.items()) or "none"
    return str(value)


def _method(m: Any) -> dict[str, Any]:
    return {
        "name": m.name,
        "summary": m.summary,
        "family": m.family,
        "formula": m.formula,
        "signed": m.signed,
        "target": "the class explained" if m.class_specific else "none: the same map for every class",
        "cost": m.cost,
        "parameters": dict(m.parameters),
        "prefer": m.prefer,
        "limits": m.limits,
        "paper": m.paper,
    }


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
