"""Handing in pictures."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Response, UploadFile

from whylook.web.api.answers import Name
from whylook.web.api.catalogue import png
from whylook.web.api.shapes import ERRORS, FULL, GONE, PictureAnswer
from whylook.web.house import TheHouse
from whylook.web.jobs.store import Picture
from whylook.web.uploads import take

router = APIRouter(prefix="/api", tags=["pictures"], responses=ERRORS)


@router.post("/pictures", status_code=201, response_model=PictureAnswer, responses=FULL, summary="Hand in a picture")
def hand_in(
    house: TheHouse, file: Annotated[UploadFile, File(description="JPEG, PNG, WebP, TIFF, BMP or GIF.")]
) -> Any:
    """Keep a picture, so that other requests may be about it."""
    return told(take(house, file.file, file.filename))


@router.get(
    "/pictures/{name}",
    response_class=Response,
    responses={**GONE, 200: {"content": {"image/png": {}}, "description": "The picture."}},
    summary="A picture as PNG",
)
def picture(house: TheHouse, name: Name) -> Response:
    """A picture that was handed in, made anew from its pixels: without whatever else was in the file."""
    return png(house.picture(f"upload:{name}").rgb8())


def told(picture: Picture) -> dict[str, Any]:
    """Return what is told of a picture."""
    return {
        "ref": f"upload:{picture.id}",
        "name": picture.name,
        "width": picture.width,
        "height": picture.height,
        "notes": list(picture.notes),
        "picture": f"/api/pictures/{picture.id}",
    }
