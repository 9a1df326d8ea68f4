"""Whatever is asked of the interface, within its description or beside it: no answer is a 5xx, and errors have their form."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, settings
from servers import BASE, asked, finished, serving

from whylook.web.settings import Limits, Settings


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    limits = Limits(seconds=0.2, waiting=4)
    with serving(Settings(data=tmp_path_factory.mktemp("schema") / "data", limits=limits)) as made:
        yield made


@pytest.fixture
def api(client: TestClient) -> object:
    return schemathesis.openapi.from_dict(client.get("/openapi.json").json())


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=6, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_no_answer_is_a_failure_of_the_server(case: schemathesis.Case, client: TestClient) -> None:
    if case.path.endswith("/events"):
        case.path_parameters = {"name": "0123456789abcdef"}  # the stream of a job that runs would not end
    options = case.as_transport_kwargs(base_url=BASE)
    options.pop("timeout", None)
    options.pop("cookies", None)
    reply = client.request(**options)
    assert reply.status_code < 500, reply.text
    if reply.status_code >= 400 and case.method != "HEAD":
        told = reply.json()["error"]
        assert told["sentence"]
        assert told["kind"] in KINDS


KINDS = {
    "not-found", "busy", "conflict", "too-large", "too-long", "picture", "model", "unsupported", "memory", "service",
    "usage", "other", "consent", "method", "host", "origin",
}  # fmt: skip


def test_the_description_is_whole(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["description"], path
    shapes = document["components"]["schemas"]
    for name in ("JobAnswer", "PictureAnswer", "Health", "ModelAnswer", "Error", "TrustRequest", "NarrativeRequest"):
        assert shapes[name]["examples"], name


def test_examples_are_true(client: TestClient) -> None:
    """Every example of an answer has the fields of its shape, and those of requests are taken."""
    document = client.get("/openapi.json").json()
    for name, shape in document["components"]["schemas"].items():
        for example in shape.get("examples", ()):
            assert set(shape.get("required", ())) <= set(example), name
            assert set(example) <= set(shape["properties"]), name
    client.app.state.house.queue._limits = Limits()  # type: ignore[attr-defined] # the others are for the noise above
    job = finished(client, asked(client, picture="sample:disc-marker", models="phantom:resnet", methods="grad-cam"))
    assert job["state"] == "done"
    for path, shape in (("trust", "TrustRequest"), ("narrative", "NarrativeRequest")):
        example = document["components"]["schemas"][shape]["examples"][0]
        assert client.post(f"/api/explanations/{job['id']}/{path}", json=example).status_code in (200, 202)
