"""The pictures of the folder that the server may show."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from whylook.web.api.catalogue import png
from whylook.web.api.shapes import ERRORS, GONE
from whylook.web.folder import listing
from whylook.web.house import TheHouse

router = APIRouter(prefix="/api/folder", tags=["pictures"], responses=ERRORS | GONE)
_SIDE = 320  # pixels of a preview's longer side


class Entry(BaseModel):
    """A folder, or a picture that may be explained by its `ref`."""

    name: str
    kind: Literal["folder", "picture"]
    path: str
    ref: str | None


Where = Annotated[str, Query(max_length=1000, description="Relative to the folder that was allowed.")]


@router.get("", response_model=list[Entry], summary="What is in the folder")
def entries(house: TheHouse, path: Where = "") -> list[dict[str, Any]]:
    """Folders and pictures below the folder that `--allow-folder` named."""
    return listing(house.settings.folder, path)


@router.get(
    "/picture",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The picture, small."}},
    summary="A preview of a picture in the folder",
)
def preview(house: TheHouse, path: Where) -> Response:
    """A picture, scaled down."""
    from whylook.draw import shrunk

    return png(shrunk(house.chosen(path), _SIDE))
