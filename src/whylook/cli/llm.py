"""Options of the language service, and the talk with it: consent first, checked claims after."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from whylook.cli.terminal import out, progress_bar, say
from whylook.errors import ServiceError, UsageError

if TYPE_CHECKING:
    from whylook.explanation import Map
    from whylook.facts import Facts
    from whylook.image import Image
    from whylook.narration.claims import Claim, Dropped, Verified
    from whylook.narration.narrative import Narrative
    from whylook.narration.openai import Narrator
    from whylook.narration.settings import Settings

_GROUP = Group("Language service: nothing is sent without --llm and your agreement", sort_key=20)


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True)
class Service:
    """Which language service words the facts, what it is shown, and what it is asked.

    Parameters
    ----------
    llm : str | None
        Who words the facts instead of the offline template: openai, or with --llm-url any server with its interface.
        Every sentence is checked against the facts. The key is read from OPENAI_API_KEY, and from nowhere else.
    llm_model : str | None
        What the service calls the model; the variable WHYLOOK_LLM_MODEL names it, too.
    llm_url : str | None
        Base address of an OpenAI-compatible server (Ollama, vLLM, LM Studio, llama.cpp), as http://localhost:11434/v1.
    llm_timeout : float
        Seconds for a whole answer, with all tries and pauses; a service that asks to wait longer than 10 s is not waited for.
    llm_images : str
        Pictures that are sent: none, the overlay of each map, or all: also the picture itself.
    ask : list[str] | None
        A question about the explanation, answered by the service instead of the story; may be repeated.
    chat : bool
        Ask on the terminal, one question after the other.
    yes : bool
        Agree beforehand to what is sent; it is shown all the same.
    """

    llm: Literal["openai"] | None = None
    llm_model: str | None = None
    llm_url: str | None = None
    llm_timeout: float = 120.0
    llm_images: Literal["none", "overlay", "all"] = "overlay"
    ask: Annotated[list[str] | None, Parameter(negative_iterable=(), consume_multiple=False)] = None
    chat: Annotated[bool, Parameter(negative=())] = False
    yes: Annotated[bool, Parameter(negative=())] = False

    @property
    def wanted(self) -> bool:
        """Whether a service is to be asked at all."""
        return self.llm is not None

    def check(self, pictures: int, masks: Sequence[str] | None = None) -> None:
        """Refuse what cannot be, before any work is done.

        Parameters
        ----------
        pictures : how many are told about.
        masks : what `--mask` was given.

        Raises
        ------
        UsageError
            If an option of the service is given without it, questions are to be about several pictures, there is no
            terminal to ask on, or a region would be sent under the name of its file.
        """
        given = {"--llm-url": self.llm_url, "--llm-model": self.llm_model, "--ask": self.ask, "--chat": self.chat}
        if not self.wanted:
            for option, value in given.items():
                if value:
                    raise UsageError(f"{option} belongs to --llm openai, without which nothing is sent anywhere.")
            return
        if (self.ask or self.chat) and pictures > 1:
            raise UsageError("--ask and --chat are about one picture; give one with them.")
        if self.chat and not sys.stdin.isatty():
            raise UsageError("--chat needs a terminal to ask on; ask with --ask instead.")
        if unnamed := [m for m in masks or () if "=" not in m]:
            raise UsageError(
                f"--mask {unnamed[0]}: with --llm a region needs a name, NAME=FILE; that of the file would be sent."
            )
        with suppress(ServiceError):  # a missing key is no reason not to make maps
            self.settings()

    def settings(self) -> Settings:
        """Return the service; raises what `whylook.narration.settings.settings` does."""
        from whylook.narration.settings import settings

        return settings(self.llm_url, self.llm_model, self.llm_timeout)


NO_SERVICE = Service()


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
    if which != "none" and any(p.image is None for p in pictures):
        say("The file of a picture is gone, or has changed since its maps were made: no picture of it would be sent.")
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


@dataclass(frozen=True)
class Spoken:
    """What came of asking a service.

    Parameters
    ----------
    narratives : one per picture; where the service told none, the one there was.
    answers : to the questions.
    error : why it ended early, or None.
    """

    narratives: list[Narrative]
    answers: list[dict[str, Any]]
    error: ServiceError | None = None


def speak(
    pictures: Sequence[Shown],
    narratives: Sequence[Narrative],
    service: Service,
    folder: Path,
    *,
    tell: Callable[[str], None] = out,
) -> Spoken:
    """Have a service tell the story of each picture, or answer the questions; what fails is said, nothing is lost.

    Parameters
    ----------
    pictures : what to tell of.
    narratives : the offline ones, which stay where the service gives none.
    service : which, and what it is asked.
    folder : where answers to questions are kept, in `answers.json`.
    tell : shows a line of an answer as it comes.
    """
    from whylook.report.bundle import save_answers

    told = list(narratives)
    answers: list[dict[str, Any]] = []
    try:
        asked = narrators(pictures, service)
        if service.ask or service.chat:
            if service.chat:  # what there is to ask about
                say(told[0].text())
            talk(asked[0], service, tell, answers)
        else:
            with progress_bar("Asking the language service") as progress:
                for i, narrator in enumerate(asked):  # after the first failure the others would fail alike
                    progress(i, len(asked), narrator.facts.picture)
                    told[i] = narrator.narrate()
    except ServiceError as error:
        say(str(error))
        note = f"The language service was asked, and this is the offline narrative: {error}"
        offline = [replace(n, notes=(*n.notes, note)) if n is narratives[i] else n for i, n in enumerate(told)]
        return Spoken(offline, answers, error)
    finally:
        if answers:
            save_answers(answers, folder)
    return Spoken(told, answers)


def sorted_out(shown: Sequence[Claim | Dropped]) -> Verified:
    """Return what was shown of an answer as claims that held and claims that did not."""
    from whylook.narration.claims import Dropped, Verified

    dropped = tuple(one for one in shown if isinstance(one, Dropped))
    return Verified(tuple(one for one in shown if not isinstance(one, Dropped)), dropped)


def talk(narrator: Narrator, service: Service, tell: Callable[[str], None], done: list[dict[str, Any]]) -> None:
    """Answer the questions of `--ask`, then those that a person types until an empty line; claims are shown as they come.

    Question, claims, and what was dropped and why go to the end of `done`, one question after the other.

    Raises
    ------
    ServiceError
        As the narrator's `ask`; to what a person types it is only said, and the next question may be asked.
    """

    def answer(question: str) -> None:
        came: list[Claim | Dropped] = []

        def show(one: Claim | Dropped) -> None:
            came.append(one)
            tell(claim_line(one))

        tell(f"? {question}")
        try:
            narrative = narrator.ask(question, show)
        except ServiceError as error:
            if came:  # what came before it broke off
                done.append({"question": question, **sorted_out(came).as_dict(), "notes": [str(error)]})
            raise
        for limit in narrative.verified.added if not done else ():  # limits are said once
            tell(claim_line(limit))
        for note in narrative.notes:
            tell(f"  {note}")
        done.append({"question": question, **narrative.verified.as_dict(), "notes": list(narrative.notes)})

    for question in service.ask or ():
        answer(question)
    while service.chat:
        say("Ask about this explanation; an empty line ends.")
        if not (question := sys.stdin.readline().strip()):
            break
        try:
            answer(question)
        except ServiceError as error:
            say(str(error))
