"""Trust cards: whether a map can be believed."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from whylook.errors import UsageError
from whylook.web.api.answers import TheExplanation, TheJob, answer, done
from whylook.web.api.jobs import kept
from whylook.web.api.shapes import CONFLICT, ERRORS, FULL, GONE, JobAnswer
from whylook.web.errors import NotFound
from whylook.web.house import House, TheHouse
from whylook.web.jobs.job import Job
from whylook.web.work.explaining import PLACES

router = APIRouter(prefix="/api", tags=["trust"], responses=ERRORS)


class TrustRequest(BaseModel):
    """Which map is to be measured."""

    picture: Annotated[int, Field(ge=0, description="Which of the explanation's pictures, from 0.")] = 0
    model: str
    method: str
    target: Annotated[int | None, Field(description="Index of the class, where maps of several were made.")] = None
    thorough: Annotated[bool, Field(description="No budget of forward passes: slower, and more certain.")] = False

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "phantom:resnet", "method": "grad-cam"}]})


@router.post(
    "/explanations/{name}/trust", status_code=202, response_model=JobAnswer, responses=GONE | CONFLICT | FULL,
    summary="Measure whether a map can be believed",
)  # fmt: skip
def trust(house: TheHouse, job: TheExplanation, asked: TrustRequest) -> dict[str, Any]:
    """About 300 forward passes; the job's result is the card in words that are ready to be shown."""
    target = _target(house, job, asked)
    ref = ref_of(house, job, asked.picture)
    house.picture(ref)
    request = {**asked.model_dump(), "target": target, "pictures": [ref]}
    return answer(house, house.queue.submit("trust", request, of=job.id))


@router.get("/jobs/{name}/trust.html", responses=GONE | CONFLICT, summary="The card as a page")
def page(house: TheHouse, job: TheJob) -> FileResponse:
    """One HTML file that needs no other."""
    if job.kind != "trust":
        raise NotFound("That job is no trust card.")
    return kept(house, done(job), "trust.html", "text/html", download="trust.html")


def _target(house: House, job: Job, asked: TrustRequest) -> int:
    """The class of the map that is asked about; one that is not there raises `UsageError`."""
    record = record_of(house, job)
    models = [m["name"] for m in record["models"]]
    of_picture = [m for m in record["maps"] if m["image"] == asked.picture]
    found = [
        m["target"]["index"]
        for m in of_picture
        if (models[m["model"]], m["method"]) == (asked.model, asked.method)
        and asked.target in (None, m["target"]["index"])
    ]
    if not found:
        there = ", ".join(f"{models[m['model']]}/{m['method']}" for m in of_picture) or "none"
        raise UsageError(f"There is no such map of picture {asked.picture}; there are: {there}.")
    if len(found) > 1:
        raise UsageError(f"There are maps of several classes; choose one as target: {', '.join(map(str, found))}.")
    return int(found[0])


def record_of(house: House, job: Job) -> dict[str, Any]:
    """Return the content of an explanation's result.json; raises `NotFound` where it is gone."""
    try:
        record: dict[str, Any] = json.loads((house.store.folder(job) / "result.json").read_text("utf-8"))
    except OSError as error:
        raise NotFound("The files of that job are gone.") from error
    return record


def ref_of(house: House, job: Job, number: int) -> str:
    """Return which picture of the server an explanation's picture is.

    Raises
    ------
    NotFound
        If it has fewer.
    """
    try:
        places = json.loads((house.store.folder(job) / PLACES).read_text("utf-8"))
    except OSError as error:
        raise NotFound("The files of that job are gone.") from error
    if number >= len(places):
        raise NotFound(f"The explanation has {len(places)} pictures, counted from 0; there is no {number}.")
    return str(job.request["pictures"][places[number]])
