"""Writes the measured table into the documentation of a source tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "phantom.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_COLUMNS = (
    "network",
    "parameters",
    "independent",
    "aligned",
    "anti",
    "marker only → disc",
    "marker removed (discs)",
    "marker removed (others)",
    "lesion removed",
    "catheter removed",
)


def write_table(table: dict[str, Any], page: Path = PAGE) -> None:
    """Replace the measured part of the page; where there is no page (an installed package) do nothing."""
    write_between(markdown(table), page)


def write_between(text: str, page: Path) -> None:
    """Put `text` between the marks of a page; where there is no page do nothing."""
    if page.is_file():
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def markdown(table: dict[str, Any]) -> str:
    """Return two Markdown tables: the shipped networks with intervals over patients, and the spread over all seeds."""
    networks = table["networks"].items()
    count = max(len(entry["seeds"]) for _, entry in networks)
    shipped = [[_named(name, entry), *_shipped(_row(entry))] for name, entry in networks]
    spread = [[_named(name, None, entry), *_spread(entry["seeds"])] for name, entry in networks]
    return (
        f"**Shipped** (mean, and its 95 % interval over patients; {table['test_images']:,} test pictures per data set, "
        f"{table['quadruples']:,} quadruples):\n\n{_grid(shipped)}\n"
        f"**All {count} training seeds** (lowest … highest):\n\n{_grid(spread)}"
    )


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = next(r for r in entry["seeds"] if r["seed"] == entry["shipped"])
    return row


def _named(name: str, shipped: dict[str, Any] | None, entry: dict[str, Any] | None = None) -> str:
    about = shipped or entry or {}
    seed = f" (seed {about['shipped']})" if shipped else ""
    return f"`{name}`{seed} | {about['parameters']:,}"


def _figures(row: dict[str, Any]) -> list[float]:
    return [*row["accuracy"].values(), row["marker_only_disc"], *(d["mean"] for d in row["drop"].values())]


def _shipped(row: dict[str, Any]) -> list[str]:
    shares = [f"{v:.3f}" for v in _figures(row)[:4]]
    drops = [[_number(d[key], 2) for key in ("mean", "low", "high")] for d in row["drop"].values()]
    return [*shares, *(f"{mean} [{low}, {high}]" for mean, low, high in drops)]


def _spread(rows: list[dict[str, Any]]) -> list[str]:
    columns = list(zip(*(_figures(row) for row in rows), strict=True))
    digits = [3] * 4 + [2] * 4
    return [f"{_number(min(c), d)} … {_number(max(c), d)}" for c, d in zip(columns, digits, strict=True)]


def _number(value: float, digits: int) -> str:
    """Fixed digits, a true minus sign, and no negative zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def _grid(rows: list[list[str]]) -> str:
    lines = [_COLUMNS, ("---",) * len(_COLUMNS), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
