"""A job as a client sees it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path

from whylook.web.errors import Conflict, NotFound
from whylook.web.house import House, TheHouse
from whylook.web.jobs.job import Job

Name = Annotated[str, Path(pattern="^[A-Za-z0-9]{8,64}$", examples=["pX3kqT0m1vH9s2LwQaZ8yA"])]


def answer(house: House, job: Job) -> dict[str, Any]:
    """Return a job, ready for JSON."""
    lane = house.lane(job.kind)
    progress = lane.progress(job)
    return {
        "id": job.id,
        "kind": job.kind,
        "of": job.of,
        "state": job.state,
        "position": lane.position(job),
        "progress": {"done": progress.done, "total": progress.total, "what": progress.what},
        "error": job.error,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "expires": job.expires,
        "request": dict(job.request),
        "links": links(job),
    }


def links(job: Job) -> dict[str, str]:
    """Return where to go from a job."""
    own = f"/api/jobs/{job.id}"
    found = {"self": own, "events": f"{own}/events", "again": f"{own}/again"}
    if job.state != "done":
        return found
    if job.kind == "trust":
        return {**found, "result": f"{own}/result", "page": f"{own}/trust.html"}
    if job.kind != "explanation":
        return {**found, "result": f"{own}/result"}
    base = f"/api/explanations/{job.id}"
    return {
        **found,
        "view": f"{base}/view",
        "result": f"{base}/result",
        "report": f"{base}/report.html",
        "figure": f"{base}/figure.png",
        "arrays": f"{base}/maps.npz",
        "folder": f"{base}/folder.zip",
    }


def named(house: TheHouse, name: Name) -> Job:
    """Return the job that a path names; for `Depends`."""
    return house.store.job(name)


def explained(house: TheHouse, name: Name) -> Job:
    """Return the explanation that a path names, which is done; for `Depends`."""
    job = house.store.job(name)
    if job.kind != "explanation":
        raise NotFound("That job is no explanation.")
    return done(job)


def done(job: Job) -> Job:
    """Return a job that is done; any other raises `Conflict`."""
    if job.state != "done":
        why = f": {job.error}" if job.error else "."
        raise Conflict(f"That job has no result; it is {job.state}{why}")
    return job


TheJob = Annotated[Job, Depends(named)]
TheExplanation = Annotated[Job, Depends(explained)]
