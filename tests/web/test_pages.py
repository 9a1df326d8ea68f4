"""The pages in a browser, on a server that computes: from a dropped picture to maps, words, trust, poking and the report."""

from __future__ import annotations

import json
import re
import zipfile

import numpy as np
import pages
import pytest
from PIL import Image as Pillow

pytest.importorskip("playwright.sync_api", reason="the pages are tested in a browser: needs playwright")
pytestmark = pytest.mark.skipif(pages.CHROMIUM is None, reason="the pages are tested in a browser: needs Chromium")

MODELS = ["phantom:resnet", "phantom:resnet-shortcut"]
RNG = np.random.default_rng(0)


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


@pytest.fixture(scope="module")
def explained(live):
    """The address of a result that is done: a sample, two networks, two methods."""
    import httpx
    from servers import asked, finished

    with httpx.Client(base_url=live) as client:
        job = asked(client, picture="sample:disc-marker", models=MODELS, methods=["grad-cam", "gradient"])
        job = finished(client, job)
        assert job["state"] == "done", job
        trust = {"picture": 0, "model": MODELS[0], "method": "grad-cam"}
        card = finished(client, client.post(f"/api/explanations/{job['id']}/trust", json=trust).json())
        assert card["state"] == "done", card
    return f"/explanations/{job['id']}"


def choose(page, *files):
    page.set_input_files("#files", list(files) if len(files) != 1 else files[0])


def maps(page):
    page.wait_for_selector(".viewer .pane")
    return page


def open_poke(page):
    page.get_by_role("tab", name="Poke at it").click()
    page.wait_for_selector(".poke-maps .cell .pane")


def margins(page):
    """What the table says: model to (before, after)."""
    rows = page.locator(".poke-answers tbody tr").all()
    found = {}
    for row in rows:
        before, after = row.locator("td").nth(2).inner_text().replace("−", "-").split(" → ")
        found[row.locator("th bdi").first.inner_text().strip()] = (float(before), float(after))
    return found


def settled(page):
    pages.until(page, lambda: page.locator(".busy-word").inner_text() == "")
    page.wait_for_timeout(300)
    pages.until(page, lambda: page.locator(".busy-word").inner_text() == "")


def axe(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(v["id"], [n["html"][:160] for n in v["nodes"]][:3]) for v in found]


def is_narrow_enough(page):
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_from_an_upload_to_the_report(tab, tmp_path):
    one = tab()
    page = one.go()
    page.wait_for_selector(".sample button")
    page.get_by_text("Change models, methods and class").click()
    for name in ("phantom:vgg", "phantom:efficientnet", "phantom:mobilenet"):
        page.get_by_role("checkbox", name=name, exact=True).uncheck()
    page.get_by_role("checkbox", name="Input × gradient", exact=True).uncheck()
    choose(page, pages.file("film of mine.png", pages.film(catheter=False)))
    page.wait_for_url(re.compile(r"/explanations/\w+$"))
    maps(page)
    assert page.get_by_role("heading", level=1).inner_text() == "film of mine.png"
    assert page.locator(".viewer .cell").count() == 2
    assert page.locator(".narrative .claim").count() > 3
    assert page.locator(".narrative .facts li").count() > 3
    # The card of the first map is begun by itself, and its verdict stands beside the map.
    page.wait_for_selector(".belief .tag")
    verdict = page.locator(".belief .tag").inner_text()
    assert page.locator(".believe .verdict .word").inner_text() == verdict
    assert page.locator(".belief").nth(1).get_by_role("button").inner_text() == "Can it be believed?"

    # Slider, colors, zoom and probe ask nobody for anything.
    page.wait_for_timeout(300)
    before = len(one.requests)
    canvas = page.locator(".viewer .cell canvas.pane").first
    page.get_by_label("Opacity of the maps").fill("20")
    page.get_by_role("radio", name="True grid").check()
    page.get_by_label("Colors").select_option("viridis")
    page.get_by_role("button", name="Zoom in").click()
    canvas.hover()
    canvas.press("ArrowRight")
    assert page.locator(".read [data-value]").first.inner_text() != ""
    page.wait_for_timeout(300)
    assert one.requests[before:] == []

    with page.expect_download() as got:
        page.get_by_role("link", name="Report").click()
    saved = tmp_path / "report.html"
    got.value.save_as(saved)
    text = saved.read_text("utf-8")
    assert got.value.suggested_filename == "report.html"
    assert "whylook-view/1" in text
    assert "film of mine.png" in text
    with page.expect_download() as got:
        page.get_by_role("link", name="Folder").click()
    got.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert {"whylook/report.html", "whylook/maps.npz", "whylook/result.json"} <= set(archive.namelist())

    # The address keeps the result, and no second card is begun.
    page.reload()
    maps(page)
    page.wait_for_selector(".belief .tag")
    assert page.locator(".belief .tag").inner_text() == verdict
    assert page.locator(".belief .tag").count() == 1
    page.get_by_role("link", name="Results").click()
    row = page.locator(".job", has_text="film of mine.png")
    row.wait_for()
    assert "1 trust card" in row.inner_text()
    row.get_by_role("button", name="Remove film of mine.png").click()
    pages.until(page, lambda: page.locator(".job", has_text="film of mine.png").count() == 0)


def test_a_picture_that_is_dropped_begins_at_once_and_can_be_cancelled_and_run_again(tab):
    one = tab()
    page = one.go()
    page.wait_for_selector(".sample button")
    page.get_by_text("Change models, methods and class").click()
    page.get_by_role("checkbox", name="RISE", exact=True).check()  # long enough to be cancelled
    data = page.evaluate_handle(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
            return data;
        }""",
        list(pages.film()),
    )
    page.dispatch_event("h1", "dragenter", {"dataTransfer": data})
    assert page.locator(".curtain").is_visible()
    page.dispatch_event("h1", "drop", {"dataTransfer": data})
    page.wait_for_selector(".waiting")
    assert page.locator(".curtain").count() == 0
    assert page.get_by_role("progressbar").is_visible()
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".waiting[data-state=cancelled]")
    assert page.locator(".waiting .line").inner_text() == "Cancelled."
    before = page.url
    page.get_by_role("button", name="Run it again").click()
    pages.until(page, lambda: page.url != before)
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".waiting[data-state=cancelled]")


def test_poking_changes_answers_and_maps_and_can_be_undone(tab, explained):
    one = tab()
    page = maps(one.go(explained))
    open_poke(page)
    settled(page)
    start = margins(page)
    assert all(before == after for before, after in start.values())

    page.get_by_label("The map", exact=True).select_option(label="Grad-CAM of phantom:resnet")
    page.get_by_role("button", name="Remove what it shows").click()
    settled(page)
    after = margins(page)
    assert after[MODELS[0]][1] < start[MODELS[0]][0] - 2  # the lesion is what this network reads
    assert after[MODELS[0]][0] == start[MODELS[0]][0]
    assert "% of the picture is filled in" in page.locator(".poke-picture").inner_text()
    assert page.locator(".history .point").count() == 4
    page.get_by_role("button", name="Undo").click()
    settled(page)
    assert margins(page) == start

    # What is on the page in the end belongs to the last of many strokes, and few of them were asked about.
    asked = len([r for r in one.requests if r.endswith("/api/poke")])
    box = page.locator(".easel").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    for i in range(40):
        page.mouse.move(box["x"] + (0.2 + 0.015 * i) * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.up()
    settled(page)
    assert 1 <= len([r for r in one.requests if r.endswith("/api/poke")]) - asked <= 8
    painted = margins(page)
    assert painted != start
    page.get_by_role("button", name="Begin anew").click()
    settled(page)
    assert margins(page) == start

    # By keys: the middle cell.
    page.locator(".easel").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    settled(page)
    text = page.locator(".poke-picture").inner_text()
    assert f"{100 * 18 * 18 / 128**2:.1f} %" in text or f"{100 * 19 * 18 / 128**2:.1f} %" in text, text


def test_the_switches_of_a_drawn_film(tab, explained):
    page = maps(tab().go(explained))
    open_poke(page)
    settled(page)
    page.get_by_role("checkbox", name="Marker").uncheck()
    settled(page)
    found = margins(page)
    assert found[MODELS[1]][1] < found[MODELS[1]][0] - 3  # the letter is what the shortcut network reads
    assert abs(found[MODELS[0]][1] - found[MODELS[0]][0]) < 1
    page.get_by_role("button", name="Undo").click()
    settled(page)
    assert page.get_by_role("checkbox", name="Marker").is_checked()
    assert all(before == after for before, after in margins(page).values())


BAD = {
    "text": (pages.file("notes.txt", b"These are words, and no picture.", "text/plain"), "notes.txt"),
    "empty": (pages.file("empty.png", b""), "empty"),
    "cut off": (pages.file("cut.png", pages.saved(RNG.integers(0, 255, (90, 90, 3), np.uint8))[:9000]), "cut.png"),
    "bomb": (pages.file("bomb.png", pages.bomb()), "bomb.png"),
    "svg": (
        pages.file("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "image/svg+xml"),
        "drawing.svg",
    ),
}  # fmt: skip


def test_what_is_no_picture_ends_in_a_sentence(tab, tmp_path):
    one = tab()
    one.expected = {400, 413, 422}
    page = one.go()
    page.wait_for_selector(".sample button")
    for name, (sent, says) in BAD.items():
        choose(page, sent)
        pages.until(page, lambda says=says: says in page.locator(".trouble").inner_text())
        sentence = page.locator(".trouble").inner_text().strip()
        assert re.search(r"[.?]$", sentence), (name, sentence)
        assert "Traceback" not in sentence
        assert page.url.rstrip("/") == one.address
        page.evaluate("document.querySelector('.trouble').replaceChildren()")
    huge = tmp_path / "huge.png"
    with huge.open("wb") as stream:
        stream.truncate(200_000_000)
    asked = len(one.requests)
    choose(page, str(huge))
    pages.until(page, lambda: "200 MB" in page.locator(".trouble").inner_text())
    assert "at most 50 MB" in page.locator(".trouble").inner_text()
    assert one.requests[asked:] == []  # it was not sent for nothing


def test_unusual_pictures_are_read_and_said_and_a_bad_one_is_named(tab):
    one = tab()
    one.expected = {422}
    page = one.go()
    page.wait_for_selector(".sample button")
    page.get_by_text("Change models, methods and class").click()
    for name in ("phantom:vgg", "phantom:efficientnet", "phantom:mobilenet"):
        page.get_by_role("checkbox", name=name, exact=True).uncheck()
    for name in ("Input × gradient", "Gradient"):
        page.get_by_role("checkbox", name=name, exact=True).uncheck()
    frames = [Pillow.fromarray(RNG.integers(0, 255, (80, 100, 3), np.uint8)) for _ in range(3)]
    moving = pages.saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    printed = pages.saved(Pillow.fromarray(RNG.integers(0, 255, (80, 100, 4), np.uint8), "CMYK"), "JPEG")
    choose(
        page,
        pages.file("moving.gif", moving, "image/gif"),
        pages.file("notes.txt", b"no picture", "text/plain"),
        pages.file("printed.jpg", printed, "image/jpeg"),
    )
    maps(page)
    assert page.get_by_role("heading", level=1).inner_text() == "moving.gif and 1 more"
    about = " ".join(page.locator(".viewer .about").all_inner_texts())
    assert "first" in about
    assert "CMYK" in about
    assert "notes.txt" in page.locator(".trouble").first.inner_text()
    page.wait_for_selector(".belief .tag")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", pages.WIDTHS)
def test_pages_fit_and_have_no_barriers(tab, explained, width, scheme):
    one = tab(width=width, color_scheme=scheme)
    page = one.go()
    page.wait_for_selector(".sample button")
    page.get_by_text("Change models, methods and class").click()
    page.get_by_role("radio", name="Given class").check()
    assert is_narrow_enough(page)
    assert axe(page) == []
    one.go("/jobs")
    page.wait_for_selector(".job")
    assert is_narrow_enough(page)
    assert axe(page) == []
    one.go(explained)
    maps(page)
    page.wait_for_selector(".belief .tag")
    page.wait_for_selector(".believe .question")
    assert is_narrow_enough(page)
    assert axe(page) == []
    open_poke(page)
    settled(page)
    assert is_narrow_enough(page)
    assert axe(page) == []


def test_nothing_jumps(tab, explained):
    one = tab()
    one.page.add_init_script(
        """window.jumped = 0;
        new PerformanceObserver((list) => {
            for (const e of list.getEntries()) if (!e.hadRecentInput) window.jumped += e.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    page = one.go()
    page.wait_for_selector(".sample button")
    page.wait_for_timeout(300)
    assert page.evaluate("window.jumped") < 0.1
    one.go(explained)
    maps(page)
    page.wait_for_selector(".belief .tag")
    page.wait_for_timeout(300)
    assert page.evaluate("window.jumped") < 0.1


def test_all_of_it_by_keys(tab, explained):
    one = tab()
    page = one.go()
    page.wait_for_selector(".sample button")

    def tab_to(selector, most=60):
        for _ in range(most):
            page.keyboard.press("Tab")
            found = page.evaluate(
                """s => {
                    const e = document.activeElement;
                    const style = getComputedStyle(e);
                    const seen = style.outlineStyle !== "none" || e.matches("input[type=radio]");
                    return [e.matches(s), seen, e.outerHTML.slice(0, 90)];
                }""",
                selector,
            )
            assert found[1], f"no focus to be seen: {found[2]}"
            if found[0]:
                return
        raise AssertionError(f"{selector} is not reached")

    tab_to(".drop button")
    tab_to(".sample button")
    tab_to(".choices > summary")
    page.keyboard.press("Enter")
    tab_to(".target-of input")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    tab_to(".combobox input")
    page.keyboard.type("rin")
    page.wait_for_selector("[role=option]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator(".combobox input").first.input_value() == "ring"
    assert "explains ring" in page.locator(".asked").inner_text()

    one.go(explained)
    maps(page)
    tab_to("[role=tab]")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".poke-maps .cell .pane")
    tab_to(".easel")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    settled(page)
    assert "% of the picture is filled in" in page.locator(".poke-picture").inner_text()


def test_a_job_that_was_interrupted_or_failed_says_so_and_a_sentence_that_failed_the_check_is_shown(tab, explained):
    one = tab()
    page = one.page
    name = explained.rsplit("/", 1)[1]
    told = {"state": "interrupted", "error": "The server was stopped in the middle of it; it can be run again."}

    def changed(route):
        reply = route.fetch()
        route.fulfill(response=reply, body=json.dumps({**reply.json(), **told}))

    page.route(f"**/api/jobs/{name}", changed)
    one.go(explained)
    page.wait_for_selector(".waiting[data-state=interrupted]")
    assert page.locator(".waiting .line").inner_text() == told["error"]
    assert page.get_by_role("button", name="Run it again").is_visible()
    told.update(state="failed", error="No map could be made: <b>bold</b>.")
    page.reload()
    page.wait_for_selector(".waiting[data-state=failed]")
    assert page.locator(".waiting .line").inner_text() == told["error"]
    page.unroute(f"**/api/jobs/{name}")

    def dropping(route):
        reply = route.fetch()
        said = reply.json()
        said["dropped"] = [
            {"text": "The map is on the heart.", "reason": "No fact says so.", "fact_ids": [], "kind": "fact"}
        ]
        route.fulfill(response=reply, body=json.dumps(said))

    page.route("**/narrative", dropping)
    one.go(explained)
    maps(page)
    assert "No fact says so." in page.locator(".narrative .dropped").inner_text()


def test_a_page_that_is_not_there_and_a_result_that_is_gone(tab):
    one = tab()
    one.expected = {404}
    page = one.go("/explanations/aaaaaaaaaaaaaaaaaaaaaa")
    page.wait_for_selector(".trouble:not(:empty)")
    pages.until(page, lambda: "There is no such job" in page.locator(".page").inner_text())
