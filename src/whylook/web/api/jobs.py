"""Jobs: how far they are, as it happens; cancelled, removed, run again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import FileResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from whylook.web.api.answers import TheJob, answer, done
from whylook.web.api.shapes import CONFLICT, ERRORS, FULL, GONE, JobAnswer
from whylook.web.errors import Conflict, NotFound
from whylook.web.house import House, TheHouse
from whylook.web.jobs.job import Job
from whylook.web.jobs.store import RESULT

router = APIRouter(prefix="/api/jobs", tags=["jobs"], responses=ERRORS)
_BETWEEN = 0.1  # seconds between two events of one stream


@router.get("", response_model=list[JobAnswer], summary="All jobs, newest first")
def jobs(house: TheHouse, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> list[dict[str, Any]]:
    """Jobs that were not removed and whose time has not run out."""
    return [answer(house, job) for job in house.store.jobs(limit)]


@router.get("/{name}", response_model=JobAnswer, responses=GONE, summary="A job")
def job(house: TheHouse, job: TheJob) -> dict[str, Any]:
    """How far a job is."""
    return answer(house, job)


@router.get("/{name}/events", response_class=EventSourceResponse, responses=GONE, summary="A job, as it happens")
async def events(
    house: TheHouse, job: TheJob, last_event_id: Annotated[str | None, Header(examples=["1767225600123"])] = None
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events of the name `job`, each the whole job; the stream ends after its final state.

    Every event has an id; a client that was cut off says the last one it has as `Last-Event-ID`, and is told at once
    where things have moved on.
    """
    seen = last_event_id
    with house.events.listen(job.id) as changed:
        while True:
            changed.clear()
            version, now = await asyncio.to_thread(_now, house, job.id)
            if now is None or house.events.closed:
                return
            if version != seen or now["state"] not in ("queued", "running"):
                yield ServerSentEvent(data=now, event="job", id=version, retry=1000)
                seen = version
            if now["state"] not in ("queued", "running"):
                return
            await asyncio.sleep(_BETWEEN)
            await changed.wait()


def _now(house: House, name: str) -> tuple[str, dict[str, Any] | None]:
    """The job's version and the job; the version is read first, so that no later change has it."""
    version = house.events.version(name)
    try:
        found = house.store.job(name)
    except NotFound:
        return "", None
    since = found.finished or found.started or found.created
    return str(version or int(since * 1000)), answer(house, found)


@router.get("/{name}/result", responses=GONE | CONFLICT, summary="What came of a job")
def result(house: TheHouse, job: TheJob) -> FileResponse:
    """The content of its result.json."""
    return kept(house, done(job), RESULT, "application/json")


@router.delete("/{name}", responses=GONE, summary="Cancel a job, or remove one that is over")
def delete(house: TheHouse, job: TheJob) -> Any:
    """Cancel a job that waits or runs: 202 and the job. Remove one that is over, with its files: 204."""
    if not job.over:
        job = house.lane(job.kind).cancel(job)
    else:
        house.store.remove(job)
        house.events.forget(job.id)
        return Response(status_code=204)
    from fastapi.responses import JSONResponse

    return JSONResponse(answer(house, job), 202)


@router.post(
    "/{name}/again",
    status_code=202,
    response_model=JobAnswer,
    responses=GONE | CONFLICT | FULL,
    summary="Run a job again",
)
def again(house: TheHouse, job: TheJob) -> dict[str, Any]:
    """Make a new job of the same request as one that is over."""
    if not job.over:
        raise Conflict(f"That job is {job.state}; it can be run again when it is over.")
    for ref in job.request.get("pictures", ()):
        house.picture(str(ref))
    return answer(house, house.lane(job.kind).submit(job.kind, job.request, job.of))


def kept(house: House, job: Job, name: str, media_type: str, *, download: str | None = None) -> FileResponse:
    """Return a file of a job as an answer; `download` is the name under which a browser is to save it.

    Raises
    ------
    NotFound
        If it is not there.
    """
    file = house.store.folder(job) / name
    if not file.is_file():
        raise NotFound("The files of that job are gone.")
    return FileResponse(file, media_type=media_type, filename=download)
