"""The table in docs/benchmarks.md, between two marks, from the rows of a run."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from bench.harness import OURS, Row

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def machine() -> str:
    """The machine in general words, and the versions that count."""
    kind = platform.machine()
    capability = torch.backends.cpu.get_cpu_capability()
    versions = ", ".join(f"{p} {version(p)}" for p in ("torch", "timm", "captum", "grad-cam"))
    return (
        f"Measured on {torch.get_num_threads()} threads of a {kind} CPU ({capability}), {versions}, Python "
        f"{platform.python_version()}; float32, 224×224, random weights."
    )


def table(rows: Sequence[Row]) -> str:
    """Markdown, one line per row."""
    lines = [
        "| job | ours ÷ bare floor | floor | ours ÷ best peer | best peer | goal | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        floor = _both(row, row.floor)
        peer = row.best_peer
        against = (_both(row, peer), peer) if peer else ("–", "–")
        goals = "; ".join(map(str, row.goals))
        met = "; ".join("met" if row.met(g) else f"**missed** ({_cost(row, g.against)})" for g in row.goals)
        note = f" ({row.note})" if row.note else ""
        lines.append(f"| {row.title}{note} | {floor} | {row.floor} | {against[0]} | {against[1]} | {goals} | {met} |")
    return "\n".join(lines)


def _both(row: Row, other: str) -> str:
    return f"{_digits(row.ratio(OURS, other))} ({_digits(row.best_ratio(OURS, other))})"


def _cost(row: Row, other: str) -> str:
    ratio = row.ratio(OURS, other)
    return f"{1 / ratio:.2f}× {other}" if ratio < 1 else f"{ratio:.2f} {other}"


def _digits(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def rewrite(rows: Sequence[Row]) -> None:
    """Put the table between the page's marks."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE} has no {BEGIN} … {END} to put the table between.")
    PAGE.write_text(f"{before}{BEGIN}\n{machine()}\n\n{table(rows)}\n{END}{after}", "utf-8")
