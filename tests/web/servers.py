"""What tests of the server share: an application in this process, or one that listens; and waiting for a job."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi.testclient import TestClient

from whylook.web.app import create_app
from whylook.web.settings import Settings

BASE = "http://127.0.0.1:8000"


@contextmanager
def serving(settings: Settings) -> Iterator[TestClient]:
    """A client of an application that has been started; it raises nothing for a 500, but shows it."""
    with TestClient(create_app(settings), base_url=BASE, raise_server_exceptions=False) as client:
        yield client


@contextmanager
def listening(**settings: Any) -> Iterator[str]:
    """The address of a server on a free port."""
    import uvicorn

    with socket.socket() as bound:
        bound.bind((settings.get("host", "127.0.0.1"), 0))
        port = bound.getsockname()[1]
        app = create_app(Settings(port=port, **settings))
        config = uvicorn.Config(app, log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive(), "the server did not end"


def finished(client: Any, job: dict[str, Any], seconds: float = 60.0) -> dict[str, Any]:
    """The job when it is over."""
    until = time.monotonic() + seconds
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < until, job
        time.sleep(0.02)
        job = client.get(job["links"]["self"]).json()
    return job


def refused(reply: Any, status: int, kind: str) -> str:
    """The sentence of an answer that is an error of this status and kind."""
    assert reply.status_code == status, reply.text
    assert reply.json()["error"]["kind"] == kind
    sentence: str = reply.json()["error"]["sentence"]
    assert sentence.endswith((".", "?"))
    return sentence


def asked(client: Any, files: Any = None, **form: Any) -> dict[str, Any]:
    """A job of explaining pictures."""
    reply = client.post("/api/explanations", data=form, files=files)
    assert reply.status_code == 202, reply.text
    job: dict[str, Any] = reply.json()
    return job
