"""A server for tests: in this process, or listening on a free port of this machine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

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


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with serving(Settings(data=tmp_path / "data")) as made:
        yield made


@pytest.fixture
def serve() -> Iterator[Callable[..., TestClient]]:
    """Makes clients of applications with settings of one's own."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(Settings(**settings)))


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that all tests share, for browsers."""
    with listening(data=tmp_path_factory.mktemp("live") / "data") as address:
        yield address
