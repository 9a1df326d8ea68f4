"""`whylook demo`: the embedded networks on an embedded picture, all of it on one page."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from whylook.cli.terminal import document, out, progress_bar, table


def demo(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("whylook-demo"),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Show the shortcut story on one page; needs no network connection and no download.

    Eight small networks carried in the package look at drawn pictures whose truth is known: four learned the lesion,
    four learned a marker in the corner.

    Parameters
    ----------
    output : Path
        Folder for report.html and the rest.
    json : bool
        Print the content of result.json, and nothing else, on standard output.
    """
    from whylook.report.bundle import check_folder, save

    check_folder(output)
    from whylook.demo import TITLE, story

    with progress_bar("Explaining") as progress:
        sections = story(progress)
    explanations = [e for s in sections for e in s.explanations]
    folder = save(explanations, output, sections=sections, title=TITLE)
    if json:
        document(json_format.loads((folder / "result.json").read_text("utf-8")))
        return
    for section in sections:
        if section.table:
            cells = [tuple("" if c is None else str(c) for c in row) for row in section.table.rows]
            table(section.title, section.table.columns, cells)
    out(f"Written to {folder}: open {folder / 'report.html'} in a browser")
