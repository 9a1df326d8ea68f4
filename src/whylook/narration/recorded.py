"""Pictures and maps out of a saved folder, to be shown once more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from whylook.explanation import Map
from whylook.geometry import Geometry

if TYPE_CHECKING:
    from whylook.facts.evidence import Evidence, MapEvidence
    from whylook.image import Image


def picture(folder: Path, number: int) -> Image | None:
    """Return the picture that a folder's maps are of, or None where its file is gone or has changed since."""
    from whylook.image import load_image

    try:
        record = json.loads((folder / "result.json").read_text("utf-8"))["images"][number]
        window = record["window"]
        found = load_image(record["source"], window=tuple(window) if window else None)
    except (OSError, ValueError, LookupError, TypeError):  # a picture that cannot be read is a ValueError, too
        return None
    return found if found.sha256 == record["sha256"] else None


def maps(evidence: Evidence) -> list[Map]:
    """Return the maps of one picture in a folder, as far as showing them needs."""
    return [_map(m, evidence.size) for m in evidence.maps]


def _map(m: MapEvidence, size: tuple[int, int]) -> Map:
    """A map whose input is the very part of the picture that the model was shown, pixel by pixel."""
    (top, left, bottom, right), (above, before, below, behind) = m.visible, m.placement
    geometry = Geometry(
        picture=size,
        input=(max(1, round(bottom - top)), max(1, round(right - left))),
        scale=(1.0, 1.0),
        offset=(-top, -left),
        extent=((above - top, below - top), (before - left, behind - left)),
    )
    return Map(m.values, m.method, m.model, m.target, m.signed, {}, geometry, reason=m.reason, warning=m.warning)
