"""The tutorial: chapters as Markdown with math, code that runs, and live experiments; for the web page and for notebooks."""

from whylook.learn.chapter import PARTS, Chapter, Code, Text, Use, chapter, chapters
from whylook.learn.experiments import Experiment, Outcome, experiments

__all__ = [
    "PARTS",
    "Chapter",
    "Code",
    "Experiment",
    "Outcome",
    "Text",
    "Use",
    "chapter",
    "chapters",
    "experiments",
]
