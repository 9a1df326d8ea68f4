"""Options of the language service, and the talk with it: consent first, checked claims after."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from whylook.cli.terminal import out, say
from whylook.errors import ServiceError, UsageError

if TYPE_CHECKING:
    from whylook.explanation import Map
    from whylook.facts import Facts
    from whylook.image import Image
    from whylook.narration.claims import Claim, Dropped
    from whylook.narration.openai import Narrator, Worded
    from whylook.narration.settings import Settings

_GROUP = Group("Language service: nothing is sent without --llm and your agreement", sort_key=20)


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True)
class Service:
    """Which language service words the facts, and what it is shown."""

    llm: Literal["openai"] | None = None
    "Who words the facts: openai, or any server with its interface (--llm-url). The key is read from OPENAI_API_KEY."
    llm_model: str | None = None
    "What the service calls the model; WHYLOOK_LLM_MODEL sets it, too."
    llm_url: str | None = None
    "Base address of an OpenAI-compatible server, such as http://localhost:11434/v1."
    llm_timeout: float = 120.0
    "Seconds that one try may take; there are two at most."
    llm_images: Literal["none", "overlay", "all"] = "overlay"
    "Pictures that are sent: none, the overlays of the maps, or all: also the picture itself."
    yes: Annotated[bool, Parameter(negative=())] = False
    "Agree beforehand to what is sent."

    @property
    def asked_for(self) -> bool:
        """Whether a service is to be asked at all."""
        if self.llm is None and (self.llm_url or self.llm_model):
            raise UsageError("--llm-url and --llm-model belong to --llm openai, without which nothing is sent.")
        return self.llm is not None

    def settings(self) -> Settings:
        """Return the service; raises what `whylook.narration.settings.settings` does."""
        from whylook.narration.settings import settings

        return settings(self.llm_url, self.llm_model, self.llm_timeout)


@dataclass(frozen=True)
class Shown:
    """One picture that is told about; without `image`, no pictures of it are sent."""

    facts: Facts
    image: Image | None = None
    maps: Sequence[Map] = ()


def narrators(pictures: Sequence[Shown], service: Service) -> list[Narrator]:
    """Show what would leave, ask for agreement, and return a narrator per picture.

    Raises
    ------
    ServiceError
        If there is no key or no agreement; nothing was sent.
    """
    from whylook.narration.client import Client
    from whylook.narration.consent import agree
    from whylook.narration.openai import Narrator, request_of
    from whylook.narration.pictures import left_out
    from whylook.narration.pictures import pictures as parts

    settings, which = service.settings(), service.llm_images
    requests = [request_of(p.facts, () if p.image is None else parts(p.image, p.maps, which)) for p in pictures]
    missing = sum(left_out(p.maps, which) for p in pictures if p.image is not None)
    client = Client(settings)
    agree(requests, settings, yes=service.yes, say=say, left_out=missing)
    return [Narrator(p.facts, request, client) for p, request in zip(pictures, requests, strict=True)]


def claim_line(one: Claim | Dropped) -> str:
    """Return a claim as a line with the facts behind it; a dropped one says why."""
    from whylook.narration.claims import Dropped

    if isinstance(one, Dropped):
        return f"  [dropped: {one.reason}] {one.claim.text}"
    return f"  {one.text} [{', '.join(one.fact_ids)}]"


def show_worded(worded: Worded, *, claims: bool = True) -> None:
    """Print what a service said and held, the limits that were added, and what was dropped."""
    verified = worded.verified
    if claims:
        for one in (*verified.kept, *verified.added, *verified.dropped):
            out(claim_line(one))
    if not verified.kept:
        out("  The service said nothing that holds against the facts.")
    if worded.unanswered:
        out("  The facts do not tell all of it.")


def talk(narrator: Narrator, questions: Sequence[str] | None) -> list[dict[str, Any]]:
    """Answer questions, or those that a person types until an empty line; claims are printed as they come.

    Returns
    -------
    Question, claims, what was dropped and why, per question.

    Raises
    ------
    ServiceError
        As the narrator's `ask`; on a terminal it is said, and the next question may be asked.
    """
    done: list[dict[str, Any]] = []

    def answer(question: str) -> None:
        out(f"? {question}")
        worded = narrator.ask(question, lambda one: out(claim_line(one)))
        if not done:  # limits are said once
            for limit in worded.verified.added:
                out(claim_line(limit))
        show_worded(worded, claims=False)
        done.append({"question": question, **worded.verified.as_dict(), "unanswered": worded.unanswered})

    for question in questions or ():
        answer(question)
    while questions is None:
        say("Ask about this explanation; an empty line ends.")
        question = sys.stdin.readline().strip()
        if not question:
            break
        try:
            answer(question)
        except ServiceError as error:
            say(str(error))
    return done
