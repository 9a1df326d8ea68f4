"""The page of a comparison."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whylook.comparison.run import Comparison


def page(comparison: Comparison) -> str:
    """Return the page as one HTML document."""
    said = "".join(f"<li>{html.escape(s)}</li>" for s in comparison.sentences())
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>Comparison</title><ul>{said}</ul></html>"
