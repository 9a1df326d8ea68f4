"""The tutorial: chapters, and experiments on the reader's picture."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from whylook.web.api.shapes import ERRORS, FULL, GONE
from whylook.web.errors import NotFound
from whylook.web.house import House, TheHouse

router = APIRouter(prefix="/api", tags=["learn"], responses=ERRORS)
_SECONDS = 120.0  # a real network on two cores takes its time
_Kind = Literal["introduction", "theory", "uses", "pitfalls", "trust"]


class LessonAnswer(BaseModel):
    """A chapter in the table of contents."""

    slug: str
    title: str
    part: _Kind
    part_title: str

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"slug": "gradient", "title": "The gradient", "part": "theory", "part_title": "Theory"}]
        }
    )


class UseAnswer(BaseModel):
    """An experiment in a chapter, with what its controls are made of."""

    name: str
    title: str
    about: str
    picture: bool = Field(description="Whether it is made on the reader's picture; else on drawn films.")
    controls: list[dict[str, Any]]
    parameters: dict[str, str | float] = Field(description="Those that differ from the controls' defaults here.")


class ChapterAnswer(LessonAnswer):
    """A chapter: the n-th `div.experiment` of its HTML is the n-th of `experiments`."""

    html: str
    experiments: list[UseAnswer]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "slug": "gradient", "title": "The gradient", "part": "theory", "part_title": "Theory",
                    "html": "<p>How much does the score change where the picture does?</p>", "experiments": [],
                }
            ]
        }
    )  # fmt: skip


class Asked(BaseModel):
    """An experiment that is to be made."""

    picture: str | None = Field(None, max_length=200, description="sample:ID, upload:ID, or a job's id.")
    parameters: dict[str, str | float] = Field(default_factory=dict, max_length=20)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"picture": "sample:disc-marker", "parameters": {"model": "phantom:vgg", "samples": 8}}]
        }
    )


@router.get("/lessons", response_model=list[LessonAnswer], summary="The chapters of the tutorial")
def lessons() -> list[dict[str, Any]]:
    """All chapters, in order."""
    from whylook.learn import chapters

    return [_told(c) for c in chapters()]


@router.get("/lessons/{slug}", response_model=ChapterAnswer, responses=GONE, summary="A chapter")
def lesson(house: TheHouse, slug: Annotated[str, Path(max_length=80, examples=["gradient"])]) -> dict[str, Any]:
    """A chapter as HTML with MathML, and its experiments."""
    from whylook.learn import chapters, experiments
    from whylook.learn.rendering import as_html

    found = next((c for c in chapters() if c.slug == slug), None)
    if found is None:
        raise NotFound(f"There is no chapter {slug!r}; there are {', '.join(c.slug for c in chapters())}.")
    others = _others(house)
    uses = [{**experiments()[use.experiment].as_data(others), "parameters": dict(use.parameters)} for use in found.uses]
    return {**_told(found), "html": as_html(found), "experiments": uses}


@router.post("/experiments/{name}", responses=GONE | FULL, summary="Make an experiment")
async def experiment(
    house: TheHouse, name: Annotated[str, Path(max_length=80, examples=["smoothing"])], asked: Asked
) -> dict[str, Any]:
    """Make an experiment, and return its sentences, numbers, plots, table, and what the viewer shows."""
    from whylook.learn import experiments

    there = experiments()
    if name not in there:
        raise NotFound(f"There is no experiment {name!r}; there are {', '.join(there.names())}.")
    chosen = there[name]
    chosen.fill(asked.parameters)  # what cannot be is said before anything waits

    def made() -> dict[str, Any]:
        image = None if asked.picture is None or not chosen.on_picture else house.picture(asked.picture)
        return chosen.run(image, asked.parameters, house.models.load).as_dict()

    return await house.queue.compute(made, timeout=_SECONDS)


def _told(chapter: Any) -> dict[str, Any]:
    from whylook.learn import PARTS

    return {"slug": chapter.slug, "title": chapter.title, "part": chapter.part, "part_title": PARTS[chapter.part]}


def _others(house: House) -> list[str]:
    """Networks that are there and not embedded."""
    return [row["name"] for row in house.catalogue.listing() if row["available"] and row["source"] != "phantom"]
