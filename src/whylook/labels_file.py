"""Which class and which patient a picture belongs to: a CSV file beside the pictures."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from whylook.errors import UsageError

USUAL_GROUP = "group"


@dataclass(frozen=True)
class Labels:
    """What a file of labels says, by picture.

    Parameters
    ----------
    classes : label by picture; empty where the file has no such column.
    groups : group by picture; only those that have one.
    twice : pictures that the file names more than once, and not the same each time.
    names : all pictures that it names, in its order.
    """

    classes: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    twice: frozenset[str] = frozenset()
    names: Mapping[str, None] = field(default_factory=dict)

    def key(self, relative: str) -> str | None:
        """The name under which the file knows a picture: its path, its file name, or that without the suffix."""
        path = PurePosixPath(relative)
        for name in (relative, str(path.with_suffix("")), path.name, path.stem):
            if name in self.names:
                return name
        return None

    def several(self, relatives: Iterable[str]) -> frozenset[str]:
        """The pictures of which the file does not tell which one it means: it knows others by the same name, too."""
        keys = {relative: self.key(relative) for relative in relatives}
        shared = Counter(keys.values())
        return frozenset(r for r, key in keys.items() if key is not None and key != r and shared[key] > 1)


def read_labels(path: Path, group: str | None = None) -> Labels:
    """Read a CSV file with the columns file, label and, for groups, `group` or the one that is named.

    Parameters
    ----------
    path : the file, UTF-8; the separator is a comma, a semicolon or a tabulator.
    group : the column of groups (such as the patient); None: `group`, if there is such a column.

    Raises
    ------
    UsageError
        If it cannot be read, lacks a column, or a line has more fields than there are columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            head = stream.readline()
            stream.seek(0)
            separator = max(",;\t", key=head.count)
            rows = csv.DictReader(stream, delimiter=separator, skipinitialspace=True)
            columns = [str(c).strip() for c in rows.fieldnames or ()]
            rows.fieldnames = columns
            listed = []
            for row in rows:
                if None in row:
                    raise UsageError(
                        f"The labels {path} have more fields in line {rows.line_num} than columns; put a name with the "
                        f"separator {separator!r} in it into double quotes."
                    )
                listed.append({k: (v or "").strip() for k, v in row.items()})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"The labels {path} cannot be read: {error}.") from error
    column = group or USUAL_GROUP
    if "file" not in columns or not {"label", column} & set(columns):
        raise UsageError(
            f"The labels {path} need the columns file and label; they have {', '.join(columns) or 'none'} (names of "
            "classes are another file)."
        )
    if group is not None and group not in columns:
        raise UsageError(f"The labels {path} have no column {group!r}; they have {', '.join(columns)}.")
    classes: dict[str, str] = {}
    groups: dict[str, str] = {}
    twice: set[str] = set()
    names: dict[str, None] = {}
    for row in listed:
        name = row.get("file", "").replace("\\", "/").removeprefix("./")
        if not name:
            continue
        said = (row.get("label", ""), row.get(column, ""))
        if name in names and said != (classes.get(name, ""), groups.get(name, "")):
            twice.add(name)
        names[name] = None
        if said[0]:
            classes[name] = said[0]
        if said[1]:
            groups[name] = said[1]
    return Labels(classes, groups, frozenset(twice), names)
