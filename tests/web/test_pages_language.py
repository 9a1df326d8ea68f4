"""The language service on the page: seen before it is sent, sent after a yes, and only what passed the check is shown as so."""

from __future__ import annotations

import json

import pages
import pytest
from servers import asked, finished, listening

from loopback import Loopback, Reply, events, whole

pytest.importorskip("playwright.sync_api", reason="the pages are tested in a browser: needs playwright")
pytest.importorskip("openai")
pytestmark = pytest.mark.skipif(pages.CHROMIUM is None, reason="the pages are tested in a browser: needs Chromium")
KEY = "sk-test-0123456789abcdef"
WRONG = "The patient certainly has cancer in 99 % of the lung."


def test_consent_then_a_checked_story_and_a_question(tmp_path):
    import httpx

    from whylook.narration.settings import Settings as Service

    replies = []
    with (
        Loopback(lambda _: replies.pop(0)) as service,
        listening(data=tmp_path / "data", service=Service(service.url, "some-model", 10.0, KEY)) as address,
        httpx.Client(base_url=address, timeout=60) as client,
        pages.browsing() as browser,
    ):
        job = finished(client, asked(client, picture="sample:disc", models="phantom:resnet", methods="grad-cam"))
        card = client.post(
            f"/api/explanations/{job['id']}/trust", json={"model": "phantom:resnet", "method": "grad-cam"}
        )
        finished(client, card.json())
        said = client.post(f"/api/explanations/{job['id']}/narrative", json={"by": "template"}).json()
        claims = [c for p in said["paragraphs"] for c in p["claims"] if c["kind"] != "limit"][:2]
        text = json.dumps({"claims": [*claims, {**claims[0], "text": WRONG}], "not_assessable": []})
        replies += [Reply(body=whole(text)), Reply(body=events(text), kind="text/event-stream")]

        tab = pages.Tab(browser, address)
        tab.expected = {409}
        page = tab.go(f"/explanations/{job['id']}")
        page.wait_for_selector(".belief .tag")
        page.get_by_role("button", name="Show what would be sent").click()
        page.wait_for_selector(".consent")
        shown = page.locator(".consent").inner_text()
        assert service.url in shown
        assert "some-model" in shown
        assert KEY not in page.content()
        assert page.locator(".consent .sent img").count() == 1
        page.get_by_text("The facts, word for word").click()
        assert "fact" in page.locator(".consent pre").first.inner_text()
        page.get_by_role("button", name="Do not send").click()
        assert service.asked == []

        page.get_by_role("button", name="Show what would be sent").click()
        page.get_by_role("button", name="Send it").click()
        page.wait_for_selector(".language .narrative")
        story = page.locator(".language .narrative")
        assert claims[0]["text"] in story.inner_text()
        assert WRONG in story.locator(".dropped s").inner_text()
        assert len(service.asked) == 1

        page.get_by_label("A question about these maps").fill("Where does it look?")
        page.keyboard.press("Enter")
        pages.until(page, lambda: WRONG in page.locator(".talk").inner_text())
        assert claims[0]["text"] in page.locator(".talk .claim").first.inner_text()
        assert page.locator(".talk s").inner_text() == WRONG
        assert len(service.asked) == 2
        tab.close()
