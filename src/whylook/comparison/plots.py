"""Plots as inline SVG whose horizontal places are percentages: they fit any width, and their text stays text."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whylook.comparison.gathered import Floats
from whylook.report.words import number

_INSET = 2.0  # percent left free at both ends, so that marks are not cut
DOTS = 300  # of more pictures, so many quantiles are drawn


@dataclass(frozen=True)
class Axis:
    """A horizontal axis.

    Parameters
    ----------
    low, high : what its ends stand for.
    """

    low: float
    high: float

    @classmethod
    def around(cls, values: Sequence[float | None], *, zero: bool = False) -> Axis:
        """An axis that shows all finite values, and 0 where that is asked for."""
        there = [v for v in values if v is not None and math.isfinite(v)] + ([0.0] if zero else [])
        low, high = (min(there), max(there)) if there else (0.0, 1.0)
        if low == high:
            low, high = low - 0.5, high + 0.5
        return cls(low, high)

    def at(self, value: float) -> str:
        """Where a value lies, as a percentage; beyond the ends, at the end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return f"{_INSET + share * (100 - 2 * _INSET):.2f}%"

    def ticks(self, about: int = 4) -> list[float]:
        """Round numbers within the axis, about so many."""
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def scale(axis: Axis) -> str:
    """The axis with its numbers; for the eye only, because every row says its numbers."""
    lines = [f'<line class="base" x1="{axis.at(axis.low)}" x2="{axis.at(axis.high)}" y1="17" y2="17"/>']
    for tick in axis.ticks():
        at = axis.at(tick)
        lines.append(f'<line class="base" x1="{at}" x2="{at}" y1="13" y2="17"/>')
        lines.append(f'<text x="{at}" y="10">{number(tick)}</text>')
    return f'<svg class="plot scale" height="18" aria-hidden="true">{"".join(lines)}</svg>'


def forest(axis: Axis, value: float, low: float | None, high: float | None, *, passed: bool, words: str) -> str:
    """One difference with its interval and the line of zero.

    Parameters
    ----------
    axis : shared by all rows that are to be compared.
    value, low, high : the difference, NaN where there is none, and its interval's ends.
    passed : whether its adjusted p is below .05: the mark is filled.
    words : the same, for those who cannot see it.
    """
    zero = axis.at(0.0)
    parts = [f'<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="24"/>']
    if low is not None and high is not None:
        parts.append(f'<line class="interval" x1="{axis.at(low)}" x2="{axis.at(high)}" y1="12" y2="12"/>')
        parts += [f'<line class="interval" x1="{axis.at(v)}" x2="{axis.at(v)}" y1="8" y2="16"/>' for v in (low, high)]
    if math.isfinite(value):
        parts.append(f'<circle class="{"passed" if passed else "open"}" cx="{axis.at(value)}" cy="12" r="4.5"/>')
    return _svg(parts, 24, words)


def strip(
    axis: Axis, values: Floats, mean: float, low: float | None, high: float | None, *, band: tuple[float, float] | None,
    chance: float | None, words: str,
) -> str:  # fmt: skip
    """The values of single pictures as dots, their mean and its interval, and behind them what knows nothing.

    Parameters
    ----------
    axis : shared by all rows that are to be compared; dots beyond it lie at its ends, hollow.
    values : one per picture; NaN is not drawn.
    mean, low, high : with its interval.
    band : lowest and highest mean of the dummies, or None.
    chance : level, or None.
    words : the same, for those who cannot see it.
    """
    parts = []
    if band is not None:
        left, right = axis.at(band[0]), axis.at(band[1])
        width = max(0.4, float(right[:-1]) - float(left[:-1]))
        parts.append(f'<rect class="band" x="{left}" width="{width:.2f}%" y="0" height="34"/>')
    if chance is not None:
        parts.append(f'<line class="chance" x1="{axis.at(chance)}" x2="{axis.at(chance)}" y1="0" y2="34"/>')
    for i, value in enumerate(_quantiles(values)):
        # The golden ratio spreads neighbors evenly over the height, and the same way every time.
        y = 5 + 24 * ((i * 0.6180339887) % 1)
        beyond = not axis.low <= value <= axis.high
        parts.append(f'<circle class="{"far" if beyond else "dot"}" cx="{axis.at(value)}" cy="{y:.1f}" r="2.2"/>')
    if low is not None and high is not None:
        parts.append(f'<line class="mean-interval" x1="{axis.at(low)}" x2="{axis.at(high)}" y1="17" y2="17"/>')
    parts.append(f'<line class="mean" x1="{axis.at(mean)}" x2="{axis.at(mean)}" y1="3" y2="31"/>')
    return _svg(parts, 34, words)


def bar(axis: Axis, estimate: tuple[float, float | None, float | None], words: str) -> str:
    """A rate with its interval, from 0."""
    value, low, high = estimate
    start = float(axis.at(0.0)[:-1])
    parts = [
        f'<rect class="bar" x="{start:.2f}%" width="{float(axis.at(value)[:-1]) - start:.2f}%" y="6" height="12"/>'
    ]
    if low is not None and high is not None:
        parts.append(f'<line class="interval" x1="{axis.at(low)}" x2="{axis.at(high)}" y1="12" y2="12"/>')
        parts += [f'<line class="interval" x1="{axis.at(v)}" x2="{axis.at(v)}" y1="8" y2="16"/>' for v in (low, high)]
    return _svg(parts, 24, words)


def strip_axis(values: Sequence[Floats], others: Sequence[float | None]) -> Axis:
    """An axis for strips: it holds the means, bands and chance levels, and all but the outermost single values."""
    there = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.empty(0)
    ends: list[float | None] = list(others)
    if there.size:
        ends += [float(v) for v in np.quantile(there, [0.01, 0.99])]
    return Axis.around(ends)


def _quantiles(values: Floats) -> list[float]:
    there = np.sort(values[np.isfinite(values)])
    if len(there) > DOTS:
        there = np.quantile(there, (np.arange(DOTS) + 0.5) / DOTS)
    return [float(v) for v in there]


def _svg(parts: Sequence[str], height: int, words: str) -> str:
    told = html.escape(words)
    return f'<svg class="plot" height="{height}" role="img" aria-label="{told}"><title>{told}</title>{"".join(parts)}</svg>'
