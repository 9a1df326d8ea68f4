"""What models are compared on: pictures with a label, a mask, and perhaps a second mask of what is suspicious."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whylook.errors import UsageError
from whylook.image import Image

Mask = NDArray[np.bool_]


class LeftOutError(Exception):
    """A picture that cannot take part, and why.

    Parameters
    ----------
    kind : a few words under which such pictures are counted.
    why : one sentence.
    """

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


@dataclass(frozen=True)
class LeftOut:
    """The record of a picture that was left out: its name, a few words to count it under, and a sentence."""

    name: str
    kind: str
    why: str


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture as it is measured.

    Parameters
    ----------
    image : the picture.
    label : a class's name or index.
    mask : bool [H, W] in the picture's coordinates, what the label names; None where the data have no masks.
    suspicious : bool [H, W], what no answer should rest on; None where this picture has nothing of the kind.
    """

    image: Image
    label: str | int
    mask: Mask | None = None
    suspicious: Mask | None = None

    @property
    def digest(self) -> str:
        """Tells pictures with their masks from others: SHA-256 over the picture's own and the masks' bytes."""
        made = hashlib.sha256(self.image.sha256.encode())
        for mask in (self.mask, self.suspicious):
            made.update(b"-" if mask is None else f"{mask.shape}".encode() + np.packbits(mask).tobytes())
        return made.hexdigest()


@dataclass(frozen=True, eq=False)
class Item:
    """A picture that is read when its turn comes.

    Parameters
    ----------
    name : tells it from the others; pictures are taken in order of their names.
    group : whom it belongs to, such as a patient; None: it stands for itself.
    read : reads picture, label and masks; raises `LeftOutError`, or `ImageError` for a picture that cannot be read.
    """

    name: str
    group: str | None
    read: Callable[[], Sample]

    def sample(self) -> Sample:
        """Read it, and see that masks fit.

        Raises
        ------
        LeftOutError
            If a mask has another size than the picture, or the mask marks nothing.
        ImageError
            If the picture cannot be read.
        """
        found = self.read()
        size = (found.image.height, found.image.width)
        for what, mask in (("mask", found.mask), ("suspicious mask", found.suspicious)):
            if mask is not None and mask.shape != size:
                sizes = f"{mask.shape[1]} × {mask.shape[0]} pixels, the picture {size[1]} × {size[0]}"
                raise LeftOutError(f"{what} of another size", f"{self.name}: its {what} has {sizes}.")
        if found.mask is not None and not found.mask.any():
            raise LeftOutError("empty mask", f"{self.name}: its mask marks nothing.")
        if found.suspicious is not None and not found.suspicious.any():
            found = replace(found, suspicious=None)
        return found


def group_notes(items: Sequence[Item]) -> list[str]:
    """What is to be said of groups; nothing where there are none."""
    alone = sum(item.group is None for item in items)
    if alone == len(items):
        return []
    return ["Pictures of one group are resampled together." + (f" {alone} have none." if alone else "")]


@dataclass(frozen=True, eq=False)
class DataSet:
    """Pictures in order of their names.

    Parameters
    ----------
    name : what reports call it.
    items : the pictures.
    left_out : pictures that were found to be unusable without being read.
    marked : what the masks mark, in words (`mask`, `lesion`), or None without masks.
    suspicious : what the second masks mark, in words (`marker`), or None without such.
    notes : sentences on how it was read.
    """

    name: str
    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...] = ()
    marked: str | None = None
    suspicious: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", tuple(sorted(self.items, key=lambda item: item.name)))

    def limited(self, most: int | None, seed: int = 0) -> DataSet:
        """At most so many pictures, drawn by lot: which ones depends on their names and the seed, not on their order."""
        if most is None or most >= len(self.items):
            return self
        if most < 1:
            raise UsageError(f"--limit {most} leaves no picture; give 1 or more.")
        lots = sorted(self.items, key=lambda i: hashlib.sha256(f"{seed} {i.name}".encode()).digest())
        note = f"{most} of its {len(self.items)} pictures, drawn by lot (seed {seed})."
        return replace(self, items=tuple(lots[:most]), notes=(*self.notes, note))
