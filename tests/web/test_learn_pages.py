"""The tutorial in a browser: read, run, keep the picture; by keyboard; narrow, dark, and without violations."""

import re

import numpy as np
import pages
import pytest

from whylook.learn import chapters

pytest.importorskip("playwright.sync_api", reason="the pages are tested in a browser: needs playwright")
pytestmark = pytest.mark.skipif(pages.CHROMIUM is None, reason="the pages are tested in a browser: needs Chromium")


@pytest.fixture(scope="module")
def browser():
    with pages.browsing() as browser:
        yield browser


@pytest.fixture
def tab(browser, live):
    opened = []

    def make(**options):
        opened.append(pages.Tab(browser, live, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def ran(page):
    """Run the experiment of the page, and return its sentences."""
    page.locator(".experiment-box button[type=submit]").first.click()
    return outcome(page)


def outcome(page):
    page.locator(".experiment-box .outcome:not([hidden]):not(.stale)").wait_for()
    return page.locator(".experiment-box .sentences").first.inner_text()


def is_narrow_enough(page):
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def axe(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(v["id"], [n["html"][:160] for n in v["nodes"]][:3]) for v in found]


def test_from_the_contents_through_two_chapters_with_a_picture_that_stays(tab):
    page = tab().go("/learn")
    page.get_by_role("link", name="Begin to read").click()
    page.get_by_role("heading", level=1, name="What a saliency map is").wait_for()
    assert page.title() == "What a saliency map is, and what it is not · whylook"
    assert "phantom:resnet says disc" in ran(page)
    assert page.locator(".shown .pane").count() == 3  # the picture, the map of its answer, and that of the second
    page.get_by_label("Picture for the experiments").select_option("sample:cross-marker")
    pages.until(page, lambda: "phantom:resnet says cross" in page.locator(".sentences").inner_text())
    outcome(page)
    page.get_by_role("link", name="Next").click()
    page.get_by_role("heading", level=1, name="The gradient").wait_for()
    assert page.url.endswith("/learn/gradient")
    assert page.evaluate("window.scrollY") == 0
    assert page.get_by_label("Picture for the experiments").input_value() == "sample:cross-marker"
    assert "phantom:resnet says cross" in ran(page)
    page.go_back()
    page.get_by_role("heading", level=1, name="What a saliency map is").wait_for()


def test_a_picture_of_ones_own_stays_over_a_reload(tab):
    page = tab().go("/learn/cam")
    page.wait_for_selector(".readers-picture img")
    page.set_input_files(
        ".readers-picture input[type=file]", pages.file("mine.png", pages.saved(np.full((40, 64, 3), 99, np.uint8)))
    )
    pages.until(page, lambda: page.get_by_label("Picture for the experiments").input_value().startswith("upload:"))
    page.reload()
    assert "knows four shapes in drawn films" in ran(page)
    assert "mine.png" in page.locator(".shown").inner_text()


def test_a_picture_that_cannot_be_read_is_a_sentence(tab):
    one = tab()
    one.expected = {422}
    page = one.go("/learn/cam")
    page.wait_for_selector(".readers-picture img")
    page.set_input_files(".readers-picture input[type=file]", pages.file("notes.png", b"no picture"))
    pages.until(page, lambda: "notes.png" in page.locator(".readers-picture .trouble").inner_text())


def test_a_control_that_is_changed_makes_the_experiment_again(tab):
    page = tab().go("/learn/three-pictures")
    assert page.locator(".readers-picture").count() == 0  # films only: no picture is asked for
    assert "2 / 2³ = 0.25" in ran(page)
    page.get_by_role("slider", name="Pictures").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    pages.until(page, lambda: "2 / 2⁶ = 0.0312" in page.locator(".sentences").inner_text())
    outcome(page)
    dots = page.locator(".graph circle.point").count()
    assert (dots, page.locator(".graph circle.hollow").count()) == (6, 18)
    assert page.locator(".graph").get_attribute("aria-label").startswith("Differences on the lesion")


def test_the_viewer_works_within_an_experiment_without_a_request(tab):
    one = tab()
    page = one.go("/learn/introduction")
    ran(page)
    before = len(one.requests)
    page.get_by_role("radio", name="True grid").check()
    page.get_by_label("Opacity of the maps").fill("40")
    pane = page.locator(".shown .pane").nth(1)
    pane.hover(position={"x": 60, "y": 60})
    pages.until(page, lambda: re.search(r"\d", page.locator(".shown .read").first.inner_text()))
    assert one.requests[before:] == []


def test_math_is_drawn_by_the_browser(tab):
    page = tab().go("/learn/gradient")
    page.wait_for_selector(".text math")
    boxes = [m.bounding_box() for m in page.locator(".text .math.block math").all()]
    assert len(boxes) == 2
    assert all(b["height"] > 30 and b["width"] > 80 for b in boxes)
    fraction = page.locator(".text .math.block mfrac").first
    top, bottom = (fraction.locator(f"> *:nth-child({i})").bounding_box() for i in (1, 2))
    assert top["y"] + top["height"] <= bottom["y"] + 3


def test_by_keyboard_alone(tab):
    page = tab().go("/learn")
    page.get_by_role("link", name="Begin to read").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="What a saliency map is").wait_for()
    page.get_by_label("Picture for the experiments").focus()
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.tagName"))
        if seen[-1] == "Run":
            break
    assert seen[-1] == "Run", seen
    page.keyboard.press("Enter")
    assert "phantom:resnet says disc" in outcome(page)
    assert page.evaluate("document.activeElement.textContent") == "Run again"
    assert "phantom:resnet says disc" in page.locator("#said").inner_text()


def test_what_the_server_refuses_is_a_sentence(tab):
    one = tab()
    one.expected = {404}
    page = one.go("/learn/nowhere")
    page.get_by_role("heading", name="There is no such chapter").wait_for()
    page.get_by_role("link", name="All chapters").click()
    page.get_by_role("heading", level=1, name="Learn").wait_for()
    gone = {"ref": "upload:gonegonegone", "name": "g", "src": "/api/samples/disc/picture"}
    page.evaluate("gone => sessionStorage.setItem('whylook-learn-picture', JSON.stringify(gone))", gone)
    one.go("/learn/cam")
    page.wait_for_selector(".experiment-box")
    page.locator(".experiment-box button[type=submit]").click()
    pages.until(page, lambda: "no such picture" in page.locator(".experiment-box .trouble").inner_text())


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_no_violations_and_nothing_too_wide(tab, width, scheme):
    one = tab(width=width, color_scheme=scheme)
    page = one.go("/learn")
    page.get_by_role("heading", level=1, name="Learn").wait_for()
    assert axe(page) == []
    one.go("/learn/rules")
    page.wait_for_selector(".experiment-box")
    ran(page)
    page.wait_for_timeout(100)
    assert is_narrow_enough(page)
    assert axe(page) == []


def test_every_chapter_fits_a_narrow_screen(tab):
    one = tab(width=390)
    for chapter in chapters():
        page = one.go(f"/learn/{chapter.slug}")
        page.get_by_role("heading", level=1, name=chapter.title).wait_for()
        page.wait_for_selector(".experiment-box")
        assert is_narrow_enough(page), chapter.slug
        if chapter.slug == "preprocessing":  # it has a table, too
            assert axe(page) == [], chapter.slug
