"""The right class of each picture, from a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from whylook.errors import UsageError


def read_truth(path: str | Path, pictures: Sequence[str]) -> list[str]:
    """Right classes of `pictures`, from a CSV file with the columns file and label.

    A picture is written as it was given, as its file name, or without its ending.

    Parameters
    ----------
    path : of the CSV, in UTF-8; the separator is a comma, a semicolon or a tabulator.
    pictures : as they were given, paths.

    Raises
    ------
    UsageError
        If the file cannot be read, lacks a column, or does not give each picture one class.
    """
    place = Path(path)
    try:
        with place.open(encoding="utf-8-sig", newline="") as stream:
            head = stream.readline()
            stream.seek(0)
            table = csv.DictReader(stream, delimiter=max(",;\t", key=head.count), skipinitialspace=True)
            table.fieldnames = columns = [c.strip() for c in table.fieldnames or ()]
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"The labels {place} cannot be read: {error}.") from error
    if not {"file", "label"} <= set(columns):
        raise UsageError(
            f"The labels {place} need the columns file and label; they have {', '.join(columns) or 'none'} "
            "(names of classes go to --class-names)."
        )
    known: dict[str, str] = {}
    for row in rows:
        name, label = ((row.get(c) or "").strip() for c in ("file", "label"))
        if known.setdefault(name, label) != label:
            raise UsageError(f"The labels {place} give {name} two classes, {known[name]} and {label}.")
    found = []
    for picture in pictures:
        names = (picture, Path(picture).name, Path(picture).stem)
        label = next((known[name] for name in names if known.get(name)), None)
        if label is None:
            raise UsageError(f"The labels {place} have no class for {picture}; every picture takes one.")
        found.append(label)
    return found
