"""From facts to prose of which every sentence is checked."""

from whylook.narration.claims import SCHEMA, Claim, Dropped, Verified, parse
from whylook.narration.narrating import narrate
from whylook.narration.narrative import Narrative
from whylook.narration.template import template
from whylook.narration.verify import verify

__all__ = ["SCHEMA", "Claim", "Dropped", "Narrative", "Verified", "narrate", "parse", "template", "verify"]
