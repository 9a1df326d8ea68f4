"""Pictures of the server's own disk: only below the one folder that was allowed, with symbolic links followed first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from whylook.errors import UsageError
from whylook.web.errors import NotFound

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
_MOST = 2000  # entries that are listed


def allowed(folder: Path | None, path: str) -> Path:
    """Return where a path below the allowed folder is.

    Parameters
    ----------
    folder : that was allowed, or None.
    path : relative to it, with slashes.

    Raises
    ------
    UsageError
        If no folder was allowed, or the path leads out of it, by itself or by a symbolic link.
    NotFound
        If there is nothing.
    """
    if folder is None:
        raise UsageError("This server shows no folder; whylook serve --allow-folder DIR does.")
    root = folder.resolve()
    try:
        found = (root / path).resolve() if "\0" not in path else root.parent
        there = found.exists()
    except (OSError, RuntimeError, ValueError):  # too long a name, links in a circle
        found, there = root, False
    if not found.is_relative_to(root):
        raise UsageError("That path leads out of the folder that this server may show.")
    if not there:
        raise NotFound("There is no such picture in the folder.")
    return found


def listing(folder: Path | None, path: str) -> list[dict[str, Any]]:
    """Return the folders and pictures at a path, by name: `name`, `kind` (`folder`, `picture`), `ref` or `path`.

    Hidden files are left out, and whatever a symbolic link leads out of the allowed folder for.
    """
    place = allowed(folder, path)
    if not place.is_dir():
        raise UsageError("That is a picture, not a folder.")
    assert folder is not None
    root = folder.resolve()
    rows: list[dict[str, Any]] = []
    with os.scandir(place) as entries:
        for entry in sorted(entries, key=lambda e: e.name.lower()):
            inside = _leads(Path(entry.path)).is_relative_to(root)
            if entry.name.startswith(".") or not inside or len(rows) >= _MOST:
                continue
            below = Path(entry.path).relative_to(root).as_posix()
            if entry.is_dir():
                rows.append({"name": entry.name, "kind": "folder", "path": below, "ref": None})
            elif entry.is_file() and entry.name.lower().endswith(_SUFFIXES):
                rows.append({"name": entry.name, "kind": "picture", "path": below, "ref": f"folder:{below}"})
    return rows


def _leads(path: Path) -> Path:
    """Where a path leads; one that leads in a circle leads nowhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return Path()
