"""The narrator that asks a language service to word the facts; only what holds against them is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whylook.narrate.claims import Claim, Dropped, Verified
from whylook.narrate.request import Request, Turn
from whylook.narrate.verify import verify

if TYPE_CHECKING:
    from whylook.facts import Facts
    from whylook.narrate.client import Client
    from whylook.narrate.pictures import Part

_REMEMBERED = 6  # earlier questions that go along with a new one


@dataclass(frozen=True)
class Worded:
    """What a service said, checked.

    Parameters
    ----------
    verified : its claims.
    not_assessable : what it says the facts do not tell, as far as that holds, too.
    """

    verified: Verified
    not_assessable: tuple[str, ...] = ()


def request_of(facts: Facts, pictures: Sequence[Part] = ()) -> Request:
    """Return the request for the whole story: the facts as JSON in ASCII, so that no character of a label can hide."""
    return Request(json.dumps(facts.as_dict(), ensure_ascii=True, allow_nan=False, indent=1), tuple(pictures))


class Narrator:
    """A language service about one table of facts; remembers what was asked.

    Parameters
    ----------
    facts : all it may speak of.
    request : made by `request_of`: what was agreed to be sent.
    client : the service.
    """

    def __init__(self, facts: Facts, request: Request, client: Client) -> None:
        self.facts, self.request, self.client = facts, request, client
        self._earlier: tuple[Turn, ...] = ()

    def narrate(self) -> Worded:
        """Return the story, every claim checked; required limits that it leaves out are added.

        Raises
        ------
        ServiceError
            If no answer can be had.
        """
        answer = self.client.answer(self.request)
        verified = verify(answer.claims, self.facts)
        return self._worded(verified, answer.not_assessable)

    def ask(self, question: str, show: Callable[[Claim | Dropped], None]) -> Worded:
        """Answer a question; `show` is called with each claim once it is checked, while others are still coming.

        Raises
        ------
        ServiceError
            If no answer can be had, or it breaks off.
        """
        kept: list[Claim] = []
        dropped: list[Dropped] = []

        def check(claim: Claim) -> None:
            found = verify([claim], self.facts)
            kept.extend(found.kept)
            dropped.extend(found.dropped)
            for one in (*found.kept, *found.dropped):
                show(one)

        asked = Request(self.request.facts, self.request.pictures, question, self._earlier)
        answer = self.client.stream(asked, check)
        self._earlier = (*self._earlier, Turn(question, tuple(c.text for c in kept)))[-_REMEMBERED:]
        added = verify(kept, self.facts).added
        return self._worded(Verified(tuple(kept), tuple(dropped), added), answer.not_assessable)

    def _worded(self, verified: Verified, others: Sequence[str]) -> Worded:
        """Sort what is said not to be known like claims: free words would be a way around the checks."""
        every = tuple(f.id for f in self.facts)
        checked = verify([Claim(text, every, "limit") for text in others], self.facts)
        dropped = (*verified.dropped, *(Dropped(Claim(d.claim.text, (), "limit"), d.reason) for d in checked.dropped))
        return Worded(Verified(verified.kept, dropped, verified.added), tuple(c.text for c in checked.kept))
