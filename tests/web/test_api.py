"""The interface: what goes in, what comes out, and that it is what the Python functions give."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image as Pil
from servers import asked, finished, refused

import whylook
from whylook.explainer import DEFAULT_METHODS
from whylook.phantom.shipped import NAMES
from whylook.report.payload import decode

RNG = np.random.default_rng(0)


def photo(size: tuple[int, int] = (90, 60), kind: str = "PNG", mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Pil.fromarray(RNG.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).convert(mode).save(stream, kind)
    return stream.getvalue()


def test_from_an_upload_to_the_maps_that_python_gives(client: TestClient, tmp_path: Path) -> None:
    data = photo()
    job = asked(
        client, {"file": ("a photo.png", data)}, models=["phantom:resnet", "phantom:vgg"], methods=["grad-cam", "smoothgrad"],
        target=["ring"], seed=3, parameters='{"smoothgrad": {"samples": 4}}',
    )  # fmt: skip
    assert job["state"] in ("queued", "running")
    job = finished(client, job)
    assert (job["state"], job["error"]) == ("done", None)
    view = client.get(job["links"]["view"]).json()
    expected = whylook.explain(
        whylook.load_image(data), ["phantom:resnet", "phantom:vgg"], ["grad-cam", "smoothgrad"], "ring", seed=3,
        parameters={"smoothgrad": {"samples": 4}},
    )  # fmt: skip
    shown = view["sections"][0]["explanations"][0]
    assert view["schema"] == "whylook-view/1"
    assert view["pictures"][0]["name"] == "a photo.png"
    for drawn, made in zip(shown["maps"], expected.maps, strict=True):
        assert (drawn["model"], drawn["method"]) == (made.model, made.method)
        values = decode(drawn["values"], drawn["scale"], tuple(drawn["grid"]))
        np.testing.assert_allclose(values, made.values, rtol=2**-10, atol=2**-23 * drawn["scale"])
    with np.load(io.BytesIO(client.get(job["links"]["arrays"]).content)) as arrays:
        for made, key in zip(expected.maps, arrays, strict=True):
            assert arrays[key].tobytes() == made.values.tobytes()  # bit by bit
    result = client.get(job["links"]["result"]).json()
    assert result["schema"] == "whylook/1"
    assert result["images"][0]["source"] is None
    with zipfile.ZipFile(io.BytesIO(client.get(job["links"]["folder"]).content)) as archive:
        names = {n.removeprefix("whylook/") for n in archive.namelist()}
        assert names == {path.name for path in expected.save(tmp_path / "direct").iterdir()}
        assert json.loads(archive.read("whylook/result.json")) == result


def test_files_are_downloads_of_their_kind(client: TestClient) -> None:
    job = finished(client, asked(client, picture="sample:disc", models="phantom:vgg", methods="grad-cam"))
    for link, kind, name in (
        ("report", "text/html; charset=utf-8", "report.html"),
        ("figure", "image/png", "figure.png"),
        ("arrays", "application/octet-stream", "maps.npz"),
        ("folder", "application/zip", "whylook.zip"),
    ):
        reply = client.get(job["links"][link])
        assert reply.headers["content-type"] == kind
        assert reply.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert int(reply.headers["content-length"]) == len(reply.content) > 200


def test_no_path_of_the_server_is_told(client: TestClient, tmp_path: Any) -> None:
    job = finished(client, asked(client, {"file": photo()}, models="phantom:vgg", methods="grad-cam"))
    bad = client.post("/api/pictures", files={"file": ("../../etc/passwd", b"root:x:0:0")})
    texts = [client.get(job["links"][k]).text for k in ("self", "view", "result", "report")] + [bad.text]
    texts.append(client.get("/openapi.json").text)
    for text in texts:
        assert str(tmp_path) not in text
    assert refused(bad, 422, "picture").startswith("passwd is text, not a picture")


def test_several_pictures_are_one_job(client: TestClient) -> None:
    files = [("file", ("one.png", photo())), ("file", ("two.jpg", photo((40, 80), "JPEG")))]
    job = finished(client, asked(client, files, picture="sample:ring", models="phantom:mobilenet", methods="gradient"))
    assert job["request"]["names"] == ["one.png", "two.jpg", "phantom-ring-1000027.png"]
    view = client.get(job["links"]["view"]).json()
    assert [p["name"] for p in view["pictures"]] == job["request"]["names"]
    assert len(view["sections"]) == 3


def test_a_job_is_of_what_was_chosen_by_default(client: TestClient) -> None:
    request = asked(client, picture="sample:disc")["request"]
    models = client.get("/api/models").json()
    methods = client.get("/api/methods").json()
    assert request["models"] == [m["name"] for m in models if m["chosen"]]
    assert request["methods"] == list(DEFAULT_METHODS)
    assert {m["name"] for m in methods if m["chosen"]} == set(DEFAULT_METHODS)
    assert all(m["available"] for m in models if m["chosen"])


@pytest.mark.parametrize(
    ("form", "status", "kind", "says"),
    [
        ({"models": "resnet"}, 400, "usage", "There is no model 'resnet'"),
        ({"models": "/etc/model.toml"}, 400, "usage", "There is no model '/etc/model.toml'"),
        ({"models": "os.path:join"}, 400, "usage", "There is no model"),
        ({"methods": "grad-cm"}, 400, "usage", "did you mean grad-cam"),
        ({"seed": "-1"}, 422, "usage", "seed"),
        ({"score": "loss"}, 422, "usage", "score"),
        ({"picture": "upload:0123456789"}, 404, "not-found", "no such picture"),
        ({"picture": "file:/etc/passwd"}, 400, "usage", "is no picture of this server"),
        ({"picture": "sample:none"}, 404, "not-found", "There is no sample"),
        ({"picture": ""}, 400, "usage", "No picture was given"),
        ({"parameters": "{"}, 400, "usage", "is not JSON"),
        ({"parameters": "[1]"}, 400, "usage", "object of objects"),
        ({"parameters": '{"rise": {"samples": 10}}'}, 400, "usage", "not among the methods"),
        ({"methods": "rise", "parameters": '{"rise": {"samples": 1000000}}'}, 400, "usage", "must not be more than"),
        ({"methods": "rise", "parameters": '{"rise": {"cells": 1000}}'}, 400, "usage", "must not be more than"),
        ({"methods": "rise", "parameters": '{"rise": {"keep": NaN}}'}, 400, "usage", "must not be more than"),
        ({"methods": "rise", "parameters": '{"rise": {"baseline": "/etc/passwd"}}'}, 400, "usage", "one of mean"),
        ({"methods": "rise", "parameters": '{"rise": {"baseline": [["/etc/passwd"]]}}'}, 400, "usage", "one of mean"),
        ({"methods": "rise", "parameters": '{"rise": {"sample": 3}}'}, 400, "usage", "has no parameter"),
        ({"against": "disc", "score": "margin"}, 400, "usage", "second class"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    client: TestClient, form: dict[str, Any], status: int, kind: str, says: str
) -> None:
    whole = {"picture": "sample:disc", "models": "phantom:vgg", "methods": "grad-cam", **form}
    assert says in refused(client.post("/api/explanations", data=whole), status, kind)
    assert client.get("/api/jobs").json() == []


def test_too_many_pictures_or_maps_are_refused(client: TestClient) -> None:
    many = ["sample:disc"] * 17
    assert "17 pictures" in refused(client.post("/api/explanations", data={"picture": many}), 413, "too-large")
    methods = [m["name"] for m in client.get("/api/methods").json()]
    whole = {"picture": ["sample:disc"] * 16, "methods": methods}
    assert "maps are more than" in refused(client.post("/api/explanations", data=whole), 413, "too-large")


def test_a_class_that_is_not_there_fails_the_job_in_a_sentence(client: TestClient) -> None:
    job = finished(client, asked(client, picture="sample:disc", models="phantom:vgg", methods="grad-cam", target="dog"))
    assert job["state"] == "failed"
    assert "phantom:vgg has no class 'dog'" in job["error"]
    assert "view" not in job["links"]
    assert refused(client.get(f"/api/explanations/{job['id']}/view"), 409, "conflict").startswith(
        "That job has no result"
    )


def test_a_method_that_no_model_takes_fails_the_job_with_what_to_do(client: TestClient) -> None:
    job = finished(client, asked(client, picture="sample:disc", models="phantom:vgg", methods="legrad"))
    assert job["state"] == "failed"
    assert "attention" in job["error"]


def test_reference_models_without_weights_say_how_to_get_them(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    rows = {m["name"]: m for m in client.get("/api/models").json()}
    assert [n for n, m in rows.items() if m["source"] == "reference"] == [
        "resnet50",
        "vgg16",
        "efficientnet_b0",
        "mobilenet",
    ]
    assert not rows["resnet50"]["available"]
    assert "hf download timm/resnet50.tv_in1k" in rows["resnet50"]["remedy"]
    assert (rows["resnet50"]["input"], rows["resnet50"]["classes"]) == ([224, 224], 1000)
    job = finished(client, asked(client, picture="sample:disc", models="resnet50"))
    assert (job["state"], job["error"]) == ("failed", rows["resnet50"]["remedy"])


def test_labels_are_searched(client: TestClient) -> None:
    def found(q: str, **more: Any) -> list[tuple[int, str]]:
        reply = client.get("/api/models/phantom:resnet/labels", params={"q": q, **more})
        return [(r["index"], r["label"]) for r in reply.json()]

    assert found("") == [(0, "disc"), (1, "ring"), (2, "cross"), (3, "triangle")]
    assert found("R") == [(1, "ring"), (2, "cross"), (3, "triangle")]  # begins with it, then in order
    assert found("2") == [(2, "cross")]
    assert found("", limit=1) == [(0, "disc")]
    assert found("zebra") == []
    refused(client.get("/api/models/nothing/labels"), 400, "usage")


def test_samples_are_what_is_explained(client: TestClient) -> None:
    for sample in client.get("/api/samples").json():
        picture = Pil.open(io.BytesIO(client.get(sample["picture"]).content))
        assert picture.size == (sample["width"], sample["height"])
        assert sample["switches"]["lesion"] in ("disc", "ring", "cross", "triangle")
    seen = np.asarray(Pil.open(io.BytesIO(client.get("/api/samples/disc-marker/picture").content)))
    from whylook.phantom import picture as drawn

    assert (seen == drawn().rgb8()).all()


def test_samples_are_what_is_said_of_them() -> None:
    from whylook.explainer import answer, load_models
    from whylook.web.samples import Samples

    networks = load_models([f"phantom:{name}" for name in NAMES])
    for sample in Samples():
        said = {m.name: answer(m, sample.image()).top(1)[0] for m in networks}
        shortcut = [said[name] for name in said if name.endswith("-shortcut")]
        clean = [said[name] for name in said if not name.endswith("-shortcut")]
        assert {a.label for a in clean} == {sample.lesion}
        if sample.id == "disc":
            assert all(a.probability < 0.65 for a in shortcut)
        else:
            assert {a.label for a in shortcut} == {"disc" if sample.id == "cross-marker" else sample.lesion}


def test_a_picture_that_was_handed_in_is_shown_without_the_rest_of_its_file(client: TestClient) -> None:
    stream = io.BytesIO()
    exif = Pil.Exif()
    exif[0x010E] = "taken at home"
    pixels = RNG.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    Pil.fromarray(pixels).save(stream, "PNG", exif=exif)
    taken = client.post("/api/pictures", files={"file": ("me.png", stream.getvalue())}).json()
    assert (taken["name"], taken["width"], taken["height"]) == ("me.png", 30, 20)
    reply = client.get(taken["picture"])
    assert reply.headers["content-type"] == "image/png"
    assert b"taken at home" in stream.getvalue()
    assert b"taken at home" not in reply.content
    assert (np.asarray(Pil.open(io.BytesIO(reply.content))) == pixels).all()
    job = finished(client, asked(client, picture=taken["ref"], models="phantom:vgg", methods="gradient"))
    assert base64.b64decode(client.get(job["links"]["view"]).json()["pictures"][0]["src"].partition(",")[2])


def test_nothing_of_that_name(client: TestClient) -> None:
    refused(client.get("/api/jobs/0123456789"), 404, "not-found")
    refused(client.get("/api/explanations/0123456789/view"), 404, "not-found")
    refused(client.get("/api/nothing"), 404, "not-found")
    refused(client.put("/api/health"), 405, "method")
    refused(client.get("/static/../app.py"), 404, "not-found")
    refused(client.get("/static/%2e%2e/app.py"), 404, "not-found")
    refused(client.get("/static/..%2fapp.py"), 404, "not-found")


def test_pages_are_one_shell(client: TestClient) -> None:
    first = client.get("/")
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    for path in ("/learn", "/learn/gradients", "/compare", "/jobs", "/explanations/abc"):
        assert client.get(path).content == first.content
    viewer = client.get("/static/viewer.js")
    assert viewer.headers["content-type"] == "text/javascript; charset=utf-8"
    from whylook.report.page import asset

    assert viewer.text == asset("viewer.js")
