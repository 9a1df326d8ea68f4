"""Known truth: the mask as map is best, its complement worst, and maps that know nothing are at chance."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whylook.errors import UsageError
from whylook.geometry import Geometry
from whylook.metrics import METRICS, Case, Score, measure
from whylook.metrics.dummies import dummies
from whylook.metrics.grids import ranks, resample, spearman, top_area
from whylook.metrics.region import Region

LOCALIZATION = [m.name for m in METRICS if m.needs == "mask"]
SIZE = (20, 30)


def plain(shape: tuple[int, int] = SIZE) -> Geometry:
    return Geometry(shape, shape, (1.0, 1.0), (0.0, 0.0))


def blob(shape: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[3:9, 11:19] = True
    mask[6, 19] = True
    return mask


def score(name: str, values: np.ndarray, mask: object, geometry: Geometry | None = None) -> Score:
    return measure(name, Case(values, Region.of(mask, geometry or plain())))


def value(name: str, values: np.ndarray, mask: object, geometry: Geometry | None = None) -> float:
    found = score(name, values, mask, geometry)
    assert found.value is not None, found.reason
    return found.value


@pytest.mark.parametrize("name", LOCALIZATION)
def test_the_mask_as_map_is_best_and_its_complement_worst(name: str) -> None:
    mask = blob()
    area = mask.mean()
    best = 1 / area if name == "enrichment" else 1.0
    assert value(name, mask.astype(float), mask) == pytest.approx(best, abs=1e-12)
    assert value(name, mask * 1e-30, mask) == pytest.approx(best, abs=1e-12)  # only the order of magnitude changed
    worst = value(name, 1.0 - mask, mask)
    if name == "auprc":  # all of the mask is found last
        assert worst == pytest.approx(area)
    else:
        assert worst == 0


@pytest.mark.parametrize("name", LOCALIZATION)
def test_random_maps_are_at_chance(name: str) -> None:
    mask, rng = blob(), np.random.default_rng(0)
    many = [score(name, rng.random(SIZE), mask) for _ in range(400)]
    values, chance = np.array([s.value for s in many]), many[0].chance
    error = values.std(ddof=1) / math.sqrt(len(values))
    if name == "hit-rate":  # one instance of 49 cells is half covered by chance about never
        assert chance is None
        assert values.mean() < 0.01
    elif name == "iou":  # a ratio: its expectation is a little off the ratio of expectations
        assert values.mean() == pytest.approx(chance, abs=3 * error + 0.002)
    elif name == "auprc":  # biased upward by about 1 / n, as known
        assert values.mean() == pytest.approx(chance, abs=3 * error + 0.01)
    else:
        assert values.mean() == pytest.approx(chance, abs=3 * error)


@pytest.mark.parametrize("name", [n for n in LOCALIZATION if n != "hit-rate"])
@pytest.mark.parametrize("grid", [SIZE, (4, 6), (7, 7)])
def test_a_uniform_map_is_exactly_at_chance(name: str, grid: tuple[int, int]) -> None:
    found = score(name, np.full(grid, 0.3), blob())
    assert found.value == pytest.approx(found.chance, rel=1e-9)


def test_enrichment_is_mass_over_area() -> None:
    values, mask = np.random.default_rng(0).normal(size=SIZE), blob()
    found = score("enrichment", values, mask)
    assert found.value == pytest.approx(value("mass", values, mask) / mask.mean())
    assert found.facts["area"] == pytest.approx(mask.mean())
    assert found.facts["largest"] == pytest.approx(1 / mask.mean())


@pytest.mark.parametrize("name", LOCALIZATION)
def test_an_empty_mask_is_no_hit_but_not_assessable(name: str) -> None:
    # Quantus counts it as a hit, see test_metrics_peers.
    found = score(name, np.ones(SIZE), np.zeros(SIZE, bool))
    assert (found.value, found.reason) == (None, "the mask is empty")
    full = score(name, np.ones(SIZE), np.ones(SIZE, bool))
    assert (full.value, full.reason) == (None, "the mask covers all that the model was shown")
    assert measure(name, Case(np.ones(SIZE))).reason == "no mask was given"


@pytest.mark.parametrize("name", LOCALIZATION)
def test_maps_that_show_nothing_have_no_score(name: str) -> None:
    for values in (np.zeros(SIZE), -np.random.default_rng(0).random(SIZE)):
        assert score(name, values, blob()).reason == "nothing in the map speaks for the target"
    for bad in (np.nan, np.inf):
        assert score(name, np.where(blob(), bad, 1.0), blob()).reason == "the map is not finite"


@pytest.mark.parametrize("name", LOCALIZATION)
def test_evidence_against_the_target_counts_as_nothing(name: str) -> None:
    values = np.random.default_rng(4).normal(size=SIZE)
    assert value(name, values, blob()) == value(name, np.maximum(values, 0), blob())


@pytest.mark.parametrize("name", LOCALIZATION)
def test_scale_and_mirror_change_nothing(name: str) -> None:
    values, mask = np.random.default_rng(2).random((10, 10)), np.zeros((10, 10), bool)
    mask[2:4, 5:9] = True
    expected = value(name, values, mask, plain((10, 10)))
    for factor in (1e-30, 7.0, 1e30):
        assert value(name, values * factor, mask, plain((10, 10))) == pytest.approx(expected, rel=1e-12)
    assert value(name, values[:, ::-1], mask[:, ::-1], plain((10, 10))) == pytest.approx(expected)
    assert value(name, values.T, mask.T, plain((10, 10))) == pytest.approx(expected)


def test_the_pointing_game_tolerates_half_a_cell() -> None:
    mask = np.zeros((16, 16), bool)
    mask[4, 4] = True  # the corner of cell (1, 1) of a 4×4 grid
    values = np.zeros((4, 4))
    values[1, 1] = 1
    assert value("pointing", values, mask, plain((16, 16))) == 1
    values[1, 1], values[0, 0] = 0, 1
    assert value("pointing", values, mask, plain((16, 16))) == 0
    values[1, 1] = values[3, 3] = values[0, 1] = 1  # four highest cells, one of them touches
    assert value("pointing", values, mask, plain((16, 16))) == 0.25


def test_average_precision_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng, mask = np.random.default_rng(0), blob()
    for values in (rng.random(SIZE), rng.integers(0, 4, SIZE) + 0.0):
        expected = metrics.average_precision_score(mask.ravel(), np.maximum(values, 0).ravel())
        assert value("auprc", values, mask) == pytest.approx(expected)


def test_cells_that_are_partly_covered_count_partly() -> None:
    mask = np.zeros((8, 8), bool)
    mask[0:2, 0:3] = True  # cells of 4×4 pixels: (0, 0) is covered by 6 of 16
    values = np.array([[1.0, 1.0], [0.0, 2.0]])
    assert value("mass", values, mask, plain((8, 8))) == pytest.approx(6 / 16 / 4)
    assert value("enrichment", values, mask, plain((8, 8))) == pytest.approx((6 / 16 / 4) / (6 / 64))


def test_instances_are_found_one_by_one() -> None:
    labels = np.zeros(SIZE, int)
    labels[2:4, 2:6], labels[10:14, 20:24], labels[17:19, 3:5] = 1, 5, 9
    values = np.where(labels == 5, 3.0, 0.0) + np.where(labels == 1, 2.0, 0.0) + 0.1
    found = score("hit-rate", values, labels)
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)
    assert value("hit-rate", values, [labels == 1, labels == 5, labels == 9]) == found.value
    assert value("hit-rate", (labels > 0) + 0.0, labels) == 1
    assert value("mass", values * (labels > 0), labels) == 1  # all other metrics take the instances together


def test_an_instance_that_the_crop_cut_away_does_not_count() -> None:
    labels = np.zeros((10, 20), int)
    labels[4:6, 9:11], labels[4:6, 0:2] = 1, 2
    crop = Geometry((10, 20), (10, 10), (1.0, 1.0), (0.0, -5.0))
    region = Region.of(labels, crop)
    assert region.lost == pytest.approx(0.5)
    assert region.each((10, 10)).shape == (1, 10, 10)
    assert measure("hit-rate", Case((labels[:, 5:15] > 0) + 0.0, region)).n == 1
    gone = Region.of(labels == 2, crop)
    assert gone.lost == 1
    assert measure("mass", Case(np.ones((10, 10)), gone)).reason == "the mask lies outside of what the model was shown"


def test_masks_go_through_the_crop_of_the_picture() -> None:
    from whylook.image import load_image
    from whylook.preprocess import Preprocess

    rng = np.random.default_rng(0)
    pixels = np.zeros((90, 130), np.uint8)
    pixels[20:61, 50:95] = 255
    image = load_image(pixels)
    for prepare in (
        Preprocess((32, 32), "shorter", (40, 40), channels=1, mean=(0,), std=(1,)),
        Preprocess((32, 48), "squash", (32, 48), channels=1, mean=(0,), std=(1,)),
        Preprocess((40, 40), "longer", (40, 40), channels=1, mean=(0,), std=(1,)),
    ):
        region = Region.of(pixels > 0, prepare.geometry(image))
        covered, fed = region.coverage(prepare.input_size), prepare.apply(image)[0].numpy()
        assert abs(covered - fed).mean() < 0.02  # the resized picture blurs the border a little wider
        sure = (fed < 0.01) | (fed > 0.99)
        assert abs(covered - fed)[sure].max() < 0.02
        assert rng is not None


def test_the_share_lost_is_that_of_the_area() -> None:
    mask = np.zeros((10, 20), bool)
    mask[:, :8] = True
    assert Region.of(mask, Geometry((10, 20), (10, 10), (1.0, 1.0), (0.0, -5.0))).lost == pytest.approx(5 / 8)
    assert Region.of(mask, plain((10, 20))).lost == 0
    assert math.isnan(Region.of(mask & False, plain((10, 20))).lost)


def test_padding_is_not_covered() -> None:
    region = Region.of(np.ones((10, 20), bool), Geometry((10, 20), (20, 20), (1.0, 1.0), (5.0, 0.0)))
    assert region.coverage((20, 20)).sum() == 200
    assert region.coverage((20, 20))[:5].sum() == 0
    assert region.coverage((4, 4))[0].tolist() == [0.0] * 4
    assert region.lost == 0


def test_the_largest_enrichment_is_reached_at_the_grid_of_the_map() -> None:
    mask = np.zeros((16, 16), bool)
    mask[1:3, 1:4] = True  # a part of one cell of four by four, and none of it whole
    region = Region.of(mask, plain((16, 16)))
    best = np.zeros((4, 4))
    best[0, 0] = 1
    found = measure("enrichment", Case(best, region))
    assert found.value == pytest.approx(found.facts["largest"]) == pytest.approx(16)
    assert found.facts["largest"] < 1 / mask.mean()


def test_rounding_touches_no_cell() -> None:
    rng = np.random.default_rng(0)
    for height, width in rng.integers(150, 250, (400, 2)).tolist():
        top, left = height // 3, width // 3
        mask = np.zeros((height, width), bool)
        mask[top : top + int(rng.integers(5, 40)), left : left + int(rng.integers(5, 40))] = True
        scale = 256 / min(height, width)
        crop = Geometry(
            (height, width), (224, 224), (scale, scale), (-(height * scale - 224) / 2, -(width * scale - 224) / 2)
        )
        covered = Region.of(mask, crop).coverage((7, 7))
        assert not ((covered > 0) & (covered < 1e-9)).any()


@pytest.mark.parametrize(
    ("mask", "instances"),
    [
        (np.array([[0, 255], [0, 255]], np.uint8), 1),
        (np.array([[0, 1], [2, 2]]), 2),
        (np.array([[0.0, 1.0], [0, 1]]), 1),
        (np.array([[False, True], [False, False]]), 1),
        ([[[0, 1], [0, 0]], [[1, 0], [0, 0]]], 2),
    ],
)
def test_masks_are_read_in_many_forms(mask: object, instances: int) -> None:
    assert len(Region.of(mask, plain((2, 2))).masks) == instances


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((3, 2)), r"\(3, 2\); the picture is \(2, 2\)"),
        (np.array([[0, 0.5], [1, 1]]), "0 and 1 only"),
        (np.array([["a", "b"], ["a", "b"]]), "bool or whole numbers"),
        (np.ones((1, 2, 2, 2)), "shape"),
    ],
)
def test_what_is_no_mask_is_refused(mask: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Region.of(mask, plain((2, 2)))


sides = st.integers(1, 9)


@given(sides, sides, sides, sides, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_resampling_keeps_the_mean_and_cell_values(h: int, w: int, rows: int, columns: int, seed: int) -> None:
    values = np.random.default_rng(seed).random((h, w))
    assert resample(values, (rows, columns)).mean() == pytest.approx(values.mean())
    finer = resample(values, (h * rows, w * columns))
    np.testing.assert_allclose(finer, values.repeat(rows, 0).repeat(columns, 1))
    np.testing.assert_allclose(resample(finer, (h, w)), values)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.floats(0.01, 1))
@settings(max_examples=80, deadline=None)
def test_the_top_area_is_the_expectation_over_ways_to_break_ties(levels: list[int], part: float) -> None:
    values = np.array(levels, float)[None]
    area = part * values.size
    taken = top_area(values, area)
    assert taken.sum() == pytest.approx(area)
    assert taken.min() >= -1e-9
    assert taken.max() <= 1 + 1e-9
    for level in set(levels):
        assert np.ptp(taken[values == level]) == 0
        if taken[values == level][0] > 1e-9:
            assert (taken[values > level] > 1 - 1e-9).all()


def test_ranks_and_spearman_are_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, (6, 7)) + 0.0, rng.random((6, 7))
    np.testing.assert_array_equal(ranks(a), stats.rankdata(a))
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a.ravel(), b.ravel()).statistic)
    assert spearman(b, b.repeat(2, 0).repeat(3, 1)) == pytest.approx(1)


def test_dummies_have_the_grain_of_the_map_and_know_nothing() -> None:
    x = np.zeros((3, 32, 32))
    x[:, :, 16:] = 1
    made = dummies(x, (8, 8))
    assert tuple(made) == ("random", "sobel", "center", "uniform")
    assert all(m.shape == (8, 8) and m.min() >= 0 for m in made.values())
    assert np.flatnonzero(made["sobel"].sum(0)).tolist() == [3, 4]
    assert made["center"].argmax() in (27, 28, 35, 36)
    np.testing.assert_allclose(made["center"], made["center"][::-1, ::-1])
    np.testing.assert_array_equal(made["random"], dummies(x, (8, 8))["random"])
    assert not np.array_equal(made["random"], dummies(x, (8, 8), seed=1)["random"])


def test_sobel_is_scipys() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    from whylook.metrics.dummies import sobel

    x = np.random.default_rng(0).random((3, 9, 11))
    gray = x.mean(0)
    expected = np.hypot(ndimage.sobel(gray, 0, mode="nearest"), ndimage.sobel(gray, 1, mode="nearest"))
    np.testing.assert_allclose(sobel(x), expected)
