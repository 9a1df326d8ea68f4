"""An explanation as static HTML for notebooks: pictures and words, no script, the notebook's own colors."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from whylook.draw import hatched, methods_of, overlay, resized, rows_of, shrunk
from whylook.report import colors, words
from whylook.report.payload import data_uri

if TYPE_CHECKING:
    from whylook.explanation import Explanation, Map, Target

_LONG_SIDE = 400  # pixels: twice the width that a map is shown at, for dense screens
_QUIET = "opacity:.72;font-size:12px;line-height:1.45"
_RULE = "1px solid rgba(128,128,128,.35)"


def static(explanation: Explanation) -> str:
    """Return an HTML fragment that shows the explanation without a script.

    Text takes the color it finds, so that it can be read on light and on dark pages.
    """
    image = explanation.image
    pixels = shrunk(image, _LONG_SIDE)
    parts = [
        '<div class="whylook-static" style="font-family:system-ui,-apple-system,\'Segoe UI\',sans-serif;'
        'font-size:13px;line-height:1.45;max-width:100%;overflow-wrap:anywhere">',
        f'<div style="font-size:15px;font-weight:600"><bdi>{html.escape(image.name)}</bdi></div>',
        f'<div style="{_QUIET}">{image.width} × {image.height} pixels. {html.escape(" ".join(image.notes))}</div>',
    ]
    for model, target in rows_of(explanation):
        parts.append(_row(explanation, model, target, pixels))
    stray = [f for f in explanation.failures if f[0] not in explanation.models]
    parts += [f"<div><bdi>{html.escape(f[0])}</bdi>: {html.escape(f[2])}</div>" for f in stray]
    scale = "Every map has its own color scale: equal colors in two maps are not equal values."
    if any(m.signed for m in explanation.maps):
        scale += " Signed maps: red is positive, blue negative."
    parts.append(f'<div style="{_QUIET};margin-top:10px">{scale} Hatched: what the model was not shown.</div></div>')
    return "".join(parts)


def _row(explanation: Explanation, model: str, target: Target | None, pixels: np.ndarray) -> str:
    prediction = explanation.predictions.get(model)
    maps = {m.method: m for m in explanation.maps if m.model == model and m.target == target}
    lines = []
    for ranked in prediction.top(5) if prediction is not None else ():
        weight = "600" if target is not None and ranked.index == target.index else "400"
        lines.append(
            f'<div style="display:flex;gap:12px;justify-content:space-between;font-weight:{weight}">'
            f"<bdi>{html.escape(ranked.label)}</bdi>"
            f'<span style="white-space:nowrap">{words.percent(ranked.probability)}</span></div>'
        )
    explains = f'<div style="{_QUIET}">Maps explain <bdi>{html.escape(str(target))}</bdi></div>' if target else ""
    shown = next(iter(maps.values()), None)
    framed = hatched(pixels, resized(shown.geometry, (pixels.shape[0], pixels.shape[1])), False) if shown else pixels
    cells = [_figure("Picture", framed, f"The picture {explanation.image.name}.", "")]
    why = {f[1]: f[2] for f in explanation.failures if f[0] == model}
    for method in methods_of(explanation):
        if method in maps:
            cells.append(_map(maps[method], pixels))
        else:
            said = html.escape(why.get(method) or why.get("") or "Not asked for.")
            cells.append(_cell(words.facts(method).title, f'<div style="{_QUIET};padding:8px 0">{said}</div>'))
    return (
        f'<div style="display:flex;flex-wrap:wrap;gap:14px 16px;border-top:{_RULE};margin-top:12px;padding-top:12px">'
        f'<div style="flex:0 0 190px"><div style="font-weight:600;font-size:14px"><bdi>{html.escape(model)}</bdi></div>'
        f"{explains}{''.join(lines)}</div>{''.join(cells)}</div>"
    )


def _map(the_map: Map, pixels: np.ndarray) -> str:
    title = words.facts(the_map.method).title
    said = words.describe(the_map, title)
    if the_map.reason is not None:
        return _figure(
            title, overlay(the_map, pixels), said, f'<div style="{_QUIET}">{html.escape(the_map.reason)}</div>'
        )
    span = colors.limits(the_map.values, the_map.signed)
    name = colors.map_table(the_map.signed)
    bar = data_uri(_strip(name))
    finite = the_map.values[np.isfinite(the_map.values)]
    low = ("≤ " if finite.size and finite.min() < span.low else "") + words.number(span.low)
    high = ("≥ " if finite.size and finite.max() > span.high else "") + words.number(span.high)
    zero = "<span>0</span>" if the_map.signed else ""
    legend = (
        f'<img src="{bar}" alt="" style="display:block;width:100%;height:7px;margin:6px 0 2px;border-radius:2px">'
        f'<div style="display:flex;justify-content:space-between;{_QUIET}">'
        f"<span>{low}</span>{zero}<span>{high}</span></div>"
    )
    noted = words.note(the_map)
    legend += f'<div style="{_QUIET}">{html.escape(noted)}</div>' if noted else ""
    return _figure(title, overlay(the_map, pixels), said, legend)


def _strip(name: str) -> np.ndarray:
    """Return a color table as a one-line picture, its opacity laid over white."""
    table = colors.table(name).astype(np.float32)
    alpha = table[:, 3:] / 255
    return np.round(table[:, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)[None]


def _figure(title: str, pixels: np.ndarray, said: str, below: str) -> str:
    picture = (
        f'<img src="{data_uri(pixels, quality=88)}" alt="{html.escape(said)}" '
        'style="display:block;width:100%;height:auto;border-radius:3px;margin:0">'
    )
    return _cell(title, picture + below)


def _cell(title: str, inside: str) -> str:
    return (
        '<div style="flex:0 0 176px;min-width:0">'
        f'<div style="font-weight:600;margin-bottom:4px">{html.escape(title)}</div>{inside}</div>'
    )
