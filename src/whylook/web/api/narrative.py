"""Narratives: what the maps show, in sentences that were checked; and questions about it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from whylook.errors import WhylookError
from whylook.narration.claims import Claim, Dropped
from whylook.narration.narrative import Narrative
from whylook.web.api.answers import TheExplanation, answer
from whylook.web.api.shapes import CONFLICT, ERRORS, FULL, GONE, Error
from whylook.web.errors import Busy, NotAgreed, body
from whylook.web.house import House, TheHouse
from whylook.web.narrators import Subject, evidence_of, narrator, preview, subject

router = APIRouter(prefix="/api/explanations", tags=["narrative"], responses=ERRORS)
_log = logging.getLogger("whylook.serve")
_ASKED = threading.BoundedSemaphore(4)  # questions at once


class Agreement(BaseModel):
    """Which picture, and whether a person agreed to what would be sent."""

    picture: Annotated[int, Field(ge=0, description="Which of the explanation's pictures, from 0.")] = 0
    agreed: Annotated[bool, Field(description="A person saw the preview and agrees that it is sent.")] = False
    digest: Annotated[str | None, Field(max_length=64, description="Of the preview that was agreed to.")] = None


class NarrativeRequest(Agreement):
    """Who is to tell."""

    by: Literal["template", "openai"] = "template"

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "template"}]})


class Question(Agreement):
    """A question about the maps of a picture."""

    question: Annotated[str, Field(min_length=1, max_length=1000)]

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"question": "Do the two models look at the same place?", "agreed": True}]}
    )


class Preview(Error):  # noqa: N818 - an answer's shape, nothing that is raised
    """What would leave the machine; nothing has."""

    preview: dict[str, Any] | None = None


_CONSENT: dict[int | str, dict[str, Any]] = {
    409: {"model": Preview, "description": "Nothing was sent; `preview` says what would be, to be agreed to."}
}


def _agreed(house: House, about: Subject, asked: Agreement) -> None:
    """Return where a person agreed to exactly this; raise `NotAgreed` with the preview otherwise."""
    if not asked.agreed or asked.digest not in (None, about.digest):
        raise NotAgreed(preview(house, about))


@router.post(
    "/{name}/narrative",
    responses={**GONE, **CONFLICT, **FULL, **_CONSENT, 202: {"description": "A job that asks the service."}},
    summary="Say what the maps show",
)
def narrative(house: TheHouse, job: TheExplanation, asked: NarrativeRequest) -> Response:
    """By the template at once: 200 and the narrative. By a service: 409 and a preview, and once agreed, 202 and a job."""
    from whylook.narration import narrate
    from whylook.report.payload import told

    if asked.by == "template":
        return JSONResponse(told(narrate(evidence_of(house, job, asked.picture))))
    about = subject(house, job, asked.picture)
    _agreed(house, about, asked)
    request = {"picture": asked.picture, "digest": about.digest}
    return JSONResponse(answer(house, house.lane("narrative").submit("narrative", request, of=job.id)), 202)


def _about(house: TheHouse, job: TheExplanation, asked: Question) -> Subject:
    about = subject(house, job, asked.picture)
    _agreed(house, about, asked)
    return about


@router.post(
    "/{name}/questions",
    response_class=EventSourceResponse,
    responses={**GONE, **CONFLICT, **FULL, **_CONSENT},
    summary="Ask about the maps",
)
async def question(
    house: TheHouse, job: TheExplanation, asked: Question, about: Annotated[Subject, Depends(_about)]
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events, as the answer comes: `claim` (text, fact_ids, facts), `dropped` (text, reason), `limit`, `note`,
    and at the end `end`, or `error` with a sentence.
    """
    loop = asyncio.get_running_loop()
    came: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue()

    def tell(event: str, data: Any) -> None:
        loop.call_soon_threadsafe(came.put_nowait, ServerSentEvent(event=event, data=data))

    def show(one: Claim | Dropped) -> None:
        if isinstance(one, Dropped):
            tell("dropped", {"text": one.claim.text, "reason": one.reason})
        else:
            tell("claim", _claim(one, about))

    def ask() -> None:
        try:
            lock, conversation = house.narrators.about(about.digest, lambda: narrator(house, about))
            with lock:
                made = conversation.ask(asked.question, show)
            for limit in made.verified.added:
                tell("limit", _claim(limit, about))
            for note in made.notes:
                tell("note", {"text": note})
            tell("end", {"by": made.by})
        except WhylookError as error:
            tell("error", body(str(error), "service")["error"])
        except Exception:  # noqa: BLE001 - the stream ends with a sentence, the terminal is told all of it
            _log.exception("question about %s", job.id)
            tell("error", body("An error that whylook did not expect ended it.", "unexpected")["error"])
        finally:
            _ASKED.release()
            loop.call_soon_threadsafe(came.put_nowait, None)

    if not _ASKED.acquire(blocking=False):
        yield ServerSentEvent(event="error", data=body(str(Busy("Too many questions wait.")), "busy")["error"])
        return
    threading.Thread(target=ask, name="whylook-question", daemon=True).start()
    while (event := await came.get()) is not None:
        yield event


def _claim(claim: Claim, about: Subject) -> dict[str, Any]:
    return {**claim.as_dict(), "facts": {i: Narrative.told(about.facts[i]) for i in claim.fact_ids}}
