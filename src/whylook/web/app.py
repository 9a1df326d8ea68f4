"""The application: routers, pages, and what goes around them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib import import_module
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

import whylook
from whylook.errors import WhylookError
from whylook.web.errors import Busy, NotAgreed, body, status
from whylook.web.house import House
from whylook.web.security import BodyLimit, Gate
from whylook.web.settings import Settings

ROUTERS = (
    "health", "catalogue", "pictures", "explanations", "jobs", "trust", "narrative", "folder", "poke", "learn",
    "comparisons", "docs", "pages",
)  # fmt: skip
_PURGED_EVERY = 3600.0  # seconds
_log = logging.getLogger("whylook.serve")
_ABOUT = (
    "See where image classifiers look, and whether the map of it can be believed. Hand in a picture, name models and "
    'methods, follow the job, fetch the maps. Every error is {"error": {"sentence", "kind"}}.'
)


def create_app(settings: Settings, house: House | None = None) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    settings : how it is started.
    house : its parts, where they are made already; otherwise they are made when it starts. It closes them when it ends.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        parts = await asyncio.to_thread(House, settings) if house is None else house
        app.state.house = parts
        await asyncio.to_thread(parts.start)
        purging = asyncio.create_task(_purge(parts))
        try:
            yield
        finally:
            purging.cancel()
            with suppress(asyncio.CancelledError):
                await purging
            await asyncio.to_thread(parts.close)

    app = FastAPI(
        title="whylook", version=whylook.__version__, summary="Where image classifiers look.", description=_ABOUT,
        lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/openapi.json",
        # Newer versions of FastAPI would otherwise report to wherever the environment says.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )  # fmt: skip
    for name in ROUTERS:
        app.include_router(import_module(f"whylook.web.api.{name}").router)
    app.openapi = partial(_described, app, app.openapi)  # type: ignore[method-assign]
    app.add_exception_handler(WhylookError, _told)
    app.add_exception_handler(NotAgreed, _asked)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)
    app.add_middleware(BodyLimit, most=settings.limits.bytes + _FORM)
    app.add_middleware(Gate, settings=settings)  # added last: it is asked first
    return app


_FORM = 100_000  # bytes that a form has beside its pictures


def _described(app: FastAPI, plain: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The OpenAPI document with the examples as they are: FastAPI takes out of them whatever is null."""
    first = app.openapi_schema is None
    document = plain()
    if first:
        shapes = document["components"]["schemas"]
        kinds: list[type[BaseModel]] = [BaseModel]
        while kinds:
            kind = kinds.pop()
            kinds += kind.__subclasses__()
            extra = kind.model_config.get("json_schema_extra")
            if kind.__module__.startswith("whylook.web.") and isinstance(extra, dict) and kind.__name__ in shapes:
                shapes[kind.__name__] |= extra
    return document


async def _purge(house: House) -> None:
    while True:
        await asyncio.sleep(_PURGED_EVERY)
        try:
            await asyncio.to_thread(house.store.purge)
        except (OSError, WhylookError):
            _log.exception("what has expired could not be removed")


async def _told(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, WhylookError)
    code, kind = status(error)
    return JSONResponse(
        body(_printable(str(error)), kind), code, {"Retry-After": "2"} if isinstance(error, Busy) else None
    )


async def _asked(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, NotAgreed)
    return JSONResponse({**body(str(error), "consent"), "preview": error.preview}, 409)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    said = {
        400: "The request cannot be read; it is cut off or not of the form that it says.",
        404: f"There is nothing at {request.url.path[:200]}.",
        405: f"{request.method[:20]} is not possible at {request.url.path[:200]}.",
    }
    kind = {404: "not-found", 405: "method", 413: "too-large"}.get(error.status_code, "usage")
    sentence = said.get(error.status_code, str(error.detail))
    return JSONResponse(body(_printable(sentence), kind), error.status_code, error.headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path", "header"))
    sentence = f"{where or 'The request'}: {first['msg']}."
    return JSONResponse(body(_printable(sentence[:400]), "usage"), 422)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s", request.method, request.url.path, exc_info=error)
    sentence = "An error that whylook did not expect; the server's terminal says more."
    return JSONResponse(body(sentence, "unexpected"), 500)


def _printable(text: str) -> str:
    """A sentence that is Unicode: a lone surrogate from a file's name can be in a string but not in an answer."""
    return text.encode("utf-8", "replace").decode("utf-8")
