"""A server that is killed in the middle of a job, and started again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import asked, finished

QUICK = {"picture": "sample:disc", "models": "phantom:vgg", "methods": "gradient"}
SLOW = {**QUICK, "methods": "rise", "parameters": '{"rise": {"samples": 10000}}'}


@contextmanager
def process(data: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A `whylook serve` of its own on a free port, and a client of it."""
    command = [sys.executable, "-m", "whylook", "serve", "--port", "0", "--data", str(data), "--no-browser", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, line
            with httpx.Client(base_url=found[0], timeout=60) as client:
                yield server, client
        finally:
            server.kill()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_killed_in_the_middle_of_a_job_and_started_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with process(data) as (server, client):
        done = finished(client, asked(client, **QUICK))
        view = client.get(done["links"]["view"]).content
        cut = asked(client, **SLOW)
        waiting = asked(client, **QUICK)
        until = time.monotonic() + 60
        while not (now := client.get(cut["links"]["self"]).json())["progress"]["done"]:
            assert time.monotonic() < until, now
            time.sleep(0.02)
        server.send_signal(signal.SIGKILL)
        server.wait(10)
    with process(data) as (server, client):
        assert client.get(done["links"]["view"]).content == view
        states: dict[str, Any] = {j["id"]: j for j in client.get("/api/jobs").json()}
        assert len(states) == 3
        assert states[done["id"]]["state"] == "done"
        assert states[cut["id"]]["state"] == "interrupted"
        assert "can be run again" in states[cut["id"]]["error"]
        assert finished(client, waiting)["state"] == "done"  # what waited is not lost
        again = client.post(states[cut["id"]]["links"]["again"]).json()
        assert again["request"] == states[cut["id"]]["request"]
        with client.stream("GET", again["links"]["events"]) as stream:  # a page is looking on
            lines = stream.iter_lines()
            assert next(lines) == "event: job"
            server.send_signal(signal.SIGTERM)
            assert "Traceback" not in "".join(lines)
        assert server.wait(20) in (0, -signal.SIGTERM)
        assert server.stderr is not None
        assert "Traceback" not in server.stderr.read()
