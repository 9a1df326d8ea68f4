"""Jobs: told about as they go, cancelled in the middle, bounded, kept over a restart."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from servers import asked, finished, refused, serving

from whylook.errors import WhylookError
from whylook.web.errors import Busy, TooLong
from whylook.web.house import House
from whylook.web.jobs.store import Store
from whylook.web.settings import Limits, Settings

QUICK = {"picture": "sample:disc", "models": "phantom:vgg", "methods": "gradient"}
SLOW = {
    "picture": "sample:disc",
    "models": "phantom:vgg",
    "methods": "rise",
    "parameters": '{"rise": {"samples": 10000}}',
}


def house_of(client: TestClient) -> House:
    house: House = client.app.state.house  # type: ignore[attr-defined]
    return house


def job_of(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(job["links"]["self"]).json()
    return found


def until(client: TestClient, job: dict[str, Any], is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    end = time.monotonic() + 60
    while not is_so(now := job_of(client, job)):
        assert time.monotonic() < end, now
        time.sleep(0.02)
    return now


@contextmanager
def held(client: TestClient) -> Iterator[None]:
    """The computing threads do nothing inside: what is asked for waits."""
    free = threading.Event()
    both = threading.Barrier(3)

    def hold() -> None:
        both.wait(60)
        free.wait(60)

    house_of(client).queue.later(hold)
    assert client.portal is not None
    client.portal.start_task_soon(house_of(client).queue.compute, hold)
    both.wait(60)
    try:
        yield
    finally:
        free.set()


def events(client: TestClient, job: dict[str, Any], last: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """(id, job) of each event until the stream ends."""
    headers = {} if last is None else {"last-event-id": last}
    text = client.get(job["links"]["events"], headers=headers)
    assert text.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in text.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            assert lines["event"] == "job"
            found.append((lines["id"], json.loads(lines["data"])))
    return found


def test_a_job_is_told_about_as_it_goes(client: TestClient) -> None:
    with held(client):
        first, second = asked(client, **QUICK), asked(client, **QUICK)
        assert (first["position"], second["position"]) == (0, 1)
        assert client.get("/api/health").json()["queue"] == {"running": 0, "waiting": 2, "limit": 32}
    told = events(client, second)
    assert told[-1][1]["state"] == "done"
    assert [int(i) for i, _ in told] == sorted({int(i) for i, _ in told})
    again = events(client, second, told[-1][0])  # an EventSource that comes back is told the end once more
    assert again == [told[-1]]
    assert events(client, second, "1")[0] == told[-1]
    assert job_of(client, second)["finished"] >= job_of(client, first)["finished"]


def test_a_job_is_cancelled_where_it_waits_and_in_the_middle(client: TestClient, tmp_path: Path) -> None:
    slow, waits, after = asked(client, **SLOW), asked(client, **QUICK), asked(client, **QUICK)
    running = until(client, slow, lambda j: j["state"] == "running" and j["progress"]["done"] > 0)
    assert 0 < running["progress"]["done"] < running["progress"]["total"]
    reply = client.delete(waits["links"]["self"])
    assert (reply.status_code, reply.json()["state"]) == (202, "cancelled")
    assert job_of(client, after)["position"] == 0
    started = time.monotonic()
    assert client.delete(slow["links"]["self"]).status_code == 202
    assert events(client, slow)[-1][1]["state"] == "cancelled"
    assert time.monotonic() - started < 10
    assert not (tmp_path / "data" / "results" / slow["id"]).exists()
    assert finished(client, after)["state"] == "done"
    refused(client.get(f"/api/explanations/{slow['id']}/view"), 409, "conflict")


def test_a_job_that_is_over_is_removed_with_its_files(client: TestClient, tmp_path: Path) -> None:
    job = finished(client, asked(client, **QUICK))
    folder = tmp_path / "data" / "results" / job["id"]
    assert folder.is_dir()
    assert client.delete(job["links"]["self"]).status_code == 204
    assert not folder.exists()
    refused(client.get(job["links"]["self"]), 404, "not-found")
    assert client.get("/api/jobs").json() == []


def test_a_picture_goes_with_the_last_job_of_it(client: TestClient, tmp_path: Path) -> None:
    ref = client.post("/api/pictures", files={"file": client.get("/api/samples/disc/picture").content}).json()["ref"]
    first = finished(client, asked(client, **{**QUICK, "picture": ref}))
    second = finished(client, asked(client, **{**QUICK, "picture": first["id"]}))  # by the job that is of it
    assert second["request"]["pictures"] == [ref]
    files = tmp_path / "data" / "pictures"
    client.delete(first["links"]["self"])
    assert [f"upload:{f.name}" for f in files.iterdir()] == [ref]
    client.delete(second["links"]["self"])
    assert not list(files.iterdir())
    refused(client.post("/api/explanations", data={**QUICK, "picture": ref}), 404, "not-found")


def test_a_full_disk_is_said(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage("/")._replace(free=10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    for path, form in (("explanations", {"data": QUICK}), ("pictures", {"files": {"file": b"x"}})):
        assert "disk is nearly full" in refused(client.post(f"/api/{path}", **form), 429, "busy")


def test_a_job_is_stopped_at_its_time_limit(serve: Callable[..., TestClient], tmp_path: Path) -> None:
    client = serve(data=tmp_path / "data", limits=Limits(seconds=0.5))
    house_of(client).models.load("phantom:vgg")  # before the time runs
    job = finished(client, asked(client, **SLOW))
    assert job["state"] == "failed"
    assert job["error"].startswith("It was stopped after 0.5 seconds")


def test_the_queue_is_bounded(serve: Callable[..., TestClient], tmp_path: Path) -> None:
    client = serve(data=tmp_path / "data", limits=Limits(waiting=3))
    with held(client):
        jobs = [asked(client, **QUICK) for _ in range(3)]
        reply = client.post("/api/explanations", data=QUICK)
        refused(reply, 429, "busy")
        assert int(reply.headers["retry-after"]) > 0
        assert client.delete(jobs[0]["links"]["self"]).status_code == 202
        jobs[0] = asked(client, **QUICK)
    assert {finished(client, j)["state"] for j in jobs} == {"done"}


def test_again_gives_the_same_bits(client: TestClient) -> None:
    noisy = {**QUICK, "methods": "smoothgrad", "seed": 7}
    first = finished(client, asked(client, **noisy))
    reply = client.post(first["links"]["again"])
    assert reply.status_code == 202
    second = finished(client, reply.json())
    assert second["id"] != first["id"]
    assert second["request"] == first["request"]
    maps = [client.get(j["links"]["view"]).json()["sections"][0]["explanations"][0]["maps"] for j in (first, second)]
    assert maps[0][0]["values"] == maps[1][0]["values"]
    with held(client):
        waiting = asked(client, **QUICK)
        refused(client.post(waiting["links"]["again"]), 409, "conflict")


def test_results_are_found_after_a_restart_and_what_waited_is_done(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    with serving(settings) as client:
        done = finished(client, asked(client, **QUICK))
        view = client.get(done["links"]["view"]).content
        running, waiting = asked(client, **SLOW), asked(client, **QUICK)
        until(client, running, lambda j: j["state"] == "running" and j["progress"]["done"] > 0)
    with serving(settings) as client:
        assert client.get(done["links"]["view"]).content == view
        stopped = job_of(client, running)
        assert stopped["state"] == "interrupted"
        assert "can be run again" in stopped["error"]
        assert finished(client, waiting)["state"] == "done"
        assert [j["id"] for j in client.get("/api/jobs").json()] == [waiting["id"], running["id"], done["id"]]


def test_figures_are_drawn_also_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    with serving(settings) as client:
        job = finished(client, asked(client, **QUICK))
        figure = client.get(job["links"]["figure"]).content
        assert figure.startswith(b"\x89PNG")
    (tmp_path / "data" / "results" / job["id"] / "figure.png").unlink()  # as if the server had ended before
    with serving(settings) as client:
        assert client.get(job["links"]["figure"]).content == figure


def test_two_servers_do_not_share_a_folder(tmp_path: Path) -> None:
    store = Store(tmp_path, 60)
    try:
        with pytest.raises(WhylookError, match="Another whylook serve uses the data folder"):
            Store(tmp_path, 60)
    finally:
        store.close()
    Store(tmp_path, 60).close()


def test_a_folder_of_a_later_version_or_that_is_none_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "a", 60)
    store._database.execute("PRAGMA user_version=99")
    store.close()
    with pytest.raises(WhylookError, match="of a later version"):
        Store(tmp_path / "a", 60)
    (tmp_path / "b").write_text("a file")
    with pytest.raises(WhylookError, match="cannot be used"):
        Store(tmp_path / "b", 60)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "whylook.db").write_bytes(b"no database at all, but long enough to be one" * 50)
    with pytest.raises(WhylookError, match="cannot be read"):
        Store(tmp_path / "c", 60)


def test_a_short_computation_does_not_wait_for_the_job_that_runs(client: TestClient) -> None:
    queue, free = house_of(client).queue, threading.Event()
    queue.later(lambda: free.wait(60))
    job = asked(client, **QUICK)
    assert client.portal is not None
    assert client.portal.call(queue.compute, lambda: 7) == 7
    assert job_of(client, job)["state"] == "queued"
    free.set()
    assert finished(client, job)["state"] == "done"


def test_a_picture_poked_at_while_a_job_runs_is_answered_alike(client: TestClient) -> None:
    edits = [{"kind": "phantom", "marker": False}]
    asking = {
        "picture": "sample:disc-marker",
        "models": ["phantom:vgg"],
        "methods": ["gradient", "grad-cam"],
        "edits": edits,
    }

    def poke() -> Any:
        answer = client.post("/api/poke", json=asking)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        for explanation in (e for section in found["view"]["sections"] for e in section["explanations"]):
            for each in explanation["maps"]:
                del each["seconds"]
        return found

    alone = poke()
    job = asked(client, **SLOW)  # of the same network, with folded weights
    until(client, job, lambda now: now["progress"]["done"] > 0)
    assert poke() == alone
    assert job_of(client, job)["state"] == "running"
    client.delete(job["links"]["self"])
    assert finished(client, job)["state"] in ("cancelled", "done")


def test_short_computations_have_an_order_of_their_own(client: TestClient) -> None:
    queue = house_of(client).queue
    order: list[str] = []

    async def all_of_it() -> list[Any]:
        short = [queue.compute(lambda i=i: order.append(f"short {i}") or i) for i in range(3)]
        short.append(queue.compute(lambda: order.append("not urgent"), urgent=False))
        tasks = [asyncio.ensure_future(s) for s in short[::-1]]  # the one that is not urgent is asked for first
        await asyncio.sleep(0.05)
        free.set()
        return await asyncio.gather(*tasks)

    free, begun = threading.Event(), threading.Event()
    assert client.portal is not None
    client.portal.start_task_soon(queue.compute, lambda: (begun.set(), free.wait(60)))
    assert begun.wait(60)
    assert client.portal.call(all_of_it) == [None, 2, 1, 0]
    assert order == ["short 2", "short 1", "short 0", "not urgent"]


def test_short_computations_are_bounded_in_number_and_time(serve: Callable[..., TestClient], tmp_path: Path) -> None:
    client = serve(data=tmp_path / "data", limits=Limits(urgent=2))
    queue, portal = house_of(client).queue, client.portal
    assert portal is not None

    def fails() -> None:
        raise WhylookError("It cannot be done.")

    with pytest.raises(WhylookError, match="It cannot be done"):
        portal.call(queue.compute, fails)
    with held(client):
        waiting = [portal.start_task_soon(queue.compute, lambda: 1) for _ in range(2)]
        while sum(map(len, queue._short)) < 2:
            time.sleep(0.01)
        with pytest.raises(Busy):
            portal.call(queue.compute, lambda: 2)
    assert [w.result(30) for w in waiting] == [1, 1]

    async def too_long() -> None:
        await queue.compute(lambda: time.sleep(0.3), timeout=0.05)

    with pytest.raises(TooLong, match=r"not done in 0\.05 seconds"):
        portal.call(too_long)


def test_models_are_loaded_once_and_let_go_by_memory(serve: Callable[..., TestClient], tmp_path: Path) -> None:
    client = serve(data=tmp_path / "data", limits=Limits(memory=1))
    models = house_of(client).models
    first = models.load("phantom:vgg")
    assert models.load("phantom:vgg") is first
    assert models.names() == ("phantom:vgg",)
    models.load("phantom:resnet")
    assert models.names() == ("phantom:resnet",)
    assert models.load("phantom:vgg").fingerprint == first.fingerprint


def test_a_configured_model_is_named_and_explained(serve: Callable[..., TestClient], tmp_path: Path) -> None:
    import torch
    from timm import create_model

    torch.manual_seed(0)
    torch.save(create_model("test_resnet", num_classes=3).state_dict(), tmp_path / "weights.pth")
    own = tmp_path / "model.toml"
    own.write_text(
        'arch = "test_resnet"\ncheckpoint = "weights.pth"\nnum_classes = 3\nname = "my own"\n'
        'labels = ["a", "b", "c"]\nmean = [0.5]\nstd = [0.5]\ninput_size = [64, 64]\n'
    )
    client = serve(data=tmp_path / "data", models=(str(own), "onnx:missing.onnx"))
    assert [x["label"] for x in client.get("/api/models/my own/labels").json()] == ["a", "b", "c"]
    refused(client.get("/api/models/missing/labels"), 422, "model")
    rows = {m["name"]: m for m in client.get("/api/models").json()}
    assert (rows["my own"]["available"], rows["my own"]["classes"], rows["my own"]["chosen"]) == (True, 3, True)
    assert rows["my own"]["input"] == [64, 64]
    assert not rows["missing"]["available"]
    assert rows["missing"]["remedy"]
    assert str(tmp_path) not in json.dumps(rows["my own"])
    job = finished(client, asked(client, picture="sample:disc", methods="gradient"))
    assert (job["state"], job["request"]["models"]) == ("done", ["my own"])
