"""Comparisons that can be browsed: those this server made, and those below the folder that clients may choose from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from whylook.comparison.tables import PAGE, RESULT, SCHEMA, SCORES
from whylook.web.errors import NotFound

if TYPE_CHECKING:
    from whylook.web.house import House

KIND = "comparison"  # of a job
_DEPTH, _FOLDERS = 5, 2000  # below the folder: how deep and how far it is searched
_BYTES = 100_000_000  # a compare.json that is longer is left out


@dataclass(frozen=True)
class Kept:
    """A comparison whose files are there.

    Parameters
    ----------
    id : in addresses.
    name : what people call it.
    source : `server` or `folder`.
    folder : where its files lie.
    made : seconds since 1970.
    """

    id: str
    name: str
    source: Literal["server", "folder"]
    folder: Path
    made: float

    def as_dict(self) -> dict[str, Any]:
        """What a list shows of it, ready for JSON."""
        own = f"/api/comparisons/{self.id}"
        return {
            "id": self.id,
            "name": self.name,
            "source": self.source,
            "made": self.made,
            **_summarized(str(self.folder / RESULT), self.made),
            "links": {"page": f"{own}/page", "scores": f"{own}/scores.csv", "data": f"{own}/compare.json"},
        }


def comparisons(house: House) -> list[Kept]:
    """All that there are, newest first."""
    own = [
        Kept(job.id, str(job.request["data"]), "server", house.store.folder(job), job.finished or job.created)
        for job in house.store.jobs(1000)
        if job.kind == KIND and job.state == "done" and (house.store.folder(job) / RESULT).is_file()
    ]
    below = [] if house.settings.folder is None else list(_below(house.settings.folder))
    return sorted((*own, *below), key=lambda k: -k.made)


def comparison(house: House, name: str) -> Kept:
    """Return the comparison called `name`.

    Raises
    ------
    NotFound
        If there is none, or no longer.
    """
    for kept in comparisons(house):
        if kept.id == name:
            return kept
    raise NotFound("There is no such comparison: it was removed, or its time has run out.")


def summary(file: Path) -> dict[str, Any]:
    """Return what a list shows of a `compare.json`.

    Raises
    ------
    ValueError
        If it is none.
    """
    told = json.loads(file.read_text("utf-8"))
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        raise ValueError(f"{file} is no {SCHEMA}")
    try:
        return {
            "data": str(told["data"]["name"]),
            "models": [str(m["name"]) for m in told["models"]],
            "pictures": int(told["data"]["pictures"]),
            "all_right": int(told["data"]["all_right"]),
            "sentences": [str(s) for s in told["sentences"]],
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} lacks {error}") from error


@lru_cache(maxsize=256)
def _summarized(file: str, made: float) -> dict[str, Any]:
    return summary(Path(file))


def _below(root: Path) -> Iterator[Kept]:
    """Comparisons below a folder; links that lead out of it are not followed."""
    whole = root.resolve()
    seen = 0
    for place, folders, files in os.walk(whole):
        here = Path(place)
        seen += 1
        if seen > _FOLDERS:
            return
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if len(here.relative_to(whole).parts) >= _DEPTH:
            folders.clear()
        if not {RESULT, PAGE, SCORES} <= set(files):
            continue
        if any(not (here / f).resolve().is_relative_to(whole) for f in (RESULT, PAGE, SCORES)):
            continue
        there = (here / RESULT).stat()
        if there.st_size > _BYTES:
            continue
        name = here.relative_to(whole).as_posix()
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        kept = Kept(f"folder{digest}", name if name != "." else whole.name, "folder", here, there.st_mtime)
        try:
            kept.as_dict()
        except (ValueError, OSError):
            continue  # another program's file of that name
        yield kept
