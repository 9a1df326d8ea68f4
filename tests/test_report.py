"""What the viewer and the notebook are fed: values, words, escapes."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import made_up
from whylook.errors import UsageError
from whylook.explanation import Explanation
from whylook.image import Image
from whylook.report import colors, words
from whylook.report.page import page, static
from whylook.report.payload import decode, encode, payload
from whylook.report.section import Section, Table

NASTY = (
    "</script><script>alert(1)</script>",
    "\"quoted\" 'too' & <b>bold</b>",
    "مرحبا\u202eabc",
    "$x_1$ {style}",
    "\u2028",
)


class Text(HTMLParser):
    """Tags, and text per tag, as a browser's parser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


def content(html: str) -> dict:
    found = re.search(r'<script type="application/json" id="whylook-data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e-5, 1.0, 1e9])
def test_tiny_and_huge_maps_survive_the_trip(size):
    values = (np.random.default_rng(0).normal(size=(14, 9)) * size).astype(np.float32)
    packed, scale = encode(values)
    back = decode(packed, scale, (14, 9))
    largest = np.abs(values).max()
    assert np.abs(back - values).max() <= largest * 2**-11
    assert (np.sign(back) == np.sign(values)).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=40))
def test_any_float32_map_packs_into_strict_numbers(numbers):
    values = np.array(numbers, np.float32)[None]
    packed, scale = encode(values)
    back = decode(packed, scale, values.shape)
    known = np.isfinite(values)
    assert np.isfinite(scale)
    assert scale > 0
    assert (np.isfinite(back) == known).all()
    if known.any():
        slack = np.abs(values[known]).max() * 2.0**-10 + 1e-45
        assert (np.abs(back[known].astype(float) - values[known]) <= slack).all()
    json.dumps(colors.limits(values, True), allow_nan=False)


@pytest.mark.parametrize("name", ["inferno", "viridis"])
def test_tables_are_those_of_the_literature(name):
    matplotlib = pytest.importorskip("matplotlib")
    reference = np.round(matplotlib.colormaps[name](np.arange(256))[:, :3] * 255)
    assert np.abs(colors.table(name)[:, :3] - reference).max() <= 1


@pytest.mark.parametrize("name", [*colors.SEQUENTIAL, colors.DIVERGING])
def test_zero_is_not_painted_and_the_ends_are(name):
    table = colors.table(name)
    zero = table[127:129, 3] if name == colors.DIVERGING else table[:1, 3]
    assert (zero <= 4).all()
    assert table[255, 3] == 255
    assert (np.diff(table[128:, 3].astype(int)) >= 0).all()


def test_an_unknown_color_map_names_those_there_are():
    with pytest.raises(UsageError, match="inferno"):
        colors.table("jet")


def test_limits_hold_zero_and_are_symmetric_for_signed_maps():
    assert colors.limits(np.array([[0.5, 2.0]], np.float32), False) == (0, 2, False)
    assert colors.limits(np.array([[-3.0, 2.0]], np.float32), True) == (-3, 3, False)
    assert colors.limits(np.array([[-3.0, -2.0]], np.float32), False) == (-3, 0, False)
    assert colors.limits(np.zeros((2, 2), np.float32), False) == (0, 1, False)
    assert colors.limits(np.full((2, 2), np.nan, np.float32), True) == (-1, 1, False)


def test_one_outlier_does_not_make_a_map_black():
    values = np.random.default_rng(0).uniform(0, 1, (100, 100)).astype(np.float32)
    values[3, 4] = 1e6
    span = colors.limits(values, False)
    assert span.high <= 1
    assert span.clipped
    small = values[:10, :10]
    assert colors.limits(small, False).high == small.max()  # a coarse grid is never clipped


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.01234, "0.0123"),
        (-4.1e-7, "−4.1 × 10⁻⁷"),
        (1234.5, "1230"),
        (12345.0, "1.23 × 10⁴"),
        (0.0009999, "0.001"),
        (1.0, "1"),
        (float("nan"), "–"),
        (None, "–"),
    ],
)
def test_numbers_are_said_to_three_digits(value, text):
    assert words.number(value) == text


def test_a_percentage_never_rounds_to_certainty():
    assert [words.percent(p) for p in (1.0, 0.9996, 0.5, 0.0004, 0.0)] == [
        "> 99.9 %",
        "> 99.9 %",
        "50.0 %",
        "< 0.1 %",
        "< 0.1 %",
    ]


def test_the_description_says_where_the_largest_value_is():
    explanation = made_up.explanation()
    values = np.zeros((7, 7), np.float32)
    values[6, 0] = 2.5
    the_map = replace(explanation.map("mobilenet", made_up.METHODS[0]), values=values)
    assert "Largest value 2.5 at x 7, y 59, in the lower left" in words.describe(the_map, "Grad-CAM")
    assert words.describe(replace(the_map, values=values * 0), "Grad-CAM").endswith("the same everywhere.")


def test_the_payload_holds_every_map_and_failure():
    explanation = made_up.explanation(targets=2)
    data = payload([explanation])
    assert data["schema"] == "whylook-view/1"
    (shown,) = data["sections"][0]["explanations"]
    assert len(shown["maps"]) == len(explanation.maps) == 22
    assert shown["failures"] == [{"model": "vgg16", "method": made_up.METHODS[1], "reason": made_up.FAILURE}]
    for sent, made in zip(shown["maps"], explanation.maps, strict=True):
        back = decode(sent["values"], sent["scale"], made.grid)
        assert np.allclose(back, made.values, rtol=2**-10, atol=np.abs(made.values).max() * 2**-11)
        assert sent["placement"] == list(made.geometry.placement)
    assert [m["predictions"][0]["label"] for m in shown["models"]] == [made_up.LABELS[0]] * 4
    assert data["methods"][made_up.METHODS[0]]["title"] == made_up.METHODS[0]  # not registered, shown by its name


def test_numbers_and_warnings_of_a_map_are_said_wherever_it_is_shown():
    explanation = made_up.explanation()
    warned, noted = explanation.map("resnet50", "made-up-signed"), explanation.map("vgg16", "made-up-signed")
    line = "Residual 0.02, relative residual 8.3 %, evaluations 512."
    assert words.note(noted) == line
    assert words.note(warned) == f"{line} Warning: {made_up.WARNING}"
    assert words.note(explanation.map("vgg16", "made-up-gradient")) == ""
    assert words.numbers(replace(noted, facts={"relative_residual": float("inf")})) == [("relative residual", "– %")]
    assert words.describe(warned, "Signed").endswith(f"Warning: {made_up.WARNING}")
    sent = payload([explanation])["sections"][0]["explanations"][0]["maps"]
    assert [m["warning"] for m in sent].count(made_up.WARNING) == 1
    assert ["relative residual", "8.3 %"] in next(m for m in sent if m["method"] == "made-up-signed")["facts"]
    shown = " ".join(Text(static(explanation)).text)
    assert shown.count(line) == 4
    assert shown.count(made_up.WARNING) == 1


def test_a_picture_is_sent_once():
    explanation = made_up.explanation()
    data = payload([explanation, Section("Again", explanations=(explanation,))])
    assert len(data["pictures"]) == 1
    assert [s["explanations"][0]["picture"] for s in data["sections"]] == [0, 0]


def test_the_page_is_guarded_by_hashes_of_what_is_in_it():
    html = page([made_up.explanation()])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    script = re.search(r'<script type="module">(.*?)</script>', html, re.DOTALL)[1]
    for text, kind in ((style, "style-src"), (script, "script-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert ' style="' not in html.replace(script, "")
    assert not re.search(r'(?:src|href)="(?!data:)', html.replace(script, ""))


@pytest.mark.parametrize("nasty", NASTY)
def test_names_and_labels_stay_text(nasty):
    image = Image(made_up.picture().pixels, name=nasty, notes=(nasty,), sha256="0")
    explanation = made_up.explanation(image, models=(nasty, "b"), labels=(nasty, *made_up.LABELS[1:]))
    section = Section(nasty, (nasty,), Table((nasty,), ((nasty,),), nasty), (explanation,))
    html = page([section], title=nasty)
    parsed = Text(html)
    assert parsed.tags.count("script") == 2
    assert "b" not in parsed.tags
    data = content(html)
    assert data["title"] == nasty
    assert data["sections"][0]["table"]["rows"] == [[nasty]]
    assert data["sections"][0]["explanations"][0]["models"][0]["name"] == nasty

    fragment = Text(static(explanation))
    assert "script" not in fragment.tags
    assert "b" not in fragment.tags
    assert nasty in fragment.text


def test_a_name_that_is_no_unicode_does_not_break_the_page():
    image = Image(made_up.picture().pixels, name="photo\udce9.jpg", sha256="0")
    html = page([made_up.explanation(image)])
    html.encode("utf-8")
    assert content(html)["title"] == "photo?.jpg"


def test_a_table_with_a_missing_cell_is_refused():
    with pytest.raises(ValueError, match="a row of 1 cells in a table of 2 columns"):
        Table(("a", "b"), (("only one",),))


def test_the_notebook_view_needs_no_script_and_fetches_nothing():
    explanation = made_up.explanation()
    parsed = Text(explanation._repr_html_())
    assert {"script", "link", "style"}.isdisjoint(parsed.tags)
    sources = [value for name, value in parsed.attributes if name == "src"]
    assert len(sources) == 4 + 11 + 10  # pictures, maps, and a color bar for every map that has something to show
    assert all(s.startswith("data:image/") for s in sources)
    said = [value for name, value in parsed.attributes if name == "alt" and value]
    assert len(said) == 4 + 11  # color bars have their numbers beside them
    assert all("cat.png" in s or "Largest value" in s or made_up.REASON in s for s in said)
    text = " ".join(parsed.text)
    assert made_up.FAILURE in text
    assert made_up.REASON in text


def test_a_page_without_explanations_is_a_page():
    assert content(page([Section("Only words", ("Nothing to see.",))]))["pictures"] == []
    assert isinstance(page([Explanation(made_up.picture(), {}, {}, ())]), str)
