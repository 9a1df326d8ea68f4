"""Pictures and maps out of a saved folder, to be shown once more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from whylook.errors import ImageError
from whylook.explanation import Map
from whylook.geometry import Geometry

if TYPE_CHECKING:
    from whylook.facts.evidence import Evidence, MapEvidence
    from whylook.image import Image


def picture(source: str | None, sha256: str, window: tuple[float, float] | None = None) -> Image | None:
    """Return the picture that a folder was made from, or None where its file is gone or has changed since."""
    from whylook.image import load_image

    if not source or not Path(source).is_file():
        return None
    try:
        found = load_image(source, window=window)
    except ImageError:
        return None
    return found if found.sha256 == sha256 else None


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
