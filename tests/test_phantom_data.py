"""Data sets of phantoms: who has the marker, and that train and test are different people."""

import numpy as np
import pytest

from whylook.errors import UsageError
from whylook.phantom import LABELS, dataset, quadruples
from whylook.phantom.data import MARKER_RATES, NAMES


@pytest.fixture(scope="module")
def facts():
    """Label and presence of marker and catheter in 250 pictures of every data set with one lesion."""
    names = [n for n in NAMES if n not in ("marker-only", "two-lesion")]
    patients = zip(*(dataset(n, 250) for n in names), strict=True)  # side by side: versions of one share their work
    rows = [[(p.label, "marker" in p.components, "catheter" in p.components) for p in same] for same in patients]
    return dict(zip(names, np.array(rows).transpose(1, 0, 2), strict=True))


def within(count, n, rate):
    """Whether a count agrees with a binomial distribution, to 4.5 standard deviations and half a step."""
    return abs(count - n * rate) <= 4.5 * (n * rate * (1 - rate)) ** 0.5 + 0.5


def test_markers_come_at_the_rates_that_the_names_promise(facts):
    for name, rows in facts.items():
        disc = rows[:, 0] == LABELS.index("disc")
        for group, rate in zip((disc, ~disc), MARKER_RATES[name], strict=True):
            assert within(rows[group, 1].sum(), group.sum(), rate), name


def test_catheters_and_classes_are_left_to_chance_in_every_data_set(facts):
    for rows in facts.values():
        for label in range(4):
            group = rows[:, 0] == label
            assert within(group.sum(), len(rows), 0.25)
            assert within(rows[group, 2].sum(), group.sum(), 0.5)


def test_all_data_sets_of_a_split_draw_the_same_patients():
    clean, anti = dataset("clean", 12), dataset("anti", 12)
    for a, b in zip(clean, anti, strict=True):
        assert (a.seed, a.label) == (b.seed, b.label)
        masks = [p.masks["marker"] for p in (a, b) if "marker" in p.components]
        same = (a.pixels == b.pixels)[:, :, 0]
        assert (same | np.any(masks, axis=0)).all() if masks else same.all()


def test_names_for_one_rule_are_one_data_set():
    for one, other in (("shortcut", "aligned"), ("clean", "independent")):
        for a, b in zip(dataset(one, 8), dataset(other, 8), strict=True):
            np.testing.assert_array_equal(a.pixels, b.pixels)


def test_train_and_test_are_different_patients_even_at_full_size():
    train, test = dataset("clean", 1_000_000, "train"), dataset("clean", 1_000_000, "test")
    assert not set(train.seeds) & set(test.seeds)


def test_marker_only_pictures_have_a_marker_and_no_lesion_and_are_labeled_disc():
    for p in dataset("marker-only", 10):
        assert "lesion" not in p.components
        assert "marker" in p.components
        assert LABELS[p.label] == "disc"


def test_two_lesion_pictures_are_labeled_by_the_first():
    for p in dataset("two-lesion", 10):
        assert {"lesion", "lesion-2"} <= set(p.components)
        assert p.shapes["lesion"] == LABELS[p.label]


def test_quadruples_take_away_one_component_at_a_time():
    for four in quadruples(6):
        assert set(four.whole.components) == {"lesion", "marker", "catheter"}
        for name, p in four._asdict().items():
            gone = name.removeprefix("without_")
            assert set(p.components) == {"lesion", "marker", "catheter"} - {gone}
            outside = ~four.whole.masks[gone] if gone in four.whole.masks else np.ones((128, 128), bool)
            assert (p.pixels == four.whole.pixels)[outside].all()
            assert p.label == four.whole.label
    assert {four.whole.label for four in quadruples(5, lesion="ring")} == {LABELS.index("ring")}


def test_sets_are_sequences_drawn_when_asked():
    many = dataset("clean", 1_000_000)
    assert len(many) == 1_000_000
    assert many[-1].seed == many.seeds[-1]
    assert [p.seed for p in many[2:5]] == list(many.seeds[2:5])
    assert quadruples(9)[3:][0].whole.seed == quadruples(9)[3].whole.seed
    with pytest.raises(IndexError):
        dataset("clean", 3)[3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dirty",), "'dirty'.*clean.*two-lesion"),
        (("clean", 0), "not 0"),
        (("clean", 5, "valid"), "'valid'.*train and test"),
    ],
)
def test_a_set_that_does_not_exist_is_refused_by_name(arguments, said):
    with pytest.raises(UsageError, match=said):
        dataset(*arguments)


def test_quadruples_of_a_lesion_that_does_not_exist_are_refused():
    with pytest.raises(UsageError, match="'square'"):
        quadruples(3, lesion="square")
