"""`whylook serve` on the command line: what it refuses, and in which words."""

from __future__ import annotations

import importlib
import importlib.util
import socket
from pathlib import Path
from typing import Any

import pytest

from whylook.cli import run
from whylook.web.jobs.store import Store

module = importlib.import_module("whylook.cli.serve")  # the package has a function of that name


def said(capsys: pytest.CaptureFixture[str], *options: str, code: int = 2) -> str:
    assert run(["serve", "--no-browser", *options]) == code
    err = capsys.readouterr().err
    assert err.startswith("whylook: ")
    assert "Traceback" not in err
    return err


def test_without_the_extra_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    assert "pip install 'whylook[web]'" in said(capsys)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--port", "70000"], "not between 0 and 65535"),
        (["--port", "x"], "whole number"),
        (["--keep", "forever"], "not a time such as 30m"),
        (["--token", "short"], "at least 16"),
        (["--host", "0.0.0.0", "--token", "short"], "at least 16"),
        (["--host", "no.such.host.invalid"], "is no address of this machine"),
        (["--allow-folder", "/no/such/folder"], "is not a folder"),
        (["--llm-url", "http://localhost:1/v1"], "belongs to --llm openai"),
        (["--llm", "openai", "--llm-url", "nonsense"], "is not an address"),
        (["--device", "cuda:99"], "There is no device"),
        (["-m", "phantom:vgg", "-m", "same/model.toml", "-m", "other/same.toml"], "Two models are called 'same'"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: list[str], says: str
) -> None:
    port = [] if "--port" in options else ["--port", "0"]
    assert says in said(capsys, *port, "--data", str(tmp_path / "data"), *options)


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert f"Port {port} is taken" in said(capsys, "--port", port)


def test_a_folder_that_another_server_has(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    store = Store(tmp_path, 60)
    try:
        assert "Another whylook serve uses" in said(capsys, "--port", "0", "--data", str(tmp_path))
    finally:
        store.close()


def test_another_host_gets_a_token_that_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def instead(settings: Any, bound: socket.socket, made: str | None, *, browser: bool) -> int:
        seen.update(settings=settings, made=made)
        module._greet(settings, "http://0.0.0.0:8000/", made, browser=browser)
        return 0

    monkeypatch.setattr(module, "_run", instead)
    common = ["serve", "--port", "0", "--no-browser", "--data", str(tmp_path)]
    assert run([*common, "--host", "0.0.0.0"]) == 0
    assert len(seen["made"]) >= 32
    assert seen["settings"].token == seen["made"]
    assert f"?token={seen['made']}" in capsys.readouterr().out
    assert run([*common, "--host", "0.0.0.0", "--token", "one-of-my-own-choosing"]) == 0
    assert seen["made"] is None
    assert "one-of-my-own-choosing" not in capsys.readouterr().out  # it knows it already
    assert run(common) == 0
    assert (seen["settings"].token, seen["settings"].host) == (None, "127.0.0.1")
