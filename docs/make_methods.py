"""Makes docs/methods.md from the registry: `uv run python docs/make_methods.py`."""

from pathlib import Path

from whylook.catalog import markdown

Path(__file__).with_name("methods.md").write_text(markdown(), encoding="utf-8")
