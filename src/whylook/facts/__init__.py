"""Everything that was measured about an explanation, as a table of facts with ids: what words may be about."""

from whylook.facts.fact import Fact, Facts, Subject
from whylook.facts.measure import facts

__all__ = ["Fact", "Facts", "Subject", "facts"]
