"""From facts to prose of which every sentence is checked."""

from whylook.narrate.claims import SCHEMA, Claim, Dropped, Verified, parse
from whylook.narrate.verify import verify

__all__ = ["SCHEMA", "Claim", "Dropped", "Verified", "parse", "verify"]
