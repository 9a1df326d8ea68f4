"""Reading a language service's answers: what is in them comes out, however they are wrapped or cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whylook.narration.answer import Answer, Arriving, Unreadable, read
from whylook.narration.claims import Claim

TWO = {
    "claims": [
        {"text": 'The map {"of"} a ] brace.', "fact_ids": ["f1", "f2"], "kind": "observation"},
        {"text": "It cannot show causes.", "fact_ids": ["limit-1"], "kind": "limit"},
    ],
    "not_assessable": ["Why the lesion is there."],
}
CLAIMS = (
    Claim('The map {"of"} a ] brace.', ("f1", "f2"), "observation"),
    Claim("It cannot show causes.", ("limit-1",), "limit"),
)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(TWO),
        f"```json\n{json.dumps(TWO, indent=2)}\n```",
        f"Here [as asked] is the {{JSON}}:\n{json.dumps(TWO)}\nI hope that this helps {{you}}!",
        f"<think>I count [1, 2]</think>{json.dumps(TWO)}",
        json.dumps(TWO["claims"]),
        json.dumps({"claims": [*TWO["claims"], {"text": 3}, "words", {"text": " \n"}, None]}),
    ],
    ids=["plain", "fenced", "between sentences", "after thinking", "a bare list", "among rubbish"],
)
def test_claims_are_found_however_they_are_wrapped(text: str) -> None:
    assert read(text).claims == CLAIMS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The model looks at the middle.",
        "{}",
        "[]",
        "[1, 2]",
        '{"claims": 3}',
        '{"claims": ["a"]}',
        '{"claims": [{',
        "[" * 5000,
    ],
)
def test_what_holds_no_claims_is_said(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


def test_nothing_to_say_is_an_answer() -> None:
    text = json.dumps({"claims": [], "not_assessable": ["The age of the patient.", 7]})
    assert read(text) == Answer((), ("The age of the patient.",))


def test_claims_are_one_line_that_a_terminal_can_show() -> None:
    item = {"text": "Red\x1b[31m\nand \u202eturned\u200b round.", "fact_ids": "f1", "kind": "proof"}
    assert read(json.dumps({"claims": [item]})).claims == (Claim("Red [31m and turned round.", ("f1",), "observation"),)
    long = {"text": "a" * 5000, "fact_ids": ["f"] * 1000, "kind": "limit"}
    (claim,) = read(json.dumps([long])).claims
    assert len(claim.text) < 2000
    assert len(claim.fact_ids) < 1000
    assert len(read(json.dumps([long] * 1000)).claims) < 1000


@given(st.lists(st.integers(1, 20)), st.sampled_from([None, 1]))
def test_claims_arrive_one_by_one_wherever_the_stream_is_cut(sizes: list[int], indent: int | None) -> None:
    text, arriving, got, at = json.dumps(TWO, indent=indent), Arriving(), [], 0
    for size in [*sizes, len(text)]:
        before = len(got)
        got += arriving.feed(text[at : at + size])
        at += size
        complete = [c for c in CLAIMS if json.dumps(c.text)[1:-1] in text[:at] and c in got]
        assert got == complete
        assert len(got) >= before
    assert tuple(got) == CLAIMS


def test_a_claim_is_there_with_its_last_brace() -> None:
    text, arriving = json.dumps(TWO), Arriving()
    first = text.index('"kind": "observation"}') + len('"kind": "observation"}')
    assert arriving.feed(text[: first - 1]) == []
    assert arriving.feed(text[first - 1 : first]) == [CLAIMS[0]]
