"""What a hand does to a picture: exact fills, the region a map marks, masks as painted, and answers before and after."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from whylook import explain, load_image, load_model
from whylook.errors import ImageError, UsageError
from whylook.geometry import on_picture
from whylook.phantom import DEMO_SEED, picture, render
from whylook.web.poking import Edit, edited, filling, highest, patient, poke, read_mask

RNG = np.random.default_rng(3)
COLOR = load_image(RNG.integers(0, 256, (40, 60, 3), np.uint8))


def png(array, mode=None):
    stream = io.BytesIO()
    Pillow.fromarray(array, mode).save(stream, "PNG")
    return stream.getvalue()


def box(picture, rows, columns):
    mask = np.zeros(picture.pixels.shape[:2], bool)
    mask[rows, columns] = True
    return mask


def test_nothing_painted_is_the_picture_itself():
    empty = Edit(np.zeros((40, 60), bool))
    assert edited(COLOR, []) is COLOR
    assert edited(COLOR, [empty]) is COLOR


@pytest.mark.parametrize("fill", ["blur", "mean", "noise"])
def test_only_what_is_marked_changes_and_by_the_filling(fill):
    mask = box(COLOR, slice(5, 20), slice(10, 30))
    changed = edited(COLOR, [Edit(mask, fill)], seed=4)
    assert changed.pixels.dtype == np.uint8
    np.testing.assert_array_equal(changed.pixels[~mask], COLOR.pixels[~mask])
    wanted = np.rint(filling(COLOR.unit(), fill, 4) * 255).astype(np.uint8)
    np.testing.assert_array_equal(changed.pixels[mask], wanted[mask])
    assert "12.5 % of it filled in" in changed.notes[-1]
    assert changed.sha256 != COLOR.sha256


def test_fillings_are_what_they_are_called():
    unit = COLOR.unit()
    np.testing.assert_allclose(filling(unit, "mean")[0, 0], unit.mean((0, 1)), rtol=1e-6)
    one = filling(unit, "noise", 1)
    np.testing.assert_array_equal(one, filling(unit, "noise", 1))
    assert not np.array_equal(one, filling(unit, "noise", 2))
    flat = np.full((500, 700, 1), 0.3, np.float32)  # beyond the size at which the blur is computed
    np.testing.assert_allclose(filling(flat, "blur"), flat, atol=1e-6)


def test_the_blur_of_a_small_picture_is_the_baseline():
    import torch

    from whylook.baselines import one_like

    unit = COLOR.unit()
    x = torch.from_numpy(unit.transpose(2, 0, 1).copy())[None]
    wanted = one_like("blur", x)[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(filling(unit, "blur"), wanted)


def test_the_blur_of_a_large_picture_is_nearly_that_of_the_whole():
    import torch

    from whylook.baselines import one_like

    y, x = np.mgrid[:300, :420]
    unit = (0.5 + 0.4 * np.sin(x / 40) * np.cos(y / 30)).astype(np.float32)[:, :, None]
    wanted = one_like("blur", torch.from_numpy(unit[:, :, 0])[None, None])[0, 0].numpy()
    assert np.abs(filling(unit, "blur")[:, :, 0] - wanted).max() < 0.01


def test_later_edits_are_made_of_the_picture_as_it_was():
    first, second = Edit(box(COLOR, slice(0, 20), slice(0, 60)), "noise"), Edit(np.ones((40, 60), bool), "mean")
    both = edited(COLOR, [first, second])
    np.testing.assert_array_equal(both.pixels, edited(COLOR, [second]).pixels)


def test_sixteen_bits_are_not_cut_to_eight():
    deep = load_image(RNG.integers(0, 65536, (20, 30), np.uint16))
    mask = box(deep, slice(0, 5), slice(0, 5))
    changed = edited(deep, [Edit(mask, "mean")])
    np.testing.assert_array_equal(changed.unit()[~mask], deep.unit()[~mask])


def test_a_mask_of_another_size_and_an_unknown_fill_are_refused():
    with pytest.raises(UsageError, match="60 × 40"):
        edited(COLOR, [Edit(np.ones((60, 40), bool))])
    with pytest.raises(UsageError, match="blur, mean, noise"):
        Edit(np.ones((40, 60), bool), "paint")  # type: ignore[arg-type]


def test_the_region_is_the_highest_share_of_what_the_model_saw():
    model = load_model("phantom:resnet")
    image = load_image(RNG.integers(0, 256, (96, 160, 3), np.uint8))
    m = explain(image, model, ["grad-cam", "gradient"]).map("phantom:resnet", "gradient")
    geometry = m.geometry
    on = on_picture(m.values, (96, 160), geometry.placement, geometry.visible)
    np.testing.assert_allclose(on, m.on_image(), rtol=1e-5, atol=1e-12)
    mask = highest(m.values, (96, 160), geometry.placement, geometry.visible, 0.1)
    seen = np.isfinite(on)
    assert mask.sum() == round(0.1 * seen.sum())
    assert on[mask].min() >= on[seen & ~mask].max()


def test_only_what_is_above_zero_counts():
    values = np.zeros((4, 4), np.float32)
    values[1, 2] = 1.0
    whole = (0.0, 0.0, 40.0, 40.0)
    mask = highest(values, (40, 40), whole, whole, 1.0)
    np.testing.assert_array_equal(mask, on_picture(values, (40, 40), whole, whole) > 0)
    with pytest.raises(UsageError, match="nowhere above 0"):
        highest(-values, (40, 40), whole, whole, 0.1)
    with pytest.raises(UsageError, match="at most 1"):
        highest(values, (40, 40), whole, whole, 1.5)


def test_masks_are_read_as_painted():
    marked = RNG.random((20, 30)) < 0.4
    layers = np.zeros((20, 30, 4), np.uint8)
    layers[..., 3] = 255 * marked
    np.testing.assert_array_equal(read_mask(png(layers), (20, 30)), marked)
    np.testing.assert_array_equal(read_mask(png((255 * marked).astype(np.uint8)), (20, 30)), marked)
    larger = read_mask(png(layers), (60, 90))
    np.testing.assert_array_equal(larger, np.kron(marked, np.ones((3, 3), bool)))


@pytest.mark.parametrize("data", [b"", b"text", png(RNG.integers(0, 256, (40, 40), np.uint8))[:900]])
def test_what_is_no_mask_is_refused(data):
    with pytest.raises(ImageError, match="PNG"):
        read_mask(data, (4, 4))


def test_a_mask_of_other_proportions_is_refused():
    with pytest.raises(ImageError, match="proportions"):
        read_mask(png(np.zeros((30, 30), np.uint8)), (20, 30))


def test_switches_change_only_their_own_part():
    whole = patient(DEMO_SEED, "disc")
    np.testing.assert_array_equal(whole.pixels, picture(DEMO_SEED).pixels)
    truth = render(DEMO_SEED, lesion="disc", marker=True, catheter=True)
    for part in ("lesion", "marker", "catheter"):
        without = patient(DEMO_SEED, "disc", **{part: False})
        differs = (without.pixels != whole.pixels)[..., 0]
        assert differs.any()
        assert not differs[~truth.masks[part]].any()


def test_answers_before_and_after_are_those_of_explain():
    models = [load_model("phantom:resnet"), load_model("phantom:vgg-shortcut")]
    image = patient(DEMO_SEED, "disc")
    same = poke(image, image, models, ["grad-cam"])
    alone = explain(image, models, ["grad-cam"])
    assert same.before == same.after
    for mine, its in zip(same.explanation.maps, alone.maps, strict=True):
        np.testing.assert_array_equal(mine.values, its.values)
    for name, answer in same.before.items():
        logits = alone.predictions[name].logits.astype(np.float64)
        k = same.targets[name]
        odds = alone.predictions[name].probabilities[k]
        assert answer.margin == pytest.approx(logits[k] - np.log(np.exp(np.delete(logits, k)).sum()), abs=1e-9)
        assert answer.margin == pytest.approx(np.log(odds / (1 - odds)), rel=1e-3)


def test_taking_the_marker_away_fells_the_shortcut_network_only():
    models = [load_model("phantom:resnet"), load_model("phantom:resnet-shortcut")]
    poked = poke(patient(DEMO_SEED, "disc"), patient(DEMO_SEED, "disc", marker=False), models, ["grad-cam"])
    falls = {n: poked.before[n].margin - poked.after[n].margin for n in poked.targets}
    assert falls["phantom:resnet-shortcut"] > 3
    assert abs(falls["phantom:resnet"]) < 1
    assert {m.target.index for m in poked.explanation.maps} == {0}  # of the class that was answered before


def test_against_a_second_class_the_margin_is_the_difference_of_two_logits():
    model = load_model("phantom:resnet")
    image = patient(DEMO_SEED, "disc")
    poked = poke(image, image, [model], ["grad-cam"], targets={"phantom:resnet": 1}, against=0)
    logits = poked.explanation.predictions["phantom:resnet"].logits.astype(np.float64)
    assert poked.before["phantom:resnet"].margin == pytest.approx(logits[1] - logits[0])
    with pytest.raises(UsageError, match="0 to 3"):
        poke(image, image, [model], ["grad-cam"], targets={"phantom:resnet": 9})
