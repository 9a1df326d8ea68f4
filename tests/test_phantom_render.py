"""Phantoms: the same bytes everywhere, and components that change nothing but their own pixels."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whylook.errors import UsageError
from whylook.phantom import COMPONENTS, LABELS, render
from whylook.phantom.draws import Draws

seeds = st.integers(0, 2**32)


def differs(a, b):
    return (a.pixels != b.pixels)[:, :, 0]


@given(seeds, st.sampled_from(LABELS), st.sampled_from(COMPONENTS))
@settings(max_examples=60, deadline=None)
def test_dropping_a_component_changes_only_its_own_pixels(seed, shape, component):
    whole = render(seed, lesion=shape, marker=True, catheter=True, lesions=2)
    without = render(seed, lesion=shape, marker=True, catheter=True, lesions=2, drop=[component])
    changed = differs(whole, without)
    assert not (changed & ~whole.masks[component]).any()
    assert changed.sum() > 0.5 * whole.masks[component].sum()
    assert without.components == tuple(c for c in whole.components if c != component)
    for other in without.components:
        np.testing.assert_array_equal(whole.masks[other], without.masks[other])


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_all_that_is_dropped_leaves_the_empty_patient_whatever_the_lesion_was(seed):
    empty = [render(seed, lesion=s, marker=m, drop=COMPONENTS) for s, m in (("disc", True), ("cross", False))]
    assert not differs(*empty).any()
    assert empty[0].components == ()


@given(seeds, st.sampled_from(LABELS))
@settings(max_examples=20, deadline=None)
def test_a_marker_not_given_is_a_marker_dropped(seed, shape):
    never = render(seed, lesion=shape, marker=False)
    dropped = render(seed, lesion=shape, marker=True, drop="marker")
    assert not differs(never, dropped).any()


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_second_lesion_has_another_shape_and_lies_in_the_other_lung(seed):
    one, two = render(seed), render(seed, lesions=2)
    assert not (differs(one, two) & ~two.masks["lesion-2"]).any()
    assert two.shapes["lesion-2"] != two.shapes["lesion"] == LABELS[two.label]
    assert not (two.masks["lesion"] & two.masks["lesion-2"]).any()
    columns = [np.flatnonzero(two.masks[c].any(0)).mean() for c in ("lesion", "lesion-2")]
    assert abs(columns[0] - columns[1]) > 20


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_a_marker_never_covers_a_lesion(seed):
    p = render(seed, marker=True, lesions=2)
    assert not (p.masks["marker"] & (p.masks["lesion"] | p.masks["lesion-2"])).any()


def test_masks_cover_the_shares_of_the_picture_that_they_should():
    some = [render(s, lesion=LABELS[s % 4], marker=True, catheter=True) for s in range(80)]
    share = {c: np.mean([p.masks[c].mean() for p in some]) for c in ("lesion", "marker", "catheter")}
    wide = {c: np.mean([p.scoring_mask(c).mean() for p in some]) for c in ("lesion", "marker", "catheter")}
    assert 0.009 < share["lesion"] < 0.022
    assert share["marker"] == pytest.approx(15.5**2 / 128**2, rel=0.1)
    assert 0.010 < share["catheter"] < 0.025
    assert 0.025 < wide["lesion"] < 0.045
    assert 0.025 < wide["marker"] < 0.040


def test_a_scoring_mask_is_the_mask_widened_by_a_disc_of_four_pixels():
    p = render(3, lesion="ring", marker=True)
    ys, xs = np.nonzero(p.masks["lesion"])
    y, x = np.mgrid[:128, :128]
    near = ((y[..., None] - ys) ** 2 + (x[..., None] - xs) ** 2).min(-1) <= 16
    np.testing.assert_array_equal(p.scoring_mask("lesion"), near)


def test_a_scoring_mask_does_not_wrap_around_the_edge():
    for seed in range(40):
        mask = render(seed, marker=True).scoring_mask("marker")
        assert mask.any(0).sum() < 30
        assert mask.any(1).sum() < 30


def test_what_is_left_to_the_seed_is_there_half_of_the_time_whatever_the_class():
    drawn = [render(s) for s in range(280)]
    label = np.array([p.label for p in drawn])
    for component in ("catheter", "marker"):
        there = np.array([component in p.components for p in drawn])
        for c in range(4):  # 4.5 standard errors: once in some 150,000 for a fair coin
            n = (label == c).sum()
            assert abs(n - 70) < 4.5 * (280 * 0.25 * 0.75) ** 0.5
            assert abs(there[label == c].mean() - 0.5) < 4.5 * (0.25 / n) ** 0.5


def test_lesions_are_brighter_than_the_lung_they_lie_in():
    for seed in range(20):
        with_, without = render(seed), render(seed, drop=["lesion"])
        mask = with_.masks["lesion"]
        assert with_.pixels[mask].mean() > without.pixels[mask].mean() + 25


@pytest.mark.parametrize(
    ("seed", "arguments", "digest"),
    [
        (0, {}, "48a922c35e41ccf7da972e81bc69e36392cc5b1b865dc8921c8adf89916709ad"),
        (
            7,
            {"lesion": "disc", "marker": True, "catheter": True},
            "26a1fbd3e141346fbd03c649b0a78b67999fd061f15d6752e98810274f4e1716",
        ),
        (123456789, {"lesions": 2, "marker": True}, "4cd794aca9f8674d5d13fd8a0ed8a179b81ec3d9190890929ca3bdb96f804c1f"),
        (
            2**40,
            {"lesion": "triangle", "drop": ["catheter"]},
            "d3ae094993c29c39ef373eacc9c68aa6e70aa42e5285463010db25f69a71f4e9",
        ),
    ],
)
def test_the_bytes_are_the_same_everywhere(seed, arguments, digest):
    assert hashlib.sha256(render(seed, **arguments).pixels.tobytes()).hexdigest() == digest


def test_a_crop_is_the_same_everywhere():
    crop = render(7, lesion="disc", marker=True, catheter=True).pixels[60:64, 60:68, 0]
    assert crop.tolist() == [
        [152, 174, 182, 192, 178, 185, 183, 179],
        [161, 177, 181, 180, 177, 193, 191, 179],
        [156, 180, 194, 184, 186, 195, 190, 184],
        [162, 179, 187, 188, 192, 186, 188, 189],
    ]


def test_random_numbers_do_not_depend_on_numpys_version():
    assert Draws(1, "lesion").unit(3).tolist() == [0.3583863971203237, 0.969954787739469, 0.38511979377788363]


def test_random_numbers_have_the_moments_they_should():
    d = Draws(5, "test")
    bell, unit = d.bell(40_000), d.unit(40_000)
    assert abs(bell.mean()) < 4.5 / 200
    assert bell.std() == pytest.approx(1, abs=0.02)
    assert unit.mean() == pytest.approx(0.5, abs=4.5 * 0.2887 / 200)
    assert 0 <= unit.min() < unit.max() < 1


def test_pixels_and_masks_cannot_be_written_to():
    p = render(1)
    assert p.pixels.shape == (128, 128, 1)
    assert p.pixels.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        p.pixels[0, 0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        p.masks["lesion"][0, 0] = True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"seed": -1}, "seed -1"),
        ({"seed": 1.5}, "seed 1.5"),
        ({"seed": 0, "lesion": "square"}, "'square'.*disc, ring, cross, triangle"),
        ({"seed": 0, "lesions": 3}, "1 or 2 lesions, not 3"),
        ({"seed": 0, "drop": ["lung"]}, "'lung'.*lesion, lesion-2, catheter, marker"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(arguments, said):
    with pytest.raises(UsageError, match=said):
        render(**arguments)


def test_there_is_no_scoring_mask_of_what_is_not_there():
    with pytest.raises(UsageError, match=r"no 'marker'.*lesion"):
        render(0, marker=False).scoring_mask("marker")


def test_drawing_needs_no_torch():
    code = "import sys, whylook.phantom as p; p.render(1); p.dataset('clean', 2)[0]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
