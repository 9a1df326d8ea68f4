"""What an experiment gives: sentences made from numbers, maps for the viewer, a table, plots as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from whylook.report.section import Table
from whylook.report.words import plain

if TYPE_CHECKING:
    from whylook.explanation import Explanation


@dataclass(frozen=True)
class Series:
    """Points of one kind in a plot.

    Parameters
    ----------
    name : in the legend.
    x, y : of the points; as many of one as of the other.
    drawn : `line` (joined), `dots`, `hollow` (dots that do not count), or `band` (from `y` to `top`).
    top : upper end of a band.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    drawn: Literal["line", "dots", "hollow", "band"] = "line"
    top: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or (self.drawn == "band") != bool(self.top):
            raise ValueError(f"series {self.name!r} has {len(self.x)} x, {len(self.y)} y and {len(self.top)} tops")


@dataclass(frozen=True)
class Plot:
    """A plot as data.

    Parameters
    ----------
    title : above it.
    x, y : what the axes show.
    series : what is drawn.
    levels : horizontal lines, (name, y).
    says : the plot in a sentence, for those who cannot see it.
    """

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    says: str
    levels: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Bar:
    """One bar: what it stands for, its length, and the ends of its interval where there is one."""

    name: str
    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Bars:
    """Bars as data; all on one axis, which has a 0.

    Parameters
    ----------
    title : above them.
    axis : what their length shows.
    bars : from above.
    says : the bars in a sentence, for those who cannot see them.
    """

    title: str
    axis: str
    bars: tuple[Bar, ...]
    says: str


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came out.

    Parameters
    ----------
    sentences : what it says, true for these very numbers.
    numbers : what the sentences are made from, by name.
    explanations : pictures and maps, for the viewer.
    plots : to be drawn.
    table : or None.
    """

    sentences: tuple[str, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)
    explanations: tuple[Explanation, ...] = ()
    plots: tuple[Plot | Bars, ...] = ()
    table: Table | None = None

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON; `view` is what the viewer shows, or None."""
        from whylook.report.payload import payload

        return {
            "sentences": list(self.sentences),
            "numbers": plain(self.numbers),
            "plots": [_drawn(p) for p in self.plots],
            "table": None if self.table is None else _tabled(self.table),
            "view": payload(self.explanations, title="") if self.explanations else None,
        }


def _drawn(plot: Plot | Bars) -> dict[str, Any]:
    if isinstance(plot, Bars):
        bars = [{"name": b.name, "value": b.value, "interval": b.interval} for b in plot.bars]
        return {"kind": "bars", "title": plot.title, "axis": plot.axis, "says": plot.says, "bars": plain(bars)}
    series = [{"name": s.name, "drawn": s.drawn, "x": s.x, "y": s.y, "top": s.top} for s in plot.series]
    levels = [{"name": name, "y": y} for name, y in plot.levels]
    told = {"title": plot.title, "x": plot.x, "y": plot.y, "says": plot.says}
    return {"kind": "plot", **told, "series": plain(series), "levels": plain(levels)}


def _tabled(table: Table) -> dict[str, Any]:
    return {"columns": list(table.columns), "rows": plain(table.rows), "note": table.note}
