"""Facts against brute force, against other measures of the same, and against known truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import made_up
import whylook
from whylook.facts import Facts, facts
from whylook.facts.evidence import Evidence, MapEvidence, of_explanation, of_folder
from whylook.facts.regions import THIRDS, common, masked, third_of, thirds
from whylook.metrics import Case, measure
from whylook.metrics.grids import resample, spearman
from whylook.metrics.region import Region
from whylook.phantom.render import render
from whylook.report.bundle import save

RNG = np.random.default_rng(3)
BOX = (0.0, 0.0, 60.0, 90.0)


def brute(
    values: np.ndarray, placement: tuple[float, ...], visible: tuple[float, ...], size: tuple[int, int]
) -> np.ndarray:
    """Mass in the nine parts by sampling the map at the centers of fine squares."""
    fine = 8
    ys, xs = ((np.arange(n * fine) + 0.5) / fine for n in size)
    rows = ((ys - placement[0]) / (placement[2] - placement[0]) * values.shape[0]).astype(int)
    columns = ((xs - placement[1]) / (placement[3] - placement[1]) * values.shape[1]).astype(int)
    seen = np.outer((ys > visible[0]) & (ys < visible[2]), (xs > visible[1]) & (xs < visible[3]))
    sampled = values[rows.clip(0, values.shape[0] - 1)][:, columns.clip(0, values.shape[1] - 1)] * seen
    where = np.add.outer(3 * (3 * ys / size[0]).astype(int), (3 * xs / size[1]).astype(int))
    mass = np.bincount(where.ravel(), sampled.ravel(), 9)
    return np.asarray(mass / mass.sum())


@pytest.mark.parametrize("visible", [BOX, (0.0, 15.0, 60.0, 75.0), (7.5, 15.25, 52.5, 75.5)])
@pytest.mark.parametrize("grid", [(7, 7), (8, 5), (60, 60)])
def test_shares_of_the_nine_parts(visible: tuple[float, float, float, float], grid: tuple[int, int]) -> None:
    values = RNG.random(grid)
    mass, area, padding = thirds(values, visible, visible, (60, 90))
    assert mass.sum() == pytest.approx(1)
    assert area.sum() == pytest.approx(1)
    assert padding == 0
    np.testing.assert_allclose(mass, brute(values, visible, visible, (60, 90)), atol=4e-3)
    np.testing.assert_allclose(area, thirds(np.ones(grid), visible, visible, (60, 90))[0], atol=1e-12)


def test_mass_on_padding_is_told_apart() -> None:
    values = np.array([[1.0], [2.0], [1.0]])
    mass, area, padding = thirds(values, (-30.0, 0.0, 60.0, 30.0), (0.0, 0.0, 30.0, 30.0), (30, 30))
    assert padding == pytest.approx(0.5)
    np.testing.assert_allclose(mass, np.full(9, 1 / 9))
    np.testing.assert_allclose(area, np.full(9, 1 / 9))


def test_a_mask_measures_what_the_metric_does() -> None:
    e = made_up.explanation(models=["resnet50"], methods=made_up.METHODS[:2])
    mask = np.zeros((64, 96), bool)
    mask[10:41, 33:70] = True
    for m in e.maps:
        share, area = masked(np.maximum(m.values, 0).astype(float), mask, m.geometry.placement, m.geometry.visible)
        score = measure("mass", Case(m.values, region=Region.of(mask, m.geometry)))
        assert share == pytest.approx(score.value, abs=1e-9)
        assert area == pytest.approx(score.chance, abs=1e-9)


def test_a_mask_that_is_a_part_has_the_share_of_the_part() -> None:
    values, visible = RNG.random((7, 7)), (0.0, 15.0, 60.0, 75.0)
    mass, area, _ = thirds(values, visible, visible, (60, 90))
    for i in range(9):
        mask = np.zeros((60, 90), bool)
        mask[20 * (i // 3) : 20 * (i // 3) + 20, 30 * (i % 3) : 30 * (i % 3) + 30] = True
        assert masked(values, mask, visible, visible) == pytest.approx((mass[i], area[i]))


def test_maps_of_one_area_meet_on_the_coarser_grid() -> None:
    a, b = RNG.random((12, 9)), RNG.random((6, 6))
    one, other = common(a, b, ((BOX, BOX), (BOX, BOX)), 14) or pytest.fail("no common area")
    np.testing.assert_allclose(one, resample(a, (6, 6)))
    np.testing.assert_allclose(other, b)
    assert spearman(one, other) == pytest.approx(spearman(a, b)) or a.shape[1] % 6


def test_the_same_scene_through_two_crops_agrees() -> None:
    scene = RNG.random((12, 12))
    left, right = (0.0, 0.0, 120.0, 80.0), (0.0, 40.0, 120.0, 120.0)
    one, other = common(scene[:, :8], scene[:, 4:], ((left, left), (right, right)), 14) or pytest.fail("no common area")
    np.testing.assert_allclose(one, scene[:, 4:8])
    np.testing.assert_allclose(other, scene[:, 4:8])
    assert common(scene, scene, ((left, (0, 0, 120, 30)), (right, (0, 40, 120, 120))), 14) is None


def test_third_of() -> None:
    assert third_of(0, 0, (30, 30)) == "upper left"
    assert third_of(15, 15, (30, 30)) == "center"
    assert third_of(30, 30, (30, 30)) == "lower right"
    assert [third_of(15 + 30 * (i % 3), 10 + 20 * (i // 3), (60, 90)) for i in range(9)] == list(THIRDS)


def test_the_table_is_strict_json_with_ids_of_their_own_and_no_name_of_a_file() -> None:
    known = facts(made_up.explanation(made_up.picture(name="Jane_Doe_1970.png"), targets=2), np.eye(64, 96))
    text = json.dumps(known.as_dict(), allow_nan=False)
    assert len({f.id for f in known}) == len(known) > 100
    assert "Jane" not in text
    assert known.picture == "Jane_Doe_1970.png"
    assert known["m1.p1"] in known.named("probability")
    with pytest.raises(whylook.UsageError, match="no fact 'm9'"):
        known["m9"]


def test_shares_add_up_and_answers_are_the_predictions() -> None:
    e = made_up.explanation()
    known = facts(e)
    for number, m in enumerate(e.maps, 1):
        shares = [f for f in known.named("share") if f.id.startswith(f"a{number}.")]
        if m.reason:
            assert not shares
            assert known[f"a{number}.empty"].text == m.reason
        else:
            assert sum(f.value or 0 for f in shares) == pytest.approx(1)
            assert sum(f.chance or 0 for f in shares) == pytest.approx(1)
    for number, p in enumerate(e.predictions.values(), 1):
        assert known[f"m{number}.p1"].value == pytest.approx(p.top(1)[0].probability)


def test_a_saved_folder_gives_the_same_facts(tmp_path: Path) -> None:
    both = [
        made_up.explanation(models=["resnet50", "vgg16"], methods=made_up.METHODS[1:]),
        made_up.explanation(made_up.picture(50, 40, "other.png"), ["vgg"], made_up.METHODS[2:], targets=2),
    ]
    save(both, tmp_path)
    for e, kept in zip(both, of_folder(tmp_path), strict=True):
        assert facts(kept).as_dict() == facts(e).as_dict()
    (tmp_path / "maps.npz").unlink()
    with pytest.raises(whylook.UsageError, match=r"holds no maps\.npz"):
        of_folder(tmp_path)


def verdicts(known: Facts) -> dict[frozenset[str], str]:
    return {frozenset(f.subject.models): f.text for f in known.named("agreement") if len(f.subject.models) == 2}


def test_the_order_of_the_models_changes_nothing() -> None:
    e = of_explanation(made_up.explanation(methods=["made-up-cam"], failing=False, empty=False))
    turned = replace(e, maps=e.maps[::-1], answers=dict(reversed(list(e.answers.items()))))
    assert verdicts(facts(e)) == verdicts(facts(turned))
    assert len(verdicts(facts(e))) == 6


def single(values: np.ndarray, **more: object) -> Evidence:
    e = of_explanation(made_up.explanation(models=["resnet50"], methods=["made-up-cam"]))
    m: MapEvidence = replace(e.maps[0], values=values.astype(np.float32), **more)  # type: ignore[arg-type]
    return replace(e, maps=(m,))


def test_noise_is_told_as_even_and_nothing_as_nothing() -> None:
    noise = whylook.narrate(single(RNG.random((56, 56)))).text()
    assert "spread evenly" in noise
    assert "is consistent with little information on place" in noise
    assert "largest share" not in noise
    assert "zero everywhere: “Nothing in it speaks for the class.”" in whylook.narrate(single(np.zeros((7, 7)))).text()
    assert "the same everywhere" in whylook.narrate(single(np.ones((7, 7)))).text()
    assert "empty: “Its values are not finite.”" in whylook.narrate(single(np.full((7, 7), np.nan))).text()
    assert facts(single(-np.ones((7, 7)), signed=True))["a1.empty"].verdict == "not assessable"


def test_a_mask_that_cannot_be_is_refused() -> None:
    e = made_up.explanation()
    for mask, why in (
        (np.ones((3, 3)), "has shape"),
        (np.zeros((64, 96)), "nothing"),
        (np.ones((64, 96)), "everything"),
    ):
        with pytest.raises(whylook.UsageError, match=why):
            facts(e, mask)
    with pytest.raises(whylook.UsageError, match="another region"):
        facts(e, {"center": np.eye(64, 96)})


def test_the_shortcut_is_told_as_reading_the_marker() -> None:
    film = render(11, lesion="disc", marker=True)
    masks = {name: film.scoring_mask(name) for name in ("lesion", "marker")}
    for model, read, other in (("phantom:resnet-shortcut", "marker", "lesion"), ("phantom:resnet", "lesion", "marker")):
        e = whylook.explain(whylook.load_image(film.pixels), model, ["grad-cam"], "disc")
        told = whylook.narrate(e, masks)
        meant = [c.text for c in told.verified.kept if c.kind == "interpretation"]
        assert any("may read" in t and read in t for t in meant), (model, meant)
        assert not any("may read" in t and other in t for t in meant), (model, meant)
        assert not told.verified.dropped
