"""Measures of maps: one file per family, one decorated function per metric."""

from importlib import import_module
from pkgutil import iter_modules

from whylook.metrics.metric import METRICS, Case, Metric, NotAssessable, Score, measure, metric

for _module in sorted(m.name for m in iter_modules(__path__) if m.name != "metric"):
    import_module(f"whylook.metrics.{_module}")  # a new family is found by being a file here

__all__ = ["METRICS", "Case", "Metric", "NotAssessable", "Score", "measure", "metric"]
