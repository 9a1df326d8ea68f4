"""Overlays and the figure."""

import sys
from dataclasses import replace

import numpy as np
import pytest

import made_up
from whylook.draw import figure, hatched, overlay, resized, shrunk, wrap
from whylook.image import Image

LONG = "a label that goes on and on, such as ImageNet's own for the black-footed ferret, Mustela nigripes"


def test_no_opacity_shows_the_picture_and_full_opacity_the_map():
    explanation = made_up.explanation()
    the_map = explanation.map("mobilenet", made_up.METHODS[0])  # sees the whole picture
    pixels = explanation.image.rgb8()
    assert (overlay(the_map, explanation.image, 0, gray=False) == pixels).all()
    gray = overlay(the_map, explanation.image, 0)
    assert (gray[..., 0] == gray[..., 1]).all()
    shown = overlay(the_map, explanation.image, 1)
    brightest = np.unravel_index(np.argmax(the_map.on_image()), (64, 96))
    assert (shown[brightest] >= (250, 200, 100)).all()  # the light end of inferno
    quiet = np.unravel_index(np.argmin(the_map.on_image()), (64, 96))
    assert np.abs(shown[quiet].astype(int) - gray[quiet]).max() <= 3


def test_signs_have_their_own_colors():
    explanation = made_up.explanation()
    the_map = explanation.map("mobilenet", made_up.METHODS[2])
    shown = overlay(the_map, explanation.image, 1).astype(int)
    values = the_map.on_image()
    for_it = shown[np.unravel_index(np.argmax(values), values.shape)]
    against = shown[np.unravel_index(np.argmin(values), values.shape)]
    assert for_it[0] > for_it[2] + 60
    assert against[2] > against[0] + 60


def test_what_the_model_never_saw_is_hatched_and_not_painted():
    explanation = made_up.explanation(made_up.picture(300, 100))
    the_map = explanation.map("resnet50", made_up.METHODS[1])
    unseen = np.isnan(the_map.on_image())
    assert unseen.mean() > 0.6
    faint, strong = (overlay(the_map, explanation.image, o).astype(int) for o in (0, 1))
    assert (faint[unseen] == strong[unseen]).all()
    assert (faint[~unseen] != strong[~unseen]).any()
    assert faint[unseen].std() > 20  # stripes


def test_an_overlay_can_be_made_at_another_size():
    explanation = made_up.explanation(made_up.picture(1200, 800))
    small = shrunk(explanation.image, 300)
    assert small.shape == (200, 300, 3)
    the_map = explanation.map("resnet50", made_up.METHODS[1])
    geometry = resized(the_map.geometry, (200, 300))
    assert np.allclose(geometry.visible, np.array(the_map.geometry.visible) / 4)
    assert overlay(the_map, small).shape == (200, 300, 3)


def test_a_whole_picture_has_no_frame():
    explanation = made_up.explanation()
    pixels = explanation.image.rgb8()
    assert hatched(pixels, explanation.map("mobilenet", made_up.METHODS[0]).geometry) is pixels


def test_a_map_with_a_reason_is_not_painted():
    explanation = made_up.explanation()
    the_map = explanation.map("mobilenet", made_up.METHODS[1])
    assert (overlay(the_map, explanation.image, 1) == overlay(the_map, explanation.image, 0)).all()


def test_wrapping_keeps_every_word_and_the_width():
    lines = wrap(f"{LONG} {'x' * 80}", 1.5, 9)
    assert "".join("".join(lines).split()) == "".join(f"{LONG} {'x' * 80}".split())
    assert len(lines) > 4


CASES = {
    "usual": {},
    "one map": {"models": ("a",), "methods": ("made-up-cam",)},
    "one by nine": {"models": ("a",), "methods": (*made_up.METHODS, *(f"method-{i}-cam" for i in range(6)))},
    "eight by ten": {
        "models": tuple(f"model-{i}" for i in range(8)),
        "methods": (*made_up.METHODS, *(f"method-{i}-cam" for i in range(7))),
    },
    "long words": {"models": (LONG, "b" * 70), "labels": tuple(f"{i} {LONG}" for i in range(6)), "targets": 2},
    "mathematics": {"models": ("$x^$ model",), "labels": ("$\\frac{1}$", "b_{", "c^2", "$d", "e$", "f")},
}


LANDSCAPE, PORTRAIT, WIDE = (96, 64), (50, 150), (400, 50)


@pytest.mark.parametrize(
    ("case", "size"),
    [
        ("usual", LANDSCAPE),
        ("usual", PORTRAIT),
        ("usual", WIDE),
        ("one map", PORTRAIT),
        ("one map", WIDE),
        ("one by nine", LANDSCAPE),
        ("one by nine", WIDE),
        ("eight by ten", LANDSCAPE),
        ("long words", LANDSCAPE),
        ("long words", WIDE),
        ("mathematics", LANDSCAPE),
    ],
)
def test_no_text_of_a_figure_is_cut_off_or_overlaps(case, size):
    width, height = size
    image = Image(made_up.picture(width, height).pixels, name=f"{LONG}.jpg", notes=(LONG,), sha256="0")
    fig = figure(made_up.explanation(image, **CASES[case]), shared=case == "usual")
    renderer = fig.canvas.get_renderer()
    assert fig.texts
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in fig.texts if t.get_text()]
    said = "".join("".join(t for t, _ in boxes if not t.endswith(" %")).split())
    for label in CASES[case].get("labels", made_up.LABELS)[:5]:
        assert "".join(label.split()) in said
    sheet = fig.bbox
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.x1 <= sheet.x1, text
        assert box.y0 >= 0, text
        assert box.y1 <= sheet.y1, text
    edges = np.array([box.extents for _, box in boxes])
    # Lines of a paragraph may share the air above and below their letters.
    lower, upper = edges[:, 1] + 2, edges[:, 3] - 2
    across = np.minimum(edges[:, None, 2], edges[None, :, 2]) - np.maximum(edges[:, None, 0], edges[None, :, 0])
    along = np.minimum(upper[:, None], upper[None]) - np.maximum(lower[:, None], lower[None])
    clash = np.argwhere(np.triu((across > 0) & (along > 0), 1))
    assert not clash.size, [(boxes[i][0], boxes[j][0]) for i, j in clash]


def test_a_figure_says_everything(tmp_path):
    fig = made_up.explanation().figure()
    said = " ".join(t.get_text() for t in fig.texts)
    for words in (
        "cat.png",
        "resnet50",
        "mobilenet",
        "tabby, tabby cat",
        *made_up.METHODS,
        "own color scale",
        "hatched",
    ):
        assert words in said
    assert made_up.FAILURE in said  # whole in the footer, even where its place in the grid is small
    assert made_up.REASON in said
    assert "ReLU leaves nothing." in said
    fig.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 50_000


def test_a_figure_says_what_a_map_misses():
    said = " ".join(" ".join(t.get_text() for t in figure(made_up.explanation()).texts).split())
    assert f"evaluations 512. Warning: {made_up.WARNING}" in said
    assert said.count("Warning") == 1
    assert said.count("relative residual 8.3 %") == 4


def test_many_methods_of_one_model_are_set_in_lines():
    many = (*made_up.METHODS, *(f"method-{i}-cam" for i in range(6)))
    fig = figure(made_up.explanation(models=("a",), methods=many))
    width, height = fig.get_size_inches()
    assert 1 < width / height < 3.3
    where = {t.get_text(): t.get_position() for t in fig.texts}
    assert where[many[0]][0] == where[many[5]][0]
    assert where[many[0]][1] > where[many[5]][1]


def test_a_model_that_could_do_nothing_still_has_its_row():
    whole = made_up.explanation(models=("a", "b"), methods=made_up.METHODS[:1])
    nothing = replace(
        whole,
        maps=tuple(m for m in whole.maps if m.model == "a"),
        failures=(("b", "", "Its outputs are not finite."), ("c", "", "There are no weights of that name.")),
    )
    for explanation in (nothing, replace(nothing, maps=()), replace(whole, models={}, predictions={}, maps=())):
        said = " ".join(t.get_text() for t in figure(explanation).texts)
        assert "cat.png" in said
        assert all(f"{model}: {why}" in said for model, _, why in explanation.failures)


def test_one_scale_per_method_is_said():
    said = " ".join(t.get_text() for t in figure(made_up.explanation(), shared=True).texts)
    assert "shared by the models" in said


def test_pyplot_is_left_alone():
    before = "matplotlib.pyplot" in sys.modules
    made_up.explanation(models=("a",)).figure()
    assert ("matplotlib.pyplot" in sys.modules) == before
