"""Comparisons of models over a data set: made as jobs, or found; browsed and fetched."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from whylook.comparison.tables import PAGE, RESULT, SCORES
from whylook.errors import UsageError
from whylook.web import kept
from whylook.web.api.answers import Name, answer
from whylook.web.api.shapes import ERRORS, FULL, GONE, JobAnswer
from whylook.web.house import TheHouse
from whylook.web.kept import Kept

router = APIRouter(prefix="/api/comparisons", tags=["comparisons"], responses=ERRORS)
# Whatever is in the file: nothing runs, nothing is fetched, and only pages of this server may frame it.
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
_FEWEST, _MOST = 6, 200  # pictures: fewer than 6 can show nothing
_Data = Literal["clean", "shortcut", "aligned", "anti", "independent"]


class ComparisonAnswer(BaseModel):
    """A comparison that can be browsed."""

    id: str
    name: str
    source: Literal["server", "folder"] = Field(description="Made by this server, or found below its folder.")
    made: float = Field(description="Seconds since 1970.")
    data: str
    models: list[str]
    pictures: int
    all_right: int = Field(description="Pictures that all models get right, where maps are compared.")
    sentences: list[str] = Field(description="What may be said.")
    links: dict[str, str]


class ComparisonAsked(BaseModel):
    """A comparison that is to be made over drawn films."""

    data: _Data = "shortcut"
    models: list[Annotated[str, Field(max_length=200)]] = Field(min_length=1, max_length=8)
    methods: list[Annotated[str, Field(max_length=80)]] = Field(
        default_factory=list, max_length=6, description="None: one of each of three families."
    )
    pictures: int = Field(30, ge=_FEWEST, le=_MOST)
    seed: int = Field(0, ge=0, le=2**63 - 1)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"data": "shortcut", "models": ["phantom:resnet"], "methods": ["hirescam"], "pictures": 6, "seed": 0}
            ]
        }
    )


@router.get("", response_model=list[ComparisonAnswer], summary="The comparisons that can be browsed")
def comparisons(house: TheHouse) -> list[dict[str, Any]]:
    """Those this server made, and those below the folder that it was started with; newest first."""
    return [k.as_dict() for k in kept.comparisons(house)]


@router.post("", status_code=202, response_model=JobAnswer, responses=FULL, summary="Compare models over drawn films")
def compare(house: TheHouse, asked: ComparisonAsked) -> dict[str, Any]:
    """Compare networks that know the drawn films, as a job."""
    from whylook.methods import METHODS

    names = list(dict.fromkeys(asked.models))
    for name in names:
        if house.catalogue.entry(name).source != "phantom":
            raise UsageError(f"{name} does not know the drawn films; compare it over a folder: whylook compare FOLDER.")
    methods = list(dict.fromkeys(METHODS[name].name for name in asked.methods))
    data = f"phantom-data:{asked.data}"
    request = {
        "names": [data], "data": data, "models": names, "methods": methods, "limit": asked.pictures, "seed": asked.seed,
    }  # fmt: skip
    return answer(house, house.queue.submit(kept.KIND, request))


def named(house: TheHouse, name: Name) -> Kept:
    """Return the comparison that a path names; for `Depends`."""
    return kept.comparison(house, name)


TheComparison = Annotated[Kept, Depends(named)]


@router.get("/{name}", response_model=ComparisonAnswer, responses=GONE, summary="A comparison")
def comparison(comparison: TheComparison) -> dict[str, Any]:
    """What a comparison is of, and what may be said."""
    return comparison.as_dict()


@router.get("/{name}/page", response_class=FileResponse, responses=GONE, summary="The page of a comparison")
def page(comparison: TheComparison) -> FileResponse:
    """The page that `whylook compare` made, under a policy by which nothing in it runs."""
    headers = {"Content-Security-Policy": PAGE_POLICY}
    return FileResponse(comparison.folder / PAGE, media_type="text/html; charset=utf-8", headers=headers)


@router.get("/{name}/scores.csv", response_class=FileResponse, responses=GONE, summary="Every single value")
def scores(comparison: TheComparison) -> FileResponse:
    """One row per picture, model, method and metric."""
    return FileResponse(comparison.folder / SCORES, media_type="text/csv; charset=utf-8", filename=SCORES)


@router.get("/{name}/compare.json", response_class=FileResponse, responses=GONE, summary="All that is on the page")
def data(comparison: TheComparison) -> FileResponse:
    """The comparison as data, schema `whylook-compare/1`."""
    return FileResponse(comparison.folder / RESULT, media_type="application/json", filename=RESULT)
