"""The narrator that asks a language service to word the facts; only what holds against them is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from whylook.narration.claims import Claim, Dropped, Verified
from whylook.narration.narrative import Narrative
from whylook.narration.request import Request, Turn
from whylook.narration.template import template
from whylook.narration.verify import verify

if TYPE_CHECKING:
    from whylook.facts import Facts
    from whylook.narration.answer import Answer
    from whylook.narration.client import Client
    from whylook.narration.pictures import Part

_REMEMBERED = 6  # earlier questions that go along with a new one
_EXAMPLES = 8  # sentences that go along to show how facts are told
_UNSENT = ("value", "interval", "chance")  # unrounded: a claim may only use what is shown


def request_of(facts: Facts, pictures: Sequence[Part] = ()) -> Request:
    """Return the request for the whole story of one picture.

    Facts go as they are shown, rounded, one on a line, in ASCII, so that no character of a label can hide. The name of
    the picture is not among them.
    """
    table = facts.as_dict()
    rows = [{k: v for k, v in fact.items() if k not in _UNSENT and v != {}} for fact in table["facts"]]
    lines = ",\n".join(_ascii(row) for row in rows)
    sure = template(facts)
    examples = [claim.as_dict() for claim in sure[:: max(1, -(-len(sure) // _EXAMPLES))]]
    head = f'"titles": {_ascii(table["titles"])}, "examples": {_ascii(examples)}'
    return Request(f'{{{head}, "facts": [\n{lines}\n]}}', tuple(pictures))


def _ascii(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


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

    @property
    def name(self) -> str:
        """The model and where it is, as reports name it."""
        return f"{self.client.settings.model} at {self.client.settings.host}"

    def narrate(self) -> Narrative:
        """Return the story, every claim checked; required limits that it leaves out are added.

        Raises
        ------
        ServiceError
            If no answer can be had.
        """
        answer = self.client.answer(self.request)
        return self._narrative(verify(answer.claims, self.facts), answer)

    def ask(self, question: str, show: Callable[[Claim | Dropped], None] = lambda _: None) -> Narrative:
        """Answer a question; `show` is called with each claim once it is checked, while others are still coming.

        Raises
        ------
        ServiceError
            If no answer can be had, or it breaks off; what was shown until then held.
        """
        kept: list[Claim] = []
        dropped: list[Dropped] = []

        def check(claim: Claim) -> None:
            found = verify([claim], self.facts)
            kept.extend(found.kept)
            dropped.extend(found.dropped)
            for held in found.kept:
                show(held)
            for failed in found.dropped:
                show(failed)

        asked = Request(self.request.facts, self.request.pictures, question, self._earlier)
        answer = self.client.stream(asked, check)
        self._earlier = (*self._earlier, Turn(question, tuple(c.text for c in kept)))[-_REMEMBERED:]
        return self._narrative(Verified(tuple(kept), tuple(dropped), verify(kept, self.facts).added), answer)

    def _narrative(self, verified: Verified, answer: Answer) -> Narrative:
        """Count what is said not to be known: the words for it cannot be checked, and could say anything."""
        notes: tuple[str, ...] = (
            () if verified.kept else ("Nothing that the language model said holds against the facts.",)
        )
        if count := len(answer.not_assessable):
            things = "one thing" if count == 1 else f"{count} things"
            notes += (f"The language model names {things} that the facts do not tell; unchecked words are not shown.",)
        return Narrative(self.name, self.facts, verified, notes)
