"""Trust cards and narratives over the interface: what Python gives, in words; nothing sent without agreement."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from servers import asked, finished, refused

import whylook
from loopback import Loopback, Reply, events, whole
from whylook.narration import narrate
from whylook.narration.settings import Settings as Service
from whylook.phantom import picture
from whylook.report.payload import told

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def explained(client: TestClient) -> tuple[TestClient, dict[str, Any]]:
    return client, _explained(client)


def _explained(client: TestClient) -> dict[str, Any]:
    form = {"picture": "sample:disc-marker", "models": "phantom:resnet", "methods": ["grad-cam", "gradient"]}
    return finished(client, asked(client, **form))


def narrative(client: TestClient, job: dict[str, Any], **body: Any) -> Any:
    return client.post(f"/api/explanations/{job['id']}/narrative", json=body)


def test_a_trust_card_is_the_one_that_python_makes(explained: tuple[TestClient, dict[str, Any]]) -> None:
    client, job = explained
    reply = client.post(f"/api/explanations/{job['id']}/trust", json={"model": "phantom:resnet", "method": "grad-cam"})
    assert reply.status_code == 202
    assert (reply.json()["kind"], reply.json()["of"]) == ("trust", job["id"])
    made = finished(client, reply.json())
    assert made["error"] is None
    card = client.get(made["links"]["result"]).json()
    direct = whylook.trust(picture(), "phantom:resnet", "grad-cam", seed=0)
    expected = direct.summary()
    for own in (card["summary"], expected):
        own.pop("seconds")
    assert card["summary"] == json.loads(json.dumps(expected))
    assert card["verdict"] == direct.verdict
    shown = [(f["title"], f["text"]) for q in card["questions"] for f in q["figures"]]
    assert shown == [(f.title, f.text) for q in direct.questions for f in q.figures]
    assert all(
        f["chance_text"] for q in card["questions"] if q["decides"] for f in q["figures"] if f["value"] is not None
    )
    assert client.get(made["links"]["page"]).headers["content-disposition"].startswith("attachment")

    # what was measured may be told of
    claims = json.dumps(narrative(client, job).json())
    assert direct.verdict in claims
    client.delete(job["links"]["self"])
    refused(client.get(made["links"]["self"]), 404, "not-found")  # gone with what it is about


def test_a_card_of_no_map_is_refused(explained: tuple[TestClient, dict[str, Any]]) -> None:
    client, job = explained
    for body in ({"model": "phantom:vgg", "method": "grad-cam"}, {"model": "phantom:resnet", "method": "rise"}):
        reply = client.post(f"/api/explanations/{job['id']}/trust", json=body)
        assert "there are: phantom:resnet/grad-cam" in refused(reply, 400, "usage")
    whole_body = {"model": "phantom:resnet", "method": "grad-cam", "picture": 1}
    refused(client.post(f"/api/explanations/{job['id']}/trust", json=whole_body), 400, "usage")
    refused(client.get(f"/api/jobs/{job['id']}/trust.html"), 404, "not-found")


def test_the_template_tells_what_it_tells_in_python(explained: tuple[TestClient, dict[str, Any]]) -> None:
    client, job = explained
    reply = narrative(client, job, by="template")
    assert reply.status_code == 200
    direct = told(narrate(whylook.explain(picture(), "phantom:resnet", ["grad-cam", "gradient"])))
    assert reply.json() == json.loads(json.dumps(direct))
    assert reply.json()["paragraphs"]
    refused(narrative(client, job, picture=1), 404, "not-found")


def test_without_a_service_nobody_is_asked(explained: tuple[TestClient, dict[str, Any]]) -> None:
    client, job = explained
    assert client.get("/api/health").json()["llm"] is False
    assert "--llm openai" in refused(narrative(client, job, by="openai", agreed=True), 400, "usage")
    reply = client.post(f"/api/explanations/{job['id']}/questions", json={"question": "Why?", "agreed": True})
    refused(reply, 400, "usage")


class Speaker(Loopback):
    """A language service that gives the `replies` in order."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        super().__init__(lambda _: self.replies.pop(0))


@pytest.fixture
def service() -> Iterator[Speaker]:
    pytest.importorskip("openai")
    with Speaker() as made:
        yield made


def spoken(client: TestClient, job: dict[str, Any], service: Speaker, *, stream: bool = False) -> None:
    """Have the service say what the template says, and one thing that is not so."""
    claims = [c for p in narrative(client, job).json()["paragraphs"] for c in p["claims"] if c["kind"] != "limit"][:3]
    wrong = {**claims[0], "text": "The patient certainly has cancer in 99 % of the lung."}
    text = json.dumps({"claims": [*claims, wrong], "not_assessable": []})
    if stream:
        service.replies.append(Reply(body=events(text), kind="text/event-stream"))
    else:
        service.replies.append(Reply(body=whole(text)))


def test_nothing_is_sent_before_a_person_agrees_to_exactly_that(
    serve: Callable[..., TestClient], tmp_path: Path, service: Speaker
) -> None:
    client = serve(data=tmp_path / "data", service=Service(service.url, "some-model", 10.0, KEY))
    assert client.get("/api/health").json()["llm"] is True
    job = _explained(client)
    reply = narrative(client, job, by="openai")
    refused(reply, 409, "consent")
    seen = reply.json()["preview"]
    assert service.asked == []
    assert (seen["address"], seen["model"], seen["local"]) == (service.url, "some-model", True)
    assert len(seen["pictures"]) == 2  # an overlay per map
    assert seen["pictures"][0]["src"].startswith("data:image/jpeg;base64,")
    assert KEY not in reply.text
    refused(narrative(client, job, by="openai", agreed=True, digest="0" * 64), 409, "consent")
    assert service.asked == []

    spoken(client, job, service)
    reply = narrative(client, job, by="openai", agreed=True, digest=seen["digest"])
    assert reply.status_code == 202
    made = finished(client, reply.json())
    assert made["error"] is None
    assert len(service.asked) == 1
    sent = json.dumps(service.asked[0].body)
    assert json.dumps(seen["facts"])[1:-1] in sent
    assert all(p["src"] in sent for p in seen["pictures"])
    assert "phantom-disc" not in sent  # the picture's name stays
    told_of = client.get(made["links"]["result"]).json()
    assert "cancer" not in json.dumps(told_of["paragraphs"])
    assert "cancer" in json.dumps(told_of["dropped"])
    for answer in (client.get("/api/jobs").text, json.dumps(told_of), client.get("/openapi.json").text):
        assert KEY not in answer


def test_questions_are_answered_claim_by_claim(
    serve: Callable[..., TestClient], tmp_path: Path, service: Speaker
) -> None:
    client = serve(data=tmp_path / "data", service=Service(service.url, "some-model", 10.0, KEY), images="none")
    job = _explained(client)
    address = f"/api/explanations/{job['id']}/questions"
    refused(client.post(address, json={"question": "Where does it look?"}), 409, "consent")
    assert service.asked == []
    spoken(client, job, service, stream=True)
    reply = client.post(address, json={"question": "Where does it look?", "agreed": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    came = [dict(line.split(": ", 1) for line in b.splitlines()) for b in reply.text.strip().split("\n\n")]
    kinds = [c["event"] for c in came]
    assert kinds[:3] == ["claim"] * 3
    assert "dropped" in kinds
    assert kinds[-1] == "end"
    claim = json.loads(came[0]["data"])
    assert set(claim["facts"]) == set(claim["fact_ids"])
    assert "Where does it look?" in json.dumps(service.asked[0].body)
    service.replies.append(Reply(status=500, body={"error": {"message": f"no, {KEY}"}}))
    service.replies.append(Reply(status=500, body={"error": {"message": f"no, {KEY}"}}))
    reply = client.post(address, json={"question": "And why?", "agreed": True})
    assert "event: error" in reply.text
    assert KEY not in reply.text
