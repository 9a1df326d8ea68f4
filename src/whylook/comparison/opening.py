"""From what a person calls their data to a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whylook.comparison.data import DataSet
from whylook.errors import UsageError


def open_data(
    data: Any,
    *,
    masks: str | Path | None = None,
    suspicious: str | Path | None = None,
    labels: str | Path | None = None,
    groups: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> DataSet:
    """Find out what kind of data it is.

    Parameters
    ----------
    data : `phantom-data:NAME`, a folder, a JSON file in COCO's format, or a `DataSet`.
    masks, suspicious : folders of masks.
    labels : CSV of labels.
    groups : the column of groups.
    limit : at most so many pictures, drawn by lot; of the phantom, the first ones.
    seed : of the lot.

    Raises
    ------
    UsageError
        If there is no such data, or an option does not go with it.
    """
    from whylook.comparison import coco, folder, phantoms

    given = {"masks": masks, "suspicious": suspicious, "labels": labels, "groups": groups}
    if isinstance(data, DataSet) or str(data).startswith(phantoms.PREFIX):
        if stray := [f"--{name}" for name, value in given.items() if value is not None]:
            raise UsageError(f"{stray[0]} is not taken with {getattr(data, 'name', data)}: it brings its own.")
        if isinstance(data, DataSet):
            return data.limited(limit, seed)
        return phantoms.phantom_data(str(data).removeprefix(phantoms.PREFIX), limit)
    place = Path(data)
    second, told = (None if p is None else Path(p) for p in (suspicious, labels))
    if place.is_dir():
        found = folder.folder_data(
            place, masks=None if masks is None else Path(masks), suspicious=second, labels=told, groups=groups
        )
    elif place.suffix.lower() == ".json" and place.is_file():
        if masks is not None:
            raise UsageError("--masks is not taken with a JSON file: its annotations are the masks.")
        found = coco.coco_data(place, suspicious=second, labels=told, groups=groups)
    else:
        what = "is not a folder or a JSON file" if place.exists() else "is not there"
        raise UsageError(f"The data {place} {what}; give a folder of pictures, COCO's JSON, or phantom-data:NAME.")
    return found.limited(limit, seed)
