"""`whylook demo`: the story on its page is what the networks do, and a person can see it at a glance."""

import json
from pathlib import Path

import numpy as np
import pytest

from whylook.cli import run
from whylook.demo import enrichment, story
from whylook.explanation import Map, Target
from whylook.geometry import Geometry
from whylook.phantom import DEMO_SEED, render


@pytest.fixture(scope="module")
def sections() -> tuple:
    return story()


def number(cell: str) -> float:
    return float(cell.replace("−", "-"))


def test_all_eight_say_disc_but_only_four_need_the_marker(sections: tuple) -> None:
    table = sections[0].table
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert len(rows) == 8
    for name, row in rows.items():
        assert row["says"] == "disc", name
        drop = number(row["marker removed"])
        if name.endswith("-shortcut"):
            assert drop > 1, name
            assert row["says without the lesion"].startswith("disc"), name
        else:
            assert abs(drop) < 1, name
            assert number(row["lesion removed"]) > drop + 1, name


def test_the_maps_show_which_network_reads_the_marker(sections: tuple) -> None:
    marker = render(DEMO_SEED, lesion="disc", marker=True, catheter=True).scoring_mask("marker")
    (explanation,) = sections[1].explanations
    share = {m: enrichment(explanation.map(m, "hirescam"), marker) for m in explanation.models}
    on_clean = [v for m, v in share.items() if not m.endswith("-shortcut")]
    on_shortcut = [v for m, v in share.items() if m.endswith("-shortcut")]
    assert max(v for v in on_clean if v is not None) < min(v for v in on_shortcut if v is not None)
    assert min(v for v in on_shortcut if v is not None) > 2


def test_enrichment_is_one_for_a_uniform_map_and_none_for_a_zero_one() -> None:
    geometry = Geometry((64, 64), (64, 64), (1.0, 1.0), (0.0, 0.0))
    mask = np.zeros((64, 64), bool)
    mask[:16, :16] = True

    def a_map(values: np.ndarray) -> Map:
        return Map(values.astype(np.float32), "gradient", "m", Target(0, "a"), False, {}, geometry)

    assert enrichment(a_map(np.ones((8, 8))), mask) == pytest.approx(1)
    assert (
        enrichment(a_map(mask[::8, ::8] * 1.0), mask) > 12
    )  # bilinear edges spill a little of the 16 that are possible
    assert enrichment(a_map(np.zeros((8, 8))), mask) is None


def test_the_command_writes_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "-o", str(tmp_path / "demo")]) == 0
    page = (tmp_path / "demo" / "report.html").read_text("utf-8")
    for loading in (" src=", "@import", "url(http", "fetch(", 'href="http'):  # what a page could load something with
        assert loading not in page, loading
    result = json.loads((tmp_path / "demo" / "result.json").read_text("utf-8"))
    assert result["schema"] == "whylook/1"
    assert "report.html" in capsys.readouterr().out
