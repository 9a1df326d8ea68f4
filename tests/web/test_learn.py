"""Chapters and experiments over HTTP."""

import numpy as np
import pages
import pytest

from whylook.learn import chapters, experiments

SLUGS = [c.slug for c in chapters()]


def test_all_chapters_are_told_in_order(client):
    told = client.get("/api/lessons").json()
    assert [t["slug"] for t in told] == SLUGS
    assert told[1] == {"slug": "gradient", "title": "The gradient", "part": "theory", "part_title": "Theory"}


@pytest.mark.parametrize("slug", SLUGS)
def test_a_chapter_has_its_html_and_controls_for_its_experiments(client, slug):
    told = client.get(f"/api/lessons/{slug}").json()
    assert told["html"].count('class="experiment"') == len(told["experiments"]) > 0
    for use in told["experiments"]:
        assert {c["kind"] for c in use["controls"]} <= {"number", "choice", "network"}
        experiments()[use["name"]].fill({c["name"]: c["default"] for c in use["controls"]} | use["parameters"])


def test_an_experiment_on_a_sample_is_the_python_functions(client):
    asked = {"picture": "sample:cross-marker", "parameters": {"model": "phantom:vgg", "samples": 3, "noise": 0.1}}
    answer = client.post("/api/experiments/smoothing", json=asked)
    assert answer.status_code == 200
    from whylook.web.samples import Samples

    own = experiments()["smoothing"].run(Samples()["cross-marker"].image(), asked["parameters"])
    assert answer.json()["sentences"] == list(own.sentences)
    assert answer.json()["numbers"] == pytest.approx(own.numbers)
    assert answer.json()["view"]["schema"] == "whylook-view/1"


def test_an_experiment_on_a_picture_of_ones_own(client):
    given = {"file": ("mine.png", pages.saved(np.full((30, 50, 3), 120, np.uint8)), "image/png")}
    ref = client.post("/api/pictures", files=given).json()["ref"]
    told = client.post("/api/experiments/cam", json={"picture": ref}).json()
    assert "knows four shapes in drawn films" in told["sentences"][0]
    assert told["view"]["pictures"][0]["width"] == 50


def test_films_need_no_picture(client):
    told = client.post(
        "/api/experiments/three-pictures", json={"picture": "upload:gone", "parameters": {"n": 3}}
    ).json()
    assert told["numbers"]["least"] == 0.25


@pytest.mark.parametrize(
    ("name", "asked", "status", "says"),
    [
        ("nothing", {}, 404, "There is no experiment"),
        ("look", {"parameters": {"method": "magic"}}, 400, "must be one of"),
        ("look", {"parameters": {"model": "resnet5000"}}, 400, "resnet5000"),
        ("look", {"parameters": {"model": "/etc/passwd"}}, 400, "/etc/passwd"),
        ("look", {"parameters": {"sise": 3}}, 400, "has no parameter"),
        ("smoothing", {"parameters": {"samples": 1e300}}, 400, "from 1 to 64"),
        ("look", {"picture": "sample:none"}, 404, "There is no sample"),
        ("look", {"picture": "upload:AAAAAAAAAAAAAAAA"}, 404, "no such picture"),
        ("look", {"parameters": {"method": [1]}}, 422, "method"),
    ],
)
def test_what_cannot_be_is_a_sentence(client, name, asked, status, says):
    answer = client.post(f"/api/experiments/{name}", json=asked)
    assert answer.status_code == status
    assert says in answer.json()["error"]["sentence"]


def test_a_chapter_that_there_is_not_is_a_sentence(client):
    answer = client.get("/api/lessons/nowhere")
    assert answer.status_code == 404
    assert "introduction" in answer.json()["error"]["sentence"]
