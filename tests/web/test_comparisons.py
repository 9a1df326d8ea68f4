"""Comparisons over HTTP: made as jobs, found below the folder, and nothing else."""

import json
import os
import shutil

import pytest
from servers import finished

import whylook


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A comparison that `whylook compare` made."""
    folder = tmp_path_factory.mktemp("made") / "one"
    whylook.compare("phantom-data:shortcut", ["phantom:resnet"], ["grad-cam"], limit=6).save(folder)
    return folder


@pytest.fixture
def allowed(tmp_path, made):
    folder = tmp_path / "allowed"
    shutil.copytree(made, folder / "2026" / "resnet")
    return folder


def test_a_comparison_is_made_as_a_job_and_is_that_of_the_python_function(client, made):
    asked = {"data": "shortcut", "models": ["phantom:resnet", "phantom:resnet"], "methods": ["grad-cam"], "pictures": 6}
    answer = client.post("/api/comparisons", json=asked)
    assert answer.status_code == 202
    job = finished(client, answer.json())
    assert job["state"] == "done", job
    told = client.get(f"/api/comparisons/{job['id']}").json()
    assert told["source"] == "server"
    assert told["models"] == ["phantom:resnet"]
    assert told["pictures"] == 6
    assert client.get("/api/comparisons").json() == [told]
    summary = client.get(job["links"]["result"]).json()
    assert summary["sentences"] == told["sentences"]
    whole = client.get(told["links"]["data"]).json()
    assert whole["schema"] == "whylook-compare/1"
    assert whole["sentences"] == told["sentences"]
    assert client.get(told["links"]["scores"]).content == (made / "scores.csv").read_bytes()
    client.delete(job["links"]["self"])
    assert client.get("/api/comparisons").json() == []
    assert client.get(f"/api/comparisons/{job['id']}").status_code == 404


def test_those_below_the_folder_are_found(serve, tmp_path, allowed):
    client = serve(data=tmp_path / "data", folder=allowed)
    (told,) = client.get("/api/comparisons").json()
    assert (told["name"], told["source"], told["data"]) == ("2026/resnet", "folder", "phantom-data:shortcut")
    assert str(tmp_path) not in json.dumps(told)
    page = client.get(told["links"]["page"])
    assert page.text == (allowed / "2026" / "resnet" / "compare.html").read_text("utf-8")
    assert client.get(told["links"]["scores"]).content == (allowed / "2026" / "resnet" / "scores.csv").read_bytes()


def test_without_a_folder_none_is_found(client):
    assert client.get("/api/comparisons").json() == []


def test_nothing_runs_in_a_page_and_only_this_server_may_frame_it(serve, tmp_path, allowed):
    client = serve(data=tmp_path / "data", folder=allowed)
    (told,) = client.get("/api/comparisons").json()
    policy = client.get(told["links"]["page"]).headers["content-security-policy"]
    parts = {p.split(" ")[0]: p.split(" ")[1:] for p in policy.split("; ")}
    assert parts["default-src"] == ["'none'"]
    assert "script-src" not in parts
    assert parts["sandbox"] == []
    assert parts["frame-ancestors"] == ["'self'"]


def test_what_is_no_comparison_or_leads_out_of_the_folder_is_not_found(serve, tmp_path, allowed, made):
    for name, text in (("text", "{}"), ("broken", "{"), ("other", '{"schema": "whylook-compare/1"}'), ("list", "[1]")):
        shutil.copytree(made, allowed / name)
        (allowed / name / "compare.json").write_text(text)
    (allowed / "whole").symlink_to(made, target_is_directory=True)
    shutil.copytree(made, allowed / "file")
    (allowed / "file" / "scores.csv").unlink()
    (allowed / "file" / "scores.csv").symlink_to(made / "scores.csv")
    (allowed / "part").mkdir()
    shutil.copy(made / "compare.json", allowed / "part")
    shutil.copytree(made, allowed / ".hidden")
    deep = allowed / "a" / "b" / "c" / "d" / "e" / "f"
    shutil.copytree(made, deep)
    client = serve(data=tmp_path / "data", folder=allowed)
    assert [c["name"] for c in client.get("/api/comparisons").json()] == ["2026/resnet"]


def test_a_comparison_that_is_made_again_is_read_again(serve, tmp_path, allowed):
    client = serve(data=tmp_path / "data", folder=allowed)
    assert client.get("/api/comparisons").json()[0]["pictures"] == 6
    file = allowed / "2026" / "resnet" / "compare.json"
    told = json.loads(file.read_text("utf-8"))
    told["data"]["pictures"] = 7
    file.write_text(json.dumps(told))
    os.utime(file, (1, 1))
    assert client.get("/api/comparisons").json()[0]["pictures"] == 7


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ({"models": []}, 422, "models"),
        ({"models": ["phantom:resnet"], "pictures": 3}, 422, "pictures"),
        ({"models": ["phantom:resnet"], "data": "../films"}, 422, "data"),
        ({"models": ["resnet50"]}, 400, "does not know the drawn films"),
        ({"models": ["resnet5000"]}, 400, "resnet5000"),
        ({"models": ["phantom:resnet"], "methods": ["magic"]}, 400, "magic"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(client, asked, status, says):
    answer = client.post("/api/comparisons", json=asked)
    assert answer.status_code == status
    assert says in answer.json()["error"]["sentence"]


@pytest.mark.parametrize("name", ["folder0000000000000000", "AAAAAAAAAAAAAAAAAAAA"])
def test_one_that_there_is_not_is_a_sentence(client, name):
    for rest in ("", "/page", "/scores.csv", "/compare.json"):
        answer = client.get(f"/api/comparisons/{name}{rest}")
        assert answer.status_code == 404
        assert "no such comparison" in answer.json()["error"]["sentence"]
