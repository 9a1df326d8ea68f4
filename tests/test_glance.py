"""What is said of a map without running anything: true of maps that are made to be right, wrong or empty."""

from dataclasses import replace

import numpy as np
import pytest

from whylook import explain
from whylook.explainer import prepare
from whylook.explanation import Explanation
from whylook.metrics.dummies import sobel
from whylook.phantom import picture
from whylook.report.section import trust_table


@pytest.fixture(scope="module")
def explained() -> Explanation:
    return explain(picture(), "phantom:vgg-shortcut", ["lrp", "hirescam", "integrated-gradients"])


def changed(explained: Explanation, method: str, values: np.ndarray) -> Explanation:
    """The same with other values in the map of one method."""
    maps = [replace(m, values=values.astype(np.float32)) if m.method == method else m for m in explained.maps]
    return replace(explained, maps=tuple(maps))


def glance(explained: Explanation, method: str):
    return explained.glances[[m.method for m in explained.maps].index(method)]


def test_maps_are_compared_with_another_family_in_the_order_of_the_card(explained: Explanation) -> None:
    assert [g.partner for g in explained.glances] == ["hirescam", "lrp", "lrp"]
    assert [g.worth for g in explained.glances] == ["no objection"] * 3
    of_ig = glance(explained, "integrated-gradients")
    assert of_ig.missing == explained.map("phantom:vgg-shortcut", "integrated-gradients").facts["relative_residual"]
    assert glance(explained, "lrp").missing is None


def test_the_same_map_agrees_perfectly_and_its_opposite_is_doubtful(explained: Explanation) -> None:
    lrp = explained.map("phantom:vgg-shortcut", "lrp").values
    twice = changed(explained, "integrated-gradients", lrp)
    assert glance(twice, "integrated-gradients").agreement.value == pytest.approx(1)
    away = np.maximum(lrp, 0).max() - np.maximum(lrp, 0)
    opposite = glance(changed(explained, "integrated-gradients", away), "integrated-gradients")
    assert opposite.agreement.value < 0
    assert opposite.worth == "doubtful"


def test_edges_are_known_as_such(explained: Explanation) -> None:
    x = prepare(explained.models["phantom:vgg-shortcut"], explained.image)[0].numpy()
    drawn = changed(explained, "lrp", sobel(x))
    assert glance(drawn, "lrp").edges.value == pytest.approx(1)
    assert glance(explained, "lrp").edges.value < 0.9


def test_a_map_that_shows_nothing_is_nobodys_partner(explained: Explanation) -> None:
    empty = changed(explained, "lrp", np.zeros((64, 64)))
    assert glance(empty, "lrp").worth == "shows nothing"
    assert [glance(empty, m).partner for m in ("hirescam", "integrated-gradients")] == [
        "integrated-gradients",
        "hirescam",
    ]
    alone = replace(explained, maps=explained.maps[:1])
    assert alone.glances[0].partner is None
    assert alone.glances[0].agreement.reason is not None


def test_another_answer_than_the_models_own_is_doubtful() -> None:
    other = explain(picture(), "phantom:vgg-shortcut", ["lrp", "hirescam"], "ring")
    assert {g.worth for g in other.glances} == {"doubtful"}
    assert all("not ring" in " ".join(g.warnings) for g in other.glances)


def test_every_report_has_a_line_per_map_and_no_verdict(explained: Explanation) -> None:
    shown = trust_table([explained])
    assert shown is not None
    assert len(shown.rows) == 3
    assert "no verdict" in (shown.note or "")
    assert "hirescam" not in shown.rows[0]  # titles, not names
    page = explained.html()
    assert "at a glance" in page
    assert '"no objection"' in page
