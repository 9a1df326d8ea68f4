"""What goes to the terminal: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def out(text: str) -> None:
    """Print a line of the result."""
    print(text)  # noqa: T201


def document(content: Any) -> None:
    """Print a JSON document as the result; in ASCII, which every terminal and pipe takes."""
    out(json.dumps(content, indent=1))


def say(text: str) -> None:
    """Tell the person something that is not the result."""
    print(f"whylook: {text}", file=sys.stderr)  # noqa: T201


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, widths: Sequence[int | None] = ()
) -> None:
    """Print a table as part of the result; `widths` holds columns to at most so many characters."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(Text(title, style="bold"), soft_wrap=True)  # a table's own title wraps to the table's width
    grid = Table(box=box.SIMPLE_HEAD, show_header=any(columns))
    for i, column in enumerate(columns):
        width = widths[i] if widths else None
        grid.add_column(
            Text(column),
            no_wrap=i == 0 and width is None,
            style="bold" if i == 0 else None,
            width=width,
            overflow="fold",
        )
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    console.print(grid)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Give a `progress(done, total, what)` that draws a bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total, what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=f"{title} · {what}")
