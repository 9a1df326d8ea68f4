"""That the server is there."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

import whylook
from whylook.web.api.shapes import ERRORS, Health
from whylook.web.house import TheHouse

router = APIRouter(prefix="/api", tags=["server"], responses=ERRORS)


@router.get("/health", response_model=Health, summary="How the server is")
def health(house: TheHouse) -> dict[str, Any]:
    """Version, device, queue and limits."""
    running, waiting = house.queue.counts()
    limits = house.settings.limits
    return {
        "version": whylook.__version__,
        "device": house.settings.device,
        "llm": house.settings.service is not None,
        "folder": house.settings.folder is not None,
        "queue": {"running": running, "waiting": waiting, "limit": limits.waiting},
        "limits": {"bytes": limits.bytes, "pixels": limits.pixels, "pictures": limits.pictures},
    }
