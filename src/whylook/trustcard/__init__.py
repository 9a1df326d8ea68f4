"""The trust card of one map: what is measured about it, what may be said of it, and its page."""

from whylook.trustcard.card import Figure, Question, TrustCard
from whylook.trustcard.make import trust, trust_all

__all__ = ["Figure", "Question", "TrustCard", "trust", "trust_all"]
