"""Makes docs/metrics.md from the registry: `uv run python docs/make_metrics.py`."""

from pathlib import Path

from whylook.metrics_catalog import markdown

Path(__file__).with_name("metrics.md").write_text(markdown(), encoding="utf-8")
