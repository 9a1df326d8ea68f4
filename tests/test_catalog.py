"""What is known of each method: complete, readable, and the same in the docs."""

import json
from pathlib import Path

import numpy as np
import pytest

import whylook
from whylook.catalog import facts, families, link, markdown, meaning
from whylook.cli import run
from whylook.methods import METHODS

DOCS = Path(__file__).parents[1] / "docs"


def test_the_docs_page_is_up_to_date() -> None:
    written = (DOCS / "methods.md").read_text("utf-8")
    assert written == markdown(), "run: python docs/make_methods.py"


@pytest.mark.parametrize("name", METHODS.names())
def test_every_parameter_has_a_meaning(name: str) -> None:
    for parameter in METHODS[name].parameters:
        assert len(meaning(METHODS[name], parameter)) > 10, f"{name}: say what {parameter} means in its docstring"


def test_meanings_are_read_from_the_docstring() -> None:
    assert meaning(METHODS["smoothgrad"], "samples") == "number of noisy copies, 1 or more."
    assert meaning(METHODS["score-cam"], "rule").endswith(
        "which may be negative."
    )  # the section's last, over two lines
    assert meaning(METHODS["smoothgrad"], "nothing") == ""
    known = facts(METHODS["grad-cam"])["meanings"]
    assert list(known) == ["layer", "score", "against"]  # the engine's, where they mean something
    assert list(facts(METHODS["eigen-cam"])["meanings"]) == ["layer"]
    assert "seed" in facts(METHODS["smoothgrad"])["meanings"]


def test_families_are_together_and_say_what_they_have_in_common() -> None:
    listed = [(family, m.name) for family, common, members in families() for m in members if common.endswith(".")]
    assert [name for _, name in listed] == list(METHODS.names())
    assert all(METHODS[name].family == family for family, name in listed)
    assert len({family for family, _ in listed}) == len(list(families()))


def test_papers_have_addresses() -> None:
    assert link("arXiv:1610.02391") == "https://arxiv.org/abs/1610.02391"
    assert link("doi:10.1109/TIP.2021.3089943") == "https://doi.org/10.1109/TIP.2021.3089943"


def test_the_table_holds_every_method_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["methods"]) == 0
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if line.startswith("  ") and ":" not in line]
    assert max(map(len, rows)) <= 80
    for m in METHODS:
        (line,) = (i for i, row in enumerate(printed.splitlines()) if row.split()[:1] == [m.name])
        first, second, *more = printed.splitlines()[line : line + 6]
        assert first.split()[1] == ("±" if m.signed else "+")
        assert second.split()[0] == m.title.split()[0]
        assert m.cost.split()[0] in first
        assert any(row.endswith(m.paper) for row in map(str.rstrip, [second, *more]))


@pytest.mark.parametrize("name", METHODS.names())
def test_a_page_tells_all_that_is_known(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["methods", name]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    known = facts(METHODS[name])
    for fact in ("title", "summary", "formula", "cost", "sign", "map", "target", "limits", "prefer", "paper", "link"):
        assert " ".join(known[fact].split()) in printed, fact
    for parameter, text in known["meanings"].items():
        assert parameter in printed
        assert " ".join(text.split()[:3]) in printed


def test_json_is_the_same_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["methods", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [m["name"] for m in listed] == list(METHODS.names())
    assert run(["methods", "ablation-cam", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert one in listed
    assert one["link"] == "https://doi.org/10.1109/WACV45572.2020.9093360"
    assert one["parameters"] == {}
    assert next(m for m in listed if m["name"] == "score-cam")["parameters"] == {"baseline": 0.0, "rule": "softmax"}


@pytest.mark.parametrize(
    ("name", "given", "forwards", "backwards"),
    [
        ("gradient", {}, 1, 1),
        ("smoothgrad", {"samples": 7}, 7, 7),
        ("integrated-gradients", {"steps": 5}, 7, 5),
        ("integrated-gradients", {"steps": 5, "baseline": ["black", "white"]}, 14, 10),
        ("blur-ig", {"steps": 5}, 7, 5),
        ("guided-ig", {"steps": 5}, 7, 5),
        ("expected-gradients", {"samples": 5, "baseline": ["black", "white"]}, 8, 5),
        ("gradient-shap", {"samples": 5}, 7, 5),
        ("occlusion", {}, 226, 0),
        ("rise", {"samples": 9}, 9, 0),
        ("lime", {"samples": 60}, 60, 0),
        ("lime", {"cells": 2}, 16, 0),
        ("kernel-shap", {"samples": 100}, 102, 0),
        ("kernel-shap", {"cells": 2}, 16, 0),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_said_of_the_cost_is_what_is_counted(
    name: str, given: dict[str, object], forwards: int, backwards: int
) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    (made,) = whylook.explain(picture, "phantom:vgg", name, parameters={name: given}).maps
    assert made.passes == {"forward": forwards, "backward": backwards}, METHODS[name].cost
