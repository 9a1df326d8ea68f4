"""Servers for tests: in this process, or listening on a free port of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

collect_ignore_glob = [] if find_spec("fastapi") and find_spec("httpx") else ["*.py"]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    from servers import serving

    from whylook.web.settings import Settings

    with serving(Settings(data=tmp_path / "data")) as made:
        yield made


@pytest.fixture
def serve() -> Iterator[Callable[..., TestClient]]:
    """Makes clients of applications with settings of one's own."""
    from servers import serving

    from whylook.web.settings import Settings

    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(Settings(**settings)))


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that all tests share, for browsers."""
    from servers import listening

    with listening(data=tmp_path_factory.mktemp("live") / "data") as address:
        yield address
