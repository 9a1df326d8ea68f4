"""Comparisons in a browser: begun, followed, read in their frame, fetched."""

import json

import pages
import pytest
from servers import listening

import whylook

pytest.importorskip("playwright.sync_api", reason="the pages are tested in a browser: needs playwright")
pytestmark = pytest.mark.skipif(pages.CHROMIUM is None, reason="the pages are tested in a browser: needs Chromium")


@pytest.fixture(scope="module")
def browser():
    with pages.browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server with a folder that holds a comparison."""
    folder = tmp_path_factory.mktemp("allowed")
    whylook.compare("phantom-data:shortcut", ["phantom:vgg"], ["grad-cam"], limit=6).save(folder / "mine")
    with listening(data=tmp_path_factory.mktemp("compare") / "data", folder=folder) as found:
        yield found


@pytest.fixture
def tab(browser, address):
    opened = []

    def make(**options):
        opened.append(pages.Tab(browser, address, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def begin(page, *models):
    page.get_by_role("heading", level=1, name="Compare").wait_for()
    for box in page.locator(".compare-pick input").all():
        box.set_checked(box.input_value() in models)
    page.locator("#compare-pictures").fill("6")
    page.get_by_role("button", name="Compare").click()


def axe(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(v["id"], [n["html"][:160] for n in v["nodes"]][:3]) for v in found]


def test_one_is_begun_followed_and_read(tab, tmp_path):
    page = tab().go("/compare")
    begin(page, "phantom:resnet")
    page.get_by_role("heading", level=1, name="phantom-data:shortcut").wait_for()
    page.locator("iframe.compare-page").wait_for(timeout=90_000)
    frame = page.frame_locator("iframe.compare-page")
    frame.get_by_role("heading", level=1, name="Which model looks at the right thing?").wait_for()
    assert "phantom:resnet is right on" in frame.locator("body").inner_text()
    with page.expect_download() as got:
        page.get_by_role("link", name="All of it (JSON)").click()
    got.value.save_as(tmp_path / "compare.json")
    assert json.loads((tmp_path / "compare.json").read_text())["schema"] == "whylook-compare/1"
    with page.expect_download() as got:
        page.get_by_role("link", name="Every value (CSV)").click()
    assert got.value.suggested_filename == "scores.csv"
    page.get_by_role("link", name="All comparisons").click()
    page.get_by_role("heading", level=1, name="Compare").wait_for()
    assert page.locator(".comparisons a").all_inner_texts() == ["phantom-data:shortcut", "mine"]


def test_one_that_runs_is_cancelled_and_can_be_run_again(tab):
    page = tab().go("/compare")
    begin(page, "phantom:resnet", "phantom:vgg", "phantom:mobilenet", "phantom:efficientnet")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Run it again").wait_for()
    assert "Cancelled" in page.locator(".compare-state").inner_text()
    page.get_by_role("button", name="Run it again").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Run it again").wait_for()


def test_nothing_can_be_begun_without_a_network(tab):
    page = tab().go("/compare")
    page.get_by_role("heading", level=1, name="Compare").wait_for()
    for box in page.locator(".compare-pick input").all():
        box.uncheck()
    assert page.get_by_role("button", name="Compare").is_disabled()
    assert "Choose one network or more" in page.locator(".compare-form").inner_text()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_no_violations_and_nothing_too_wide(tab, width, scheme):
    one = tab(width=width, color_scheme=scheme)
    page = one.go("/compare")
    page.locator(".comparisons").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert axe(page) == []
    page.get_by_role("link", name="mine").click()
    page.frame_locator("iframe.compare-page").get_by_role("heading", level=1).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert axe(page) == []


def test_one_that_there_is_not_is_a_sentence(tab):
    one = tab()
    one.expected = {404}
    page = one.go("/compare/AAAAAAAAAAAAAAAA")
    pages.until(page, lambda: "no such job" in page.locator(".trouble").inner_text())
    one.go("/compare/folder00000000")
    pages.until(page, lambda: "no such comparison" in page.locator(".trouble").inner_text())
