"""Who may ask: the right host, the right origin, the right token; and what every answer says to the browser."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from whylook.web.errors import body
from whylook.web.settings import LOOPBACK, Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE = ("GET", "HEAD", "OPTIONS")
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class Gate:
    """Lets a request pass, or answers it; an ASGI middleware.

    Parameters
    ----------
    app : what is behind it.
    settings : host and token.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._hosts = _hosts(settings)
        self._any_address = settings.host in ("0.0.0.0", "::")
        self._cookie = f"whylook-{settings.port}"
        token = settings.token
        self._session = None if token is None else hashlib.sha256(f"whylook session {token}".encode()).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    given.setdefault(name, value)
                message["headers"] = given.raw
            await send(message)

        refusal = self._refusal(scope, headers)
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """What is answered to a request that may not pass, or to one that brings the token; None lets it pass."""
        if not self._is_host(headers.get("host", "")):
            return _no(421, "host", "This server is not known by that name; open it as http://127.0.0.1 and its port.")
        path, method = scope["path"], scope["method"]
        fetched = headers.get("sec-fetch-site", "")
        if method not in _SAFE or path.startswith("/api/"):
            origin = headers.get("origin")
            foreign = fetched in ("cross-site", "same-site") or (
                origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
            )
            if foreign:
                return _no(403, "origin", "This server answers its own pages only, not those of other sites.")
        if self._settings.token is None:
            return None
        return self._without_token(scope, headers)

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        token, path = str(self._settings.token), scope["path"]
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(bearer.strip(), token):
            return None
        if self._session is not None and _same(_cookies(headers).get(self._cookie, ""), self._session):
            return None
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        brought = [value for name, value in query if name == "token"]
        if scope["method"] == "GET" and not path.startswith("/api/") and brought and _same(brought[0], token):
            rest = urlencode([(n, v) for n, v in query if n != "token"])
            # Never another host: a path that begins with two slashes would be one.
            answer = RedirectResponse("/" + path.lstrip("/") + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(self._cookie, str(self._session), httponly=True, samesite="strict", path="/")
            return answer
        sentence = "This server wants its token: open the address that it printed when it was started."
        if path.startswith("/api/") or "text/html" not in headers.get("accept", ""):
            return JSONResponse(body(sentence, "token"), 401, {"WWW-Authenticate": "Bearer"})
        return HTMLResponse(f"<!doctype html><title>whylook</title><p>{sentence}</p>", 401)

    def _is_host(self, host: str) -> bool:
        """Whether a Host header names this server: a page of another site that was rebound to it does not."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._hosts:
            return True
        return self._any_address and _is_address(name)  # an address cannot be rebound


def _hosts(settings: Settings) -> frozenset[str]:
    names = {*LOOPBACK, settings.host.lower()}
    if not settings.is_local:
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    return frozenset(names)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _cookies(headers: Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in headers.getlist("cookie"):
        try:
            found |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        except CookieError:
            continue
    return found


def _no(status: int, kind: str, sentence: str) -> Response:
    return Response(json.dumps(body(sentence, kind)), status, media_type="application/json")


_LINGER, _LINGER_SECONDS = 4_000_000, 1.0  # bytes, and how long


async def _lingering(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer to a request that is still coming in, and throw a little of that away before hanging up.

    Closed at once, with unread bytes in it, the connection would be reset, and the client might never see the answer.
    """
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": bytes(answer.body), "more_body": True})
    count = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while count < _LINGER:
                message = await receive()
                count += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    break
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class BodyLimit:
    """Refuses a request with more bytes than are taken: by its length where it tells it, else as it comes in.

    Parameters
    ----------
    app : what is behind it.
    most : bytes.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413, or hand the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "")
        sentence = f"That is more than {self._most:,} bytes, the limit of this server."
        if told.isdecimal() and int(told) > self._most:
            await _lingering(_no(413, "too-large", sentence), scope, receive, send)
            return
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > self._most:
                from starlette.exceptions import HTTPException

                raise HTTPException(413, sentence)
            return message

        await self._app(scope, counted, send)
