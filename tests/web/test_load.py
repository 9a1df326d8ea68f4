"""Fifty clients at once: nothing is lost, nothing breaks, memory stays bounded, streams go on where they were cut."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image as Pil
from test_killed import process

CLIENTS = 50
_PAGE = 4096


def photo(seed: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    Pil.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def events(client: httpx.Client, path: str, last: str | None, most: int | None) -> tuple[str | None, str | None]:
    """Read at most so many events; return the last id and the last state. The connection is then dropped."""
    state, count = None, 0
    with client.stream("GET", path, headers={"last-event-id": last} if last else {}) as stream:
        assert stream.status_code == 200
        for line in stream.iter_lines():
            if line.startswith("data: "):
                state = json.loads(line[6:])["state"]
            elif line.startswith("id: "):
                assert last is None or int(line[4:]) >= int(last)  # nothing comes twice but the end
                last, count = line[4:], count + 1
                if count == most:
                    break
    return last, state


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the server's memory from /proc")
def test_fifty_clients_at_once(tmp_path: Path) -> None:
    with process(tmp_path / "data") as (server, first):
        warm = first.post(
            "/api/explanations", data={"picture": "sample:disc", "models": "phantom:vgg", "methods": "gradient"}
        )
        assert events(first, warm.json()["links"]["events"], None, None)[1] == "done"
        before = resident(server.pid)
        data = [photo(i) for i in range(5)]
        statuses: list[int] = []

        def one(number: int) -> tuple[str, str | None, int]:
            refusals = 0
            with httpx.Client(base_url=first.base_url, timeout=60, verify=False) as client:
                while True:
                    reply = client.post(
                        "/api/explanations", files={"file": (f"{number}.png", data[number % 5])},
                        data={"models": "phantom:vgg", "methods": "gradient"},
                    )  # fmt: skip
                    statuses.append(reply.status_code)
                    if reply.status_code == 202:
                        break
                    assert reply.status_code == 429, reply.text
                    assert reply.json()["error"]["sentence"]
                    refusals += 1
                    pause.wait(min(0.5, float(reply.headers["retry-after"])))
                job = reply.json()
                last, _ = events(client, job["links"]["events"], None, 1)  # cut off after the first
                last, state = events(client, job["links"]["events"], last, None)
                return job["id"], state, refusals

        pause = threading.Event()
        with ThreadPoolExecutor(CLIENTS) as pool:
            ended = list(pool.map(one, range(CLIENTS)))
        assert len({job for job, _, _ in ended}) == CLIENTS
        assert {state for _, state, _ in ended} == {"done"}
        assert set(statuses) <= {202, 429}
        assert statuses.count(202) == CLIENTS
        jobs = first.get("/api/jobs").json()
        assert len(jobs) == CLIENTS + 1
        assert {j["state"] for j in jobs} == {"done"}
        assert {j["request"]["names"][0] for j in jobs[:-1]} == {f"{i}.png" for i in range(CLIENTS)}
        assert resident(server.pid) - before < 300_000_000
