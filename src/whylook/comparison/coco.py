"""Data in the JSON format of COCO: categories are classes, and what is annotated as the label is its mask."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from whylook.comparison.data import DataSet, Item, LeftOut, LeftOutError, Mask, Sample, group_notes
from whylook.comparison.folder import mask_path, stems_of
from whylook.comparison.marks import mask_file, polygon, run_lengths, unpacked
from whylook.errors import UsageError
from whylook.labels_file import USUAL_GROUP, Labels, read_labels


def coco_data(
    path: Path, *, suspicious: Path | None = None, labels: Path | None = None, groups: str | None = None
) -> DataSet:
    """Read a JSON file of images, annotations (polygons, run lengths, packed or not, or boxes alone) and categories.

    A picture's label is the category of its annotations; where they are of several, `labels` has to say which is meant.
    The mask is the union of that category's annotations.

    Parameters
    ----------
    path : the file; pictures lie beside it, or in `images`.
    suspicious : folder of second masks (PNG of the picture's stem).
    labels : CSV with the columns file, label.
    groups : the field of images, or else the column of `labels`, that holds groups; by default `group`.

    Raises
    ------
    UsageError
        If the file is not of this kind, or holds no images.
    """
    told = _read(path)
    in_images = groups is None or any(groups in image for image in told["images"])
    if not in_images and labels is None:
        raise UsageError(f"No image of {path} has a field {groups!r}.")
    said = Labels() if labels is None else read_labels(labels, None if in_images else groups)
    names = {c["id"]: str(c["name"]) for c in told["categories"]}
    marks: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in told["annotations"]:
        marks[annotation.get("image_id")].append(annotation)
    field = groups or USUAL_GROUP
    files = [str(image["file_name"]) for image in told["images"]]
    stems, unclear = stems_of(files), said.several(files)
    left = [
        LeftOut(n, "no such picture", f"{n}: it has a label, and is not in {path.name}.")
        for n in said.names
        if n not in {said.key(f) for f in files}
    ]
    items = []
    for name, image in zip(files, told["images"], strict=True):
        own, key = marks[image["id"]], said.key(name)
        kinds = sorted({names.get(a.get("category_id"), "") for a in own} - {""})
        if key in said.twice:
            left.append(LeftOut(name, "two labels", f"{name}: the labels name it more than once, and differ."))
            continue
        if name in unclear:
            left.append(
                LeftOut(name, "a label for several", f"{name}: {key} in the labels may be any of several pictures.")
            )
            continue
        label = said.classes.get(key or "") or (kinds[0] if len(kinds) == 1 else None)
        if label is None:
            kind = "several categories" if kinds else "no annotation"
            why = f"{name}: annotated with {', '.join(kinds)}; --labels says which is meant." if kinds else ""
            left.append(LeftOut(name, kind, why or f"{name}: nothing is annotated in it."))
            continue
        label = next((k for k in kinds if k.casefold() == label.casefold()), label)
        group = image.get(field)
        group = said.groups.get(key or "") if group is None else str(group)
        mine = [a for a in own if names.get(a.get("category_id")) == label]
        items.append(_item(path.parent, image, label, group, mine, suspicious, stems))
    if not told["images"]:
        raise UsageError(f"There are no images in {path}.")
    notes = [f"Read from {path.name}; a mask is the union of what is annotated as the label.", *group_notes(items)]
    return DataSet(
        path.stem, tuple(items), tuple(left), "mask", suspicious.name if suspicious else None, tuple(notes)
    )  # fmt: skip


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}.") from error
    needed = ("images", "annotations", "categories")
    if not isinstance(told, dict) or any(not isinstance(told.get(k), list) for k in needed):
        raise UsageError(f"{path} is not in COCO's format: it needs the lists {', '.join(needed)}.")
    for kind, fields in (("images", ("id", "file_name")), ("categories", ("id", "name"))):
        for entry in told[kind]:
            if not isinstance(entry, dict) or any(f not in entry for f in fields):
                raise UsageError(f"{path}: each of {kind} needs {' and '.join(fields)}.")
        twice = [i for i, count in Counter(entry["id"] for entry in told[kind]).items() if count > 1]
        if twice:
            raise UsageError(
                f"{path}: several of {kind} have the id {twice[0]}, so annotations do not tell which is meant."
            )
    return told


def _item(
    folder: Path, image: Mapping[str, Any], label: str, group: str | None, marks: Sequence[Mapping[str, Any]],
    suspicious: Path | None, stems: Counter[str],
) -> Item:  # fmt: skip
    name = str(image["file_name"])

    def read() -> Sample:
        from whylook.image import load_image

        place = next((p for p in (folder / name, folder / "images" / name) if p.is_file()), folder / name)
        picture = load_image(place)
        if any("EXIF" in note for note in picture.notes):
            why = f"{name}: it was turned as its EXIF data ask, and its annotations may be of either way; store it upright."
            raise LeftOutError("turned by EXIF", why)
        size = (picture.height, picture.width)
        told = (int(image.get("height") or size[0]), int(image.get("width") or size[1]))
        if told != size:
            sizes = f"{told[1]} × {told[0]} pixels, the picture {size[1]} × {size[0]}"
            raise LeftOutError("mask of another size", f"{name}: its annotations are for {sizes}.")
        if not marks:
            raise LeftOutError("no mask", f"{name}: nothing in it is annotated as {label}.")
        mask = np.zeros(size, bool)
        for mark in marks:
            mask |= _mask(mark, size, name)
        second = mask_path(suspicious, name, stems)
        return Sample(picture, label, mask, None if second is None else mask_file(second, "suspicious mask"))

    return Item(name, group, read)


def _mask(mark: Mapping[str, Any], size: tuple[int, int], name: str) -> Mask:
    """The pixels of one annotation."""
    drawn = mark.get("segmentation")
    try:
        if isinstance(drawn, dict):
            told = (int(drawn["size"][0]), int(drawn["size"][1]))
            if told != size:
                sizes = f"{told[1]} × {told[0]} pixels, the picture {size[1]} × {size[0]}"
                raise LeftOutError("mask of another size", f"{name}: its run lengths are for {sizes}.")
            counts = drawn["counts"]
            return run_lengths(unpacked(counts) if isinstance(counts, str) else counts, size)
        if drawn:
            return np.asarray(np.logical_or.reduce([polygon(points, size) for points in drawn]), bool)
        x, y, width, height = (float(v) for v in mark["bbox"])
        return polygon((x, y, x + width, y, x + width, y + height, x, y + height), size)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise LeftOutError("mask cannot be read", f"{name}: an annotation cannot be read ({error}).") from error
