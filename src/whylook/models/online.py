"""Whether there is a connection: asked once and briefly, so that nobody waits for a minute of retries."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

PATIENCE = 1.5  # seconds
_CLOSED: ContextVar[str | None] = ContextVar("closed", default=None)


@contextmanager
def offline(why: str) -> Iterator[None]:
    """Have `obstacle` answer `why` inside, without asking anyone: nothing is fetched by this thread."""
    token = _CLOSED.set(why)
    try:
        yield
    finally:
        _CLOSED.reset(token)


def obstacle(url: str, patience: float = PATIENCE) -> str | None:
    """Why nothing can be fetched from `url`, as a clause; None if its server answers, whatever it answers.

    `HF_HUB_OFFLINE` is honored, as are the proxies of the environment (`HTTPS_PROXY`, `NO_PROXY`, …). A name server
    that does not answer cannot be hurried, so the question is put in a thread that is left behind when time is up.
    """
    if (closed := _CLOSED.get()) is not None:
        return closed
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "HF_HUB_OFFLINE is set"
    host = urlsplit(url).hostname or url
    answers: list[str | None] = []

    def ask() -> None:
        answers.append(_ask(url, host, patience))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(patience + 0.3)
    return answers[0] if answers else f"{host} does not answer"


def _ask(url: str, host: str, patience: float) -> str | None:
    try:
        with build_opener().open(Request(url, method="HEAD"), timeout=patience):  # a new one reads the proxies anew
            return None
    except HTTPError:
        return None  # it answered; what it thinks of the request shows when the file is fetched
    except URLError as error:
        if "CERTIFICATE" in str(error.reason):
            return None  # certificates are the downloader's business
        reason = getattr(error.reason, "strerror", None) or error.reason
        return f"{host} cannot be reached ({str(reason).lower() or 'no answer'})"
    except (OSError, ValueError, HTTPException) as error:
        return f"{host} cannot be reached ({error})"
