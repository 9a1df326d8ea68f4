"""A folder of pictures, with a label each from a CSV file or from the folder they lie in, and masks of the same stem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from whylook.comparison.data import DataSet, Item, LeftOut, LeftOutError, Sample, group_notes
from whylook.comparison.marks import mask_file
from whylook.errors import UsageError
from whylook.labels_file import Labels, read_labels

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
MASKS, SUSPICIOUS, LABELS = "masks", "suspicious", "labels.csv"


def folder_data(
    folder: Path,
    *,
    masks: Path | None = None,
    suspicious: Path | None = None,
    labels: Path | None = None,
    groups: str | None = None,
) -> DataSet:
    """Find the pictures of a folder.

    Parameters
    ----------
    folder : pictures in it, or in one folder per class below it.
    masks : where masks lie; by default `masks` in the folder, if there is one. A mask is a PNG of the picture's path or
        stem.
    suspicious : the same for second masks, by default `suspicious`; a picture without one has nothing suspicious.
    labels : CSV with the columns file, label and perhaps group; by default `labels.csv` in the folder, if there is one.
    groups : the column of groups.

    Raises
    ------
    UsageError
        If a folder or file is not there, or there are no pictures.
    """
    for given in (masks, suspicious):
        if given is not None and not given.is_dir():
            raise UsageError(f"There is no folder of masks {given}.")
    masks = masks or _there(folder / MASKS)
    suspicious = suspicious or _there(folder / SUSPICIOUS)
    labels = labels or (folder / LABELS if (folder / LABELS).is_file() else None)
    if groups is not None and labels is None:
        raise UsageError(f"--groups {groups} names a column, but there is no file of labels; give one with --labels.")
    told = Labels() if labels is None else read_labels(labels, groups)
    aside = {p.resolve() for p in (masks, suspicious) if p is not None}
    found = _pictures(folder, aside)
    if not found:
        raise UsageError(f"There are no pictures in {folder}; they are JPEG, PNG, WebP, TIFF, BMP or GIF.")
    stems = stems_of(found)
    unclear = told.several(found)
    items, left, seen = [], [], set()
    for name in found:
        key = told.key(name)
        seen.add(key)
        label = _label(name, key, told)
        if key in told.twice:
            left.append(LeftOut(name, "two labels", f"{name}: the labels name it more than once, and differ."))
        elif name in unclear:
            left.append(
                LeftOut(name, "a label for several", f"{name}: {key} in the labels may be any of several pictures.")
            )
        elif label is None:
            left.append(LeftOut(name, "no label", f"{name}: nothing says what it shows."))
        else:
            items.append(_item(folder, name, label, told.groups.get(key or ""), masks, suspicious, stems))
    left += [
        LeftOut(n, "no such picture", f"{n}: it has a label, and is not there.") for n in told.names if n not in seen
    ]
    notes = [f"Pictures in {folder}, labels from {labels.name if labels and told.classes else 'the folders'}."]
    notes += group_notes(items)
    return DataSet(
        folder.resolve().name,
        tuple(items),
        tuple(left),
        "mask" if masks else None,
        suspicious.name if suspicious else None,
        tuple(notes),
    )


def _there(folder: Path) -> Path | None:
    return folder if folder.is_dir() else None


def _pictures(folder: Path, aside: Iterable[Path]) -> list[str]:
    """Paths relative to the folder, with slashes, of the pictures in it and one folder below."""
    without = set(aside)
    places = [folder, *(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))]
    return sorted(
        p.relative_to(folder).as_posix()
        for place in places
        if place.resolve() not in without
        for p in place.iterdir()
        if p.is_file() and p.suffix.lower() in PICTURES and not p.name.startswith(".")
    )


def _label(name: str, key: str | None, told: Labels) -> str | None:
    if told.classes:
        return told.classes.get(key or "")
    above = PurePosixPath(name).parent.name
    return above or None


def _item(
    folder: Path, name: str, label: str, group: str | None, masks: Path | None, suspicious: Path | None,
    stems: Counter[str],
) -> Item:  # fmt: skip
    def read() -> Sample:
        from whylook.image import load_image

        mask, second = (mask_path(place, name, stems) for place in (masks, suspicious))
        if masks is not None and mask is None:
            raise LeftOutError("no mask", f"{name}: there is no {PurePosixPath(name).stem}.png in {masks}.")
        return Sample(
            load_image(folder / name),
            label,
            None if mask is None else mask_file(mask),
            None if second is None else mask_file(second, "suspicious mask"),
        )

    return Item(name, group, read)


def stems_of(names: Iterable[str]) -> Counter[str]:
    """How many pictures there are by path without suffix, and, after `*/`, by stem alone."""
    found: Counter[str] = Counter()
    for path in map(PurePosixPath, names):
        found.update([str(path.with_suffix("")), f"*/{path.stem}"])
    return found


def mask_path(place: Path | None, name: str, stems: Counter[str]) -> Path | None:
    """The mask of a picture: under its own path, or under its stem; None where there is none.

    Raises
    ------
    LeftOutError
        If other pictures could have the same mask.
    """
    if place is None:
        return None
    path = PurePosixPath(name)
    own = str(path.with_suffix(""))
    for mask, pictures in ((place / f"{own}.png", stems[own]), (place / f"{path.stem}.png", stems[f"*/{path.stem}"])):
        if mask.is_file():
            if pictures > 1:
                raise LeftOutError("a mask for several", f"{name}: {mask.name} may be the mask of several pictures.")
            return mask
    return None
