"""Whatever is asked of the interface, within its description or beside it: no answer is a 5xx, and errors have their form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation.modes import GenerationMode
from servers import BASE, asked, finished, serving

from whylook.web.app import create_app
from whylook.web.settings import Limits, Settings


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    limits = Limits(seconds=0.2, waiting=4)
    with serving(Settings(data=tmp_path_factory.mktemp("schema") / "data", limits=limits)) as made:
        yield made


def operations() -> list[Any]:
    """Every operation of the description; nothing is started for it."""
    found = schemathesis.openapi.from_dict(create_app(Settings()).openapi()).get_all_operations()
    return [one.ok() for one in found]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as described", "not so"])
@pytest.mark.parametrize("operation", operations(), ids=lambda o: f"{o.method.upper()} {o.path}")
def test_no_answer_is_a_failure_of_the_server(client: TestClient, operation: Any, mode: GenerationMode) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=5, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def holds(case: Any) -> None:
        kwargs = case.as_transport_kwargs(base_url=BASE)
        known = {k: kwargs[k] for k in ("method", "url", "params", "headers", "json", "data", "files") if k in kwargs}
        try:
            request = client.build_request(**known)
        except (TypeError, ValueError, httpx.InvalidURL):  # nothing that HTTP could carry
            assume(False)
        reply = client.send(request)
        assert reply.status_code < 500, reply.text
        if reply.status_code >= 400:
            told = reply.json()["error"]
            assert told["sentence"]
            assert told["kind"] in KINDS

    try:
        holds()
    except Unsatisfiable:
        pytest.skip("nothing beside its description can be asked of it")


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
