"""The right class of each picture, from a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from whylook.errors import UsageError
from whylook.labels_file import read_labels


def read_truth(path: str | Path, pictures: Sequence[str]) -> list[str]:
    """Right classes of `pictures`, from a CSV file with the columns file and label.

    A picture is written as it was given, as its file name, or without its ending.

    Parameters
    ----------
    path : of the CSV, as `read_labels` takes it.
    pictures : as they were given, paths.

    Raises
    ------
    UsageError
        If the file cannot be read, lacks a column, or does not give each picture one class.
    """
    labels = read_labels(Path(path))
    if unclear := labels.several(pictures):
        first = min(unclear)
        raise UsageError(
            f"The labels {path} name {labels.key(first)}, and several pictures are called so; name their paths."
        )
    found = []
    for picture in pictures:
        key = labels.key(picture)
        if key is None or key not in labels.classes:
            raise UsageError(f"The labels {path} have no class for {picture}; every picture takes one.")
        if key in labels.twice:
            raise UsageError(f"The labels {path} give {key} more than one class or group.")
        found.append(labels.classes[key])
    return found
