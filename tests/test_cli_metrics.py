"""`whylook metrics`: all of the registry, in words and as one JSON document."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from whylook.cli import run
from whylook.metrics import METRICS
from whylook.metrics_catalog import markdown


def test_the_list_names_every_metric_and_its_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["metrics"]) == 0
    printed = capsys.readouterr().out
    for m in METRICS:
        assert m.name in printed
        assert m.title in printed
        assert m.paper in printed
    assert max(map(len, printed.splitlines())) <= 100
    assert "…" not in printed


@pytest.mark.parametrize("name", METRICS.names())
def test_every_metric_has_a_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["metrics", name]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    m = METRICS[name]
    for text in (m.title, m.summary, m.formula, m.limits, m.cost, m.paper, *(f"{k}=" for k in m.parameters)):
        assert " ".join(text.split()) in printed


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["metrics", "--json"]) == 0
    known = json.loads(capsys.readouterr().out)
    assert [f["name"] for f in known] == list(METRICS.names())
    assert run(["metrics", "enrichment", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["range"] == [0, None]


def test_the_page_of_metrics_is_what_the_registry_says() -> None:
    page = Path(__file__).parent.parent / "docs" / "metrics.md"
    assert page.read_text("utf-8") == markdown(), "run python docs/make_metrics.py"


def test_an_unknown_metric_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["metrics", "delection"]) == 2
    assert "did you mean deletion" in capsys.readouterr().err


def test_nothing_heavy_is_imported_for_the_list() -> None:
    code = "import sys; from whylook.cli import run; run(['metrics']); print({'torch', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
