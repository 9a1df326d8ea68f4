"""The pages: one shell for all of them, and the files it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as Part
from fastapi.responses import FileResponse

import whylook
from whylook.web.errors import NotFound

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).resolve().parents[1] / "static"
# The report's and the trust card's own, so that what is on the page and what is saved never differ.
_ROOMS = Path(whylook.__file__).parent
_SHARED = {
    "viewer.js": _ROOMS / "report" / "viewer.js",
    "viewer.css": _ROOMS / "report" / "viewer.css",
    "card.css": _ROOMS / "trustcard" / "card.css",
}
_KINDS = {
    ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
    ".png": "image/png", ".json": "application/json", ".html": "text/html; charset=utf-8", ".woff2": "font/woff2",
}  # fmt: skip
_SHELLS = ("/", "/learn", "/learn/{slug}", "/compare", "/compare/{name}", "/jobs", "/explanations/{name}")


def shell() -> FileResponse:
    """Return the one page, which finds out by its address what to show."""
    return FileResponse(STATIC / "index.html", media_type=_KINDS[".html"], headers={"Cache-Control": "no-cache"})


for _path in _SHELLS:
    router.add_api_route(_path, shell, methods=["GET", "HEAD"], response_class=FileResponse)


@router.get("/static/{name:path}", response_class=FileResponse)
def static(name: Annotated[str, Part(max_length=200)]) -> FileResponse:
    """Return a file of the pages."""
    if name in _SHARED:
        return _file(_SHARED[name])
    if "\0" in name:
        raise NotFound("There is no such file.")
    file = (STATIC / name).resolve()
    if not file.is_relative_to(STATIC) or file.suffix not in _KINDS or not file.is_file():
        raise NotFound("There is no such file.")
    return _file(file)


@router.get("/favicon.ico", response_class=FileResponse)
def icon() -> FileResponse:
    """Return the icon, where there is one."""
    return static("icon.svg")


def _file(file: Path) -> FileResponse:
    return FileResponse(file, media_type=_KINDS[file.suffix], headers={"Cache-Control": "no-cache"})
