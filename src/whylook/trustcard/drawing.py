"""Figures as small drawings: the map's number against what chance gives, and its curves. SVG without styles of its own."""

from __future__ import annotations

import html
from collections.abc import Sequence

from whylook.trustcard.card import Figure
from whylook.trustcard.words import chance

_WIDE, _HIGH = 300.0, 22.0
_PLOT_WIDE, _PLOT_HIGH = 300.0, 96.0
_DOT = 5.0


def bar(figure: Figure) -> str:
    """A line from the lowest to the highest value there can be: chance as a band and a tick, the map as a dot.

    Returns
    -------
    SVG text; nothing where there is no value.
    """
    if figure.value is None:
        return ""
    low, high = figure.axis
    middle = _HIGH / 2

    def at(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return _DOT + share * (_WIDE - 2 * _DOT)

    parts = [f'<line class="axis" x1="0" x2="{_WIDE:g}" y1="{middle:g}" y2="{middle:g}"/>']
    if figure.band is not None:
        left, right = at(figure.band[0]), at(figure.band[1])
        parts.append(
            f'<rect class="chance" x="{left:.1f}" y="3" width="{max(1.0, right - left):.1f}" height="{_HIGH - 6:g}" rx="2"/>'
        )
    if figure.chance is not None:
        parts.append(
            f'<line class="tick" x1="{at(figure.chance):.1f}" x2="{at(figure.chance):.1f}" y1="2" y2="{_HIGH - 2:g}"/>'
        )
    if figure.interval is not None:
        left, right = (at(v) for v in figure.interval)
        parts.append(f'<line class="span" x1="{left:.1f}" x2="{right:.1f}" y1="{middle:g}" y2="{middle:g}"/>')
    parts.append(f'<circle class="dot" cx="{at(figure.value):.1f}" cy="{middle:g}" r="{_DOT:g}"/>')
    said = html.escape(f"{figure.title}: {figure.text}. {chance(figure)}")
    return (
        f'<svg class="bar-of" viewBox="0 0 {_WIDE:g} {_HIGH:g}" role="img" aria-label="{said}">{"".join(parts)}</svg>'
    )


def plot(figure: Figure) -> str:
    """The curve of the map within the band of random orders.

    Returns
    -------
    SVG text; nothing where the figure has no curves.
    """
    need = ("share", "map", "random low", "random mean", "random high")
    if any(name not in figure.curves for name in need):
        return ""
    shares, own, least, mean, most = (figure.curves[name] for name in need)
    low, high = min(*own, *least), max(*own, *most)
    span = high - low or 1.0

    def points(values: Sequence[float], over: Sequence[float] = shares) -> list[str]:
        return [
            f"{1 + x * (_PLOT_WIDE - 2):.1f},{2 + (high - y) / span * (_PLOT_HIGH - 4):.1f}"
            for x, y in zip(over, values, strict=True)
        ]

    around = points(most) + points(least[::-1], shares[::-1])
    said = html.escape(f"{figure.title}: the margin while blocks change, the map's order against random orders.")
    return (
        f'<svg class="plot" viewBox="0 0 {_PLOT_WIDE:g} {_PLOT_HIGH:g}" role="img" aria-label="{said}">'
        f'<polygon class="chance" points="{" ".join(around)}"/>'
        f'<polyline class="mean" points="{" ".join(points(mean))}"/>'
        f'<polyline class="own" points="{" ".join(points(own))}"/></svg>'
    )
