"""What tests of the pages share: a browser, tabs that note what goes wrong, and pictures to hand in."""

from __future__ import annotations

import io
import shutil
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from whylook.phantom import picture

CHROMIUM = next(
    (
        p
        for p in ("/usr/bin/chromium", shutil.which("chromium"), shutil.which("google-chrome"))
        if p and Path(p).exists()
    ),
    None,
)
WIDTHS = (390, 1280)


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Tab:
    """A tab, all that it asked for, and all that went wrong in it.

    What the server refuses the browser notes in its console as an error of its own; `expected` holds the statuses that a
    test means to cause.
    """

    def __init__(self, browser: Any, address: str, width: int = 1280, height: int = 900, **options: Any) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce", **options)
        self.address = address
        self.trouble: list[str] = []
        self.requests: list[str] = []
        self.expected: set[int] = set()
        self.page.set_default_timeout(30_000)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda e: self.trouble.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))

    def _console(self, message: Any) -> None:
        text = message.text
        if message.type == "error" and any(f"status of {code} " in text for code in self.expected):
            return
        if "willReadFrequently" not in text:
            self.trouble.append(text)

    def go(self, path: str = "/") -> Any:
        self.page.goto(self.address + path)
        return self.page

    def close(self) -> None:
        """Close it; nothing may have gone wrong, and nothing may have been asked of anybody but the server."""
        self.page.close()
        assert self.trouble == []
        assert [r for r in self.requests if not r.startswith((self.address + "/", "data:", "blob:"))] == []


def until(page: Any, holds: Callable[[], Any], patience: float = 30.0) -> None:
    """Wait until `holds()`; from here, because the pages' policy lets nobody evaluate strings in them."""
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, "it does not come true"
        page.wait_for_timeout(30)


def film(**parts: bool) -> bytes:
    """A drawn film as PNG, by other bytes than the sample."""
    return saved(np.asarray(picture(**parts).pixels[:, :, 0]))


def saved(pixels: Any, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Pillow.Image) else Pillow.fromarray(pixels)
    image.save(stream, kind, **options)
    return stream.getvalue()


def bomb(side: int = 60_000) -> bytes:
    """A PNG of few bytes that says it has `side`² pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def file(name: str, data: bytes, kind: str = "image/png") -> dict[str, Any]:
    return {"name": name, "mimeType": kind, "buffer": data}
