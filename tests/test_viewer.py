"""The viewer in a browser: what it shows, that it fetches nothing, and that hands and keys work."""

import base64
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import made_up
from whylook.draw import overlay, resized
from whylook.image import Image
from whylook.report import colors
from whylook.report.page import asset, page
from whylook.report.payload import payload
from whylook.report.section import Section, Table

playwright = pytest.importorskip("playwright.sync_api", reason="the viewer is tested in a browser: needs playwright")
CHROMIUM = next(
    (
        p
        for p in ("/usr/bin/chromium", shutil.which("chromium"), shutil.which("google-chrome"))
        if p and Path(p).exists()
    ),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the viewer is tested in a browser: needs Chromium")

PICTURE = made_up.picture(200, 120)
EXPLANATION = made_up.explanation(PICTURE)
NASTY = ("</script><img src=x onerror=alert(1)>", '" onload="alert(1)', "مرحبا\u202eabc")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page([EXPLANATION]), "utf-8", newline="\n")
    return path


@pytest.fixture
def visit(browser):
    """Open a page; at the end it must have logged no error and asked for nothing but the file itself."""
    opened = []

    def go(path, width=1280, height=900, **options):
        tab = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce", **options)
        trouble, requests = [], []
        # Reading canvases back, as the tests do, is remarked upon; the page itself does it once a picture.
        tab.on("console", lambda m: "willReadFrequently" in m.text or trouble.append(m.text))
        tab.on("pageerror", lambda e: trouble.append(str(e)))
        tab.on("dialog", lambda d: (trouble.append(d.message), d.dismiss()))
        tab.on("request", lambda r: requests.append(r.url))
        tab.goto(path.as_uri())
        settle(tab)
        opened.append((tab, path, trouble, requests))
        return tab

    yield go
    for tab, path, trouble, requests in opened:
        tab.close()
        assert trouble == []
        assert [r for r in requests if not r.startswith("data:")] == [path.as_uri()]


def settle(tab):
    """Wait until what was asked for has been drawn."""
    tab.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30))))"
    )


def until(tab, condition, patience=10.0):
    """Wait until `condition` holds; from here, because the page's own policy forbids it to evaluate strings."""
    end = time.monotonic() + patience
    while not tab.evaluate(condition):
        assert time.monotonic() < end, f"{condition} does not come true"
        tab.wait_for_timeout(30)


def pane(tab, model, method):
    return tab.locator(".model", has=tab.get_by_role("heading", name=model, exact=True)).locator(
        "figure", has=tab.locator("figcaption", has_text=method)
    )


def probed(tab):
    return {
        (m, x): float(pane(tab, m, x).locator(".read [data-value]").get_attribute("data-value"))
        for m in made_up.MODELS
        for x in made_up.METHODS
        if not (m == "vgg16" and x == made_up.METHODS[1])
    }


def drawn(tab, locator):
    """Return the pixels of a canvas, [h, w, 4]; only canvases in sight are drawn."""
    locator.scroll_into_view_if_needed()
    settle(tab)
    width, height, data = locator.evaluate(
        """c => {
            const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
            return [c.width, c.height, btoa(Array.from(d, (v) => String.fromCharCode(v)).join(""))];
        }"""
    )
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)


def test_values_between_cells_are_those_of_on_image(browser):
    tab = browser.new_page()
    source = base64.b64encode(asset("viewer.js").encode()).decode()
    sent = payload([EXPLANATION])["sections"][0]["explanations"][0]["maps"]
    read = tab.evaluate(
        """async ([source, maps, width, height]) => {
            const { decode, sample } = await import(`data:text/javascript;base64,${source}`);
            return maps.map((map) => {
                map.data = decode(map.values, map.scale);
                const out = [];
                for (let y = 0; y < height; y++)
                    for (let x = 0; x < width; x++) out.push(String(sample(map, x + 0.5, y + 0.5)));
                return out.join();
            });
        }""",
        [source, sent, PICTURE.width, PICTURE.height],
    )
    tab.close()
    for text, made in zip(read, EXPLANATION.maps, strict=True):
        ours = np.array(text.split(","), float).reshape(PICTURE.height, PICTURE.width)
        reference = made.on_image()
        assert (np.isnan(ours) == np.isnan(reference)).all()
        size = np.abs(made.values).max() or 1
        assert np.nanmax(np.abs(ours - reference)) <= 2**-10 * size


def test_the_page_shows_every_model_map_and_failure(visit, usual):
    tab = visit(usual)
    for model in made_up.MODELS:
        assert tab.get_by_role("heading", name=model, exact=True).is_visible()
        assert tab.get_by_role("list", name=f"Most probable classes by {model}").get_by_role("listitem").count() == 5
    assert tab.locator("canvas.pane").count() == 1 + 11
    assert tab.get_by_text(made_up.FAILURE).is_visible()
    assert tab.locator(".reason", has_text=made_up.REASON).is_visible()
    top = EXPLANATION.predictions["vgg16"].top(1)[0]
    row = tab.get_by_role("list", name="Most probable classes by vgg16").get_by_role("listitem").first
    assert row.inner_text().split("\n") == [top.label, f"{100 * top.probability:.1f} %"]


def test_numbers_and_warnings_stand_by_their_map(visit, usual):
    page = visit(usual)
    warning = page.locator(".cell .warning")
    assert warning.count() == 1
    assert warning.inner_text() == f"Warning: {made_up.WARNING}"
    facts = page.locator(".cell", has=page.locator(".warning")).locator(".facts dl")
    assert "Relative residual" in facts.text_content()
    assert "8.3 %" in facts.text_content()


def test_a_map_is_painted_in_the_colors_of_its_values(visit, usual):
    tab = visit(usual)
    slider = tab.get_by_role("slider", name="Opacity of the maps")
    slider.focus()
    tab.keyboard.press("End")
    settle(tab)
    for model, method in (("resnet50", made_up.METHODS[1]), ("mobilenet", made_up.METHODS[0])):
        the_map = EXPLANATION.map(model, method)
        pixels = drawn(tab, pane(tab, model, method).locator("canvas.pane"))
        height, width = pixels.shape[:2]
        blank = np.zeros((height, width, 3), np.uint8)
        expected = overlay(the_map, blank, 1)
        geometry = resized(the_map.geometry, (height, width))
        painted = colors.paint(geometry.on_image(the_map.values), colors.limits(the_map.values, False), "inferno")
        top, left, bottom, right = geometry.visible
        inside = np.zeros((height, width), bool)
        inside[int(top) + 4 : int(bottom) - 4, int(left) + 4 : int(right) - 4] = True
        solid = inside & (painted[..., 3] == 255)
        assert solid.sum() > 500
        off = np.abs(pixels[..., :3].astype(int) - expected)[solid].max(axis=1)
        assert np.quantile(off, 0.95) <= 6  # a canvas may be a fraction of a pixel off the picture's aspect
        assert np.median(off) <= 2


def test_the_probe_reads_all_maps_at_one_point(visit, usual):
    tab = visit(usual)
    canvas = pane(tab, "resnet50", made_up.METHODS[0]).locator("canvas.pane")
    box = canvas.bounding_box()
    height = tab.evaluate("document.documentElement.scrollHeight")
    for fx, fy in ((0.5, 0.5), (0.31, 0.72), (0.01, 0.5)):
        canvas.hover(position={"x": fx * box["width"], "y": fy * box["height"]})
        settle(tab)
        x, y = (int(v) for v in tab.locator(".where").inner_text().replace("x", "").replace("y", "").split(","))
        assert abs(x - fx * PICTURE.width) <= 1.5
        assert abs(y - fy * PICTURE.height) <= 1.5
        for (model, method), value in probed(tab).items():
            the_map = EXPLANATION.map(model, method)
            reference = the_map.on_image()[y, x]
            assert np.isnan(value) == np.isnan(reference)
            assert np.isnan(value) or abs(value - reference) <= 2**-10 * (np.abs(the_map.values).max() or 1)
    assert np.isnan(value) == np.isnan(reference)
    assert pane(tab, "resnet50", made_up.METHODS[0]).locator(".read").inner_text() == "not shown to the model"
    assert tab.evaluate("document.documentElement.scrollHeight") == height  # nothing jumps under the pointer


def test_keys_move_the_probe_and_it_is_announced(visit, usual):
    tab = visit(usual)
    canvas = pane(tab, "mobilenet", made_up.METHODS[0]).locator("canvas.pane")
    canvas.focus()
    tab.keyboard.press("m")
    the_map = EXPLANATION.map("mobilenet", made_up.METHODS[0])
    value = probed(tab)["mobilenet", made_up.METHODS[0]]
    assert abs(value - np.nanmax(the_map.on_image())) <= 0.1 * the_map.values.max()
    where = tab.locator(".where").inner_text()
    tab.keyboard.press("Shift+ArrowRight")
    tab.keyboard.press("ArrowDown")
    moved = tab.locator(".where").inner_text()
    x0, y0, x1, y1 = (int(v) for text in (where, moved) for v in text.replace("x", "").replace("y", "").split(","))
    assert (x1 - x0, y1 - y0) == (1, 5)
    reference = the_map.on_image()[y1, x1]
    assert abs(probed(tab)["mobilenet", made_up.METHODS[0]] - reference) <= 2**-10 * the_map.values.max()
    live = tab.locator("[aria-live=polite]")
    playwright.expect(live).to_contain_text(f"x {x1}, y {y1}.")
    playwright.expect(live).to_contain_text("resnet50 made-up-cam:")
    tab.keyboard.press("Escape")
    assert tab.locator(".where").inner_text() == ""
    assert tab.locator("[data-value]").count() == 0


def test_the_slider_works_by_keys_and_changes_what_is_seen(visit, usual):
    tab = visit(usual)
    canvas = pane(tab, "resnet50", made_up.METHODS[1]).locator("canvas.pane")
    before = drawn(tab, canvas)
    tab.get_by_role("slider", name="Opacity of the maps").focus()
    tab.keyboard.press("Home")
    settle(tab)
    bare = drawn(tab, canvas)
    assert (bare != before).any()
    inside = bare[40:60, 100:120]
    assert (inside[..., 0] == inside[..., 2]).all()  # nothing but the gray picture is left
    tab.keyboard.press("ArrowRight")
    assert tab.get_by_text("1 %", exact=True).is_visible()


def test_zoom_is_linked_and_can_be_undone(visit, usual):
    tab = visit(usual)
    near = pane(tab, "resnet50", made_up.METHODS[1]).locator("canvas.pane")
    far = pane(tab, "efficientnet_b0", made_up.METHODS[2]).locator("canvas.pane")
    far.scroll_into_view_if_needed()
    settle(tab)
    whole = drawn(tab, far)
    near.focus()
    far.scroll_into_view_if_needed()
    tab.keyboard.press("+")
    tab.keyboard.press("+")
    settle(tab)
    assert (drawn(tab, far) != whole).mean() > 0.2
    assert tab.get_by_text("225 %").is_visible()
    tab.get_by_role("button", name="All").click()
    settle(tab)
    assert (drawn(tab, far) == whole).all()
    assert tab.get_by_text("100 %", exact=True).is_visible()


def test_a_wheel_scrolls_the_page_until_a_map_is_chosen(visit, usual):
    tab = visit(usual)
    canvas = pane(tab, "resnet50", made_up.METHODS[0]).locator("canvas.pane")
    canvas.hover()
    tab.mouse.wheel(0, 40)
    until(tab, "scrollY > 0")
    assert tab.get_by_text("100 %", exact=True).is_visible()
    canvas.click()
    tab.mouse.wheel(0, -200)
    settle(tab)
    assert not tab.get_by_text("100 %", exact=True).is_visible()


def test_the_true_grid_is_shown_and_read(visit, usual):
    tab = visit(usual)
    canvas = pane(tab, "resnet50", made_up.METHODS[1]).locator("canvas.pane")
    smooth = drawn(tab, canvas)
    tab.get_by_label("True grid").check()
    settle(tab)
    assert (drawn(tab, canvas) != smooth).mean() > 0.02
    canvas.focus()
    tab.keyboard.press("m")
    the_map = EXPLANATION.map("resnet50", made_up.METHODS[1])
    assert abs(probed(tab)["resnet50", made_up.METHODS[1]] / the_map.values.max() - 1) < 2**-10


def test_a_shared_scale_is_one_per_method_and_said(visit, usual):
    tab = visit(usual)

    def ends(method):
        return [
            pane(tab, m, method).locator(".ends").inner_text() for m in ("resnet50", "efficientnet_b0", "mobilenet")
        ]

    assert len(set(ends(made_up.METHODS[0]))) == 3
    assert tab.get_by_text("every map has its own").is_visible()
    tab.get_by_label("Shared").check()
    assert len({e.replace("≥ ", "") for e in ends(made_up.METHODS[0])}) == 1
    assert tab.get_by_text("one per method").is_visible()


def test_color_maps_change_maps_and_legends_but_not_signed_ones(visit, usual):
    tab = visit(usual)
    unsigned, signed = (pane(tab, "resnet50", made_up.METHODS[i]).locator("canvas.colors") for i in (0, 2))
    before = drawn(tab, unsigned), drawn(tab, signed)
    select = tab.get_by_label("Colors")
    assert select.locator("option").all_inner_texts() == ["inferno", "viridis", "gray"]
    select.select_option("viridis")
    assert (drawn(tab, unsigned) != before[0]).any()
    assert (drawn(tab, signed) == before[1]).all()


def test_no_page_is_wider_than_its_window(visit, tmp_path):
    long = "a_label_without_any_place_to_break_" * 5
    image = Image(PICTURE.pixels, name=long, notes=(long,), sha256="0")
    many = made_up.explanation(
        image, models=(long, "b"), methods=(*made_up.METHODS, long), labels=(long,) * 6, targets=2
    )
    table = Table(("A column of some length",) * 8, (("long cell", *range(1000000, 1000007)),), "A note.")
    path = tmp_path / "report.html"
    path.write_text(page([Section(long, (long,), table, (many,))], title=long), "utf-8")
    tab = visit(path)
    tab.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    for width in (1920, 768, 390, 320):
        tab.set_viewport_size({"width": width, "height": 900})
        settle(tab)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        boxes = tab.locator(".maps figure").evaluate_all(
            "all => all.map((f) => [f.getBoundingClientRect().left, f.getBoundingClientRect().right])"
        )
        assert all(0 <= left < right - 130 <= width - 130 for left, right in boxes)


def test_the_tools_fold_away_on_a_narrow_screen(visit, usual):
    tab = visit(usual, width=390)
    assert not tab.get_by_label("True grid").is_visible()
    button = tab.get_by_role("button", name="View")
    button.focus()
    tab.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    assert tab.get_by_label("True grid").is_visible()


def test_a_tap_reads_and_a_finger_still_scrolls(visit, usual):
    tab = visit(usual, width=390, has_touch=True)
    canvas = pane(tab, "resnet50", made_up.METHODS[0]).locator("canvas.pane")
    canvas.tap()
    assert np.isfinite(probed(tab)["resnet50", made_up.METHODS[0]])
    assert canvas.evaluate("c => getComputedStyle(c).touchAction") == "pan-x pan-y"


def test_nothing_from_outside_is_read_as_markup(visit, tmp_path):
    parts = []
    for nasty in NASTY:
        image = Image(PICTURE.pixels, name=nasty, notes=(nasty,), sha256=nasty)
        made = made_up.explanation(image, (nasty, "b"), made_up.METHODS[:1], (nasty, *made_up.LABELS[1:]))
        parts.append(Section(nasty, (nasty,), Table((nasty,), ((nasty,),), nasty), (made,)))
    path = tmp_path / "report.html"
    path.write_text(page(parts, title=NASTY[0]), "utf-8")
    tab = visit(path)
    assert tab.title() == tab.locator("h1").text_content() == NASTY[0]
    assert tab.locator("h2").all_text_contents() == list(NASTY)
    assert tab.locator(".top5 .label").all_text_contents()[::10] == list(NASTY)
    assert tab.locator("thead th").all_text_contents() == list(NASTY)
    assert tab.locator("main img").count() == 0


def test_light_and_dark_follow_the_system_and_the_button(visit, usual):
    tab = visit(usual, color_scheme="dark")
    ground = "() => getComputedStyle(document.querySelector('.whylook')).backgroundColor"
    dark = tab.evaluate(ground)
    tab.get_by_role("button", name="Light").click()
    light = tab.evaluate(ground)
    assert sum(map(int, light[4:-1].split(","))) > 600 > 150 > sum(map(int, dark[4:-1].split(",")))
    tab.emulate_media(color_scheme="light")
    assert tab.evaluate(ground) == light
    assert tab.get_by_role("button", name="Dark").is_visible()


def test_everything_that_takes_the_focus_has_a_name(visit, usual):
    tab = visit(usual)
    for control in tab.locator("canvas.pane").all():
        assert len(control.get_attribute("aria-label")) > 20
    tree = json.dumps(tab.locator("body").aria_snapshot())
    for nameless in ("- button\\n", "- slider\\n", "- radio\\n", "- combobox\\n", "- application\\n"):
        assert nameless not in tree
    tab.keyboard.press("Tab")
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_pictures_of_one_size_are_linked_within_a_section_only(visit, tmp_path):
    small = {"models": ("a",), "methods": made_up.METHODS[:1]}
    first, second, third = (
        made_up.explanation(made_up.picture(200, 120, name=f"{n}.png"), **small) for n in ("one", "two", "three")
    )
    path = tmp_path / "report.html"
    path.write_text(page([Section("Both", explanations=(first, second)), third]), "utf-8")
    tab = visit(path)
    tab.locator(".frame canvas.pane").first.focus()
    tab.keyboard.press("m")
    assert [t != "" for t in tab.locator(".where").all_inner_texts()] == [True, True, False]


def test_what_could_not_be_done_is_said_in_sentences(visit, tmp_path):
    whole = made_up.explanation(PICTURE, models=("a", "b"), methods=made_up.METHODS[:1])
    said = ("Its outputs are not finite.", "There are no weights of that name.")
    some = tuple(m for m in whole.maps if m.model == "a")
    failing = replace(whole, maps=some, failures=(("b", "", said[0]), ("c", "", said[1])))
    path = tmp_path / "report.html"
    path.write_text(page([failing, replace(whole, models={}, predictions={}, maps=())]), "utf-8")
    tab = visit(path)
    for sentence in said:
        assert tab.get_by_text(sentence).is_visible()
    assert tab.locator("canvas.pane").count() == 3


def test_all_of_a_usual_page_is_drawn_in_time(visit, usual):
    tab = visit(usual, height=500)
    until(tab, "[...document.querySelectorAll('canvas.pane')].every((c) => c.width > 100 && c.height !== 150)")
    assert tab.evaluate("scrollY") == 0


def test_only_what_is_in_sight_of_a_huge_page_holds_pixels_until_it_is_printed(visit, tmp_path):
    methods = [f"method-{i}-cam" for i in range(28)]
    path = tmp_path / "report.html"
    path.write_text(page([made_up.explanation(PICTURE, models=("a", "b", "c"), methods=methods)]), "utf-8")
    tab = visit(path, height=500)
    last = tab.locator("canvas.pane").last
    assert last.evaluate("c => c.width") == 0
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert last.evaluate("c => c.width") > 100


def test_a_viewer_can_be_taken_away(browser):
    tab = browser.new_page()
    source = base64.b64encode(asset("viewer.js").encode()).decode()
    left = tab.evaluate(
        """async ([source, data]) => {
            const { mount } = await import(`data:text/javascript;base64,${source}`);
            const place = document.body.appendChild(document.createElement("div"));
            const viewer = mount(place, data);
            await viewer.loaded;
            const there = place.querySelectorAll("canvas.pane").length;
            viewer.destroy();
            return [there, place.childNodes.length, place.className];
        }""",
        [source, payload([EXPLANATION])],
    )
    tab.close()
    assert left == [12, 0, ""]
