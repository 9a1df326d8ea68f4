"""The description of the interface as a page: made from the OpenAPI document, without a script and without a CDN."""

from __future__ import annotations

import html
import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)
_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{margin-top:2.5rem;font-size:1.2rem}
details{border:1px solid #8886;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer;overflow-wrap:anywhere}
code,pre{font:13px/1.45 ui-monospace,monospace}
pre{overflow-x:auto;background:#8881;padding:.6rem;border-radius:6px}
b{display:inline-block;min-width:4.2rem}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;border-bottom:1px solid #8883;overflow-wrap:anywhere}
"""


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request) -> HTMLResponse:
    """Return the page."""
    return HTMLResponse(page(request.app.openapi()))


@router.get("/docs.css", response_class=Response)
def style() -> Response:
    """Return its style sheet."""
    return Response(_STYLE, media_type="text/css")


def page(document: dict[str, Any]) -> str:
    """Return an OpenAPI document as HTML."""
    about = document["info"]
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault((operation.get("tags") or ["other"])[0], []).append(
                _operation(path, method, operation, document)
            )
    listed = "".join(f"<h2>{_text(name)}</h2>{''.join(parts)}" for name, parts in groups.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>whylook: interface</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="/docs.css"></head><body><main><h1>{_text(about["title"])} {_text(about["version"])}'
        f'</h1><p>{_text(about["description"])}</p><p>The same for programs: <a href="/openapi.json">/openapi.json</a> '
        f'(OpenAPI {_text(document["openapi"])}). <a href="/">Back to the page</a></p>{listed}</main></body></html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    rows = [
        (p["name"], p["in"], p.get("description") or _kind(p["schema"]), p.get("required", False))
        for p in operation.get("parameters", ())
    ]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(content["schema"], document)
        needed = schema.get("required", ())
        rows += [
            (name, kind, field.get("description") or _kind(field), name in needed)
            for name, field in schema.get("properties", {}).items()
        ]
    taken = "".join(
        f"<tr><td><code>{_text(name)}</code>{' (required)' if needed else ''}</td><td>{_text(place)}</td>"
        f"<td>{_text(said)}</td></tr>"
        for name, place, said, needed in rows
    )
    answers = "".join(
        f"<tr><td>{_text(code)}</td><td>{_text(a.get('description', ''))}</td></tr>"
        for code, a in operation["responses"].items()
    )
    table = f"<table><tr><th>takes</th><th>in</th><th></th></tr>{taken}</table>" if taken else ""
    return (
        f"<details><summary><b>{_text(method.upper())}</b> <code>{_text(path)}</code> {_text(operation.get('summary', ''))}"
        f"</summary><p>{_text(operation.get('description', ''))}</p>{table}"
        f"<table><tr><th>answers</th><th></th></tr>{answers}</table>{_example(operation, document)}</details>"
    )


def _example(operation: dict[str, Any], document: dict[str, Any]) -> str:
    for code, reply in operation["responses"].items():
        schema = reply.get("content", {}).get("application/json", {}).get("schema")
        if not str(code).startswith("2") or schema is None:
            continue
        found = _resolved(schema.get("items", schema), document).get("examples")
        if found:
            return f"<p>An answer:</p><pre>{_text(json.dumps(found[0], indent=1))}</pre>"
    return ""


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: dict[str, Any] = document.get("components", {}).get("schemas", {}).get(name, schema)
    return found


def _kind(schema: dict[str, Any]) -> str:
    kinds = [str(s.get("type", "")) for s in schema.get("anyOf", [schema])]
    return " or ".join(k for k in kinds if k and k != "null")


def _text(text: Any) -> str:
    return html.escape(str(text))
