"""The score of a live narrator: all answers of a truthful one are right, none of one that changes the numbers."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from loopback import Asked, Loopback, Reply, events
from whylook import explain
from whylook.facts import facts
from whylook.narration import template
from whylook.phantom import picture

pytest.importorskip("openai")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # bench is not installed
from bench.narrator import KINDS, main, questions


def reply(claims: list[dict[str, object]]) -> Reply:
    text = json.dumps({"claims": claims, "not_assessable": []})
    return Reply(body=events(text, size=200), kind="text/event-stream")


def table(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[int, int]]:
    lines = capsys.readouterr().out.splitlines()[1:]
    return {line.split()[0]: (int(line.split()[2]), int(line.split()[4])) for line in lines}


def test_the_truth_is_right_and_wrong_numbers_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    known = facts(explain(picture(0), ["phantom:resnet", "phantom:vgg-shortcut"], ["grad-cam", "gradient"]))
    asked = {q.text: q for q in questions(known)}
    assert set(Counter(q.kind for q in asked.values())) == set(KINDS)
    true = [c.as_dict() for c in template(known) if c.kind != "limit"]
    shares = {f.id: f for f in known.named("share")}

    def sentence(fact_id: str) -> dict[str, object]:
        """What the template says of a fact; of shares, whose sentences name the largest only, whether it is more or less."""
        if fact_id not in shares or shares[fact_id].verdict == "largest":
            citing = [claim for claim in true if fact_id in claim["fact_ids"]]
            return min(citing, key=lambda claim: len(claim["fact_ids"]))
        f = shares[fact_id]
        of = f"In the {known.titles[f.subject.methods[0]]} map of {f.subject.models[0]} for “{f.subject.target}”"
        text = f"{of}, the {f.subject.region} holds {f.text} of the mass, {f.verdict} than its {f.chance_text} of the area."
        return {"text": text, "fact_ids": [fact_id], "kind": "observation"}

    def truthful(request: Asked) -> Reply:
        text = request.body["input"][0]["content"][0]["text"]
        return reply([sentence(q.fact_id) for q in asked.values() if json.dumps(q.text) in text])

    def wrong(request: Asked) -> Reply:
        text = request.body["input"][0]["content"][0]["text"]
        (claim,) = [sentence(q.fact_id) for q in asked.values() if json.dumps(q.text) in text]
        turned = str(claim["text"]).translate(str.maketrans("0123456789", "9876543210"))
        return reply([{**claim, "text": turned}])

    for answer, all_right in ((truthful, True), (wrong, False)):
        with Loopback(answer) as service:
            assert main(["--llm-url", service.url, "--llm-model", "m", "--pictures", "1"]) == 0
        found = table(capsys)
        for kind in KINDS:
            count = sum(q.kind == kind for q in asked.values())
            assert found[kind] == (count if all_right else 0, count)


def test_no_answer_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["--pictures", "1"]) == 5
    assert "OPENAI_API_KEY" in capsys.readouterr().err
