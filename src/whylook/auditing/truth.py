"""The right class of each picture, from a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from whylook.errors import UsageError


def read_truth(path: str | Path, pictures: Sequence[str]) -> list[str]:
    """Right classes of `pictures`, from a CSV of two columns: the picture and its class.

    A picture is written as it was given, as its file name, or without its ending; the first row may be a heading.

    Parameters
    ----------
    path : of the CSV, in UTF-8.
    pictures : as they were given, paths.

    Raises
    ------
    UsageError
        If the file cannot be read, a row has not two columns, or a picture is not in it (once).
    """
    place = Path(path)
    try:
        with place.open(encoding="utf-8-sig", newline="") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"The labels in {place} cannot be read: {error}.") from error
    known: dict[str, str] = {}
    for row in rows:
        if len(row) < 2 or not row[1]:
            raise UsageError(
                f"A row of {place} reads {','.join(row)!r}; it takes two columns, the picture and its right class "
                "(names of classes go to --class-names)."
            )
        if known.setdefault(row[0], row[1]) != row[1]:
            raise UsageError(f"{place} gives {row[0]} two classes, {known[row[0]]} and {row[1]}.")
    found = []
    for picture in pictures:
        names = (picture, Path(picture).name, Path(picture).stem)
        written = next((name for name in names if name in known), None)
        if written is None:
            raise UsageError(f"{place} has no row for {picture}; it takes one for every picture.")
        found.append(known[written])
    return found
