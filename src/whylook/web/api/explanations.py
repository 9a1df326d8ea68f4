"""Explaining pictures, and what came of it."""

from __future__ import annotations

import asyncio
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import FileResponse, StreamingResponse

from whylook.errors import UsageError
from whylook.web.api.answers import TheExplanation, answer
from whylook.web.api.jobs import kept
from whylook.web.api.shapes import CONFLICT, ERRORS, FULL, GONE, JobAnswer
from whylook.web.errors import NotFound, TooLarge
from whylook.web.folder import allowed
from whylook.web.house import House, TheHouse
from whylook.web.jobs.job import Job
from whylook.web.parameters import checked
from whylook.web.uploads import take
from whylook.web.work.explaining import PLACES, VIEW, draw, draw_again

router = APIRouter(prefix="/api/explanations", tags=["explanations"], responses=ERRORS)
_MOST_MAPS = 400  # of a job
_PIECE = 1 << 16
_OURS = (VIEW, PLACES)  # the server's own files beside a result's


@router.post("", status_code=202, response_model=JobAnswer, responses=FULL | GONE, summary="Explain pictures")
def explain(
    house: TheHouse,
    file: Annotated[list[UploadFile] | None, File(description="Pictures; may be repeated.")] = None,
    picture: Annotated[
        list[str] | None,
        Form(description="Pictures by ref: sample:ID, upload:ID; may be repeated.", examples=[["sample:disc-marker"]]),
    ] = None,
    models: Annotated[
        list[str] | None, Form(description="Names; may be repeated.", examples=[["phantom:resnet"]])
    ] = None,
    methods: Annotated[list[str] | None, Form(description="Names; may be repeated.", examples=[["grad-cam"]])] = None,
    target: Annotated[
        list[str] | None,
        Form(description="Classes, by index or label; or `shared`. Without it, each model's own top class."),
    ] = None,
    against: Annotated[str | None, Form(description="A second class: why the target rather than this one?")] = None,
    score: Annotated[Literal["logit", "probability", "margin"], Form()] = "logit",
    seed: Annotated[int, Form(ge=0, le=2**63 - 1)] = 0,
    parameters: Annotated[
        str,
        Form(description="JSON: the methods' own parameters, by method.", examples=['{"smoothgrad": {"samples": 10}}']),
    ] = "{}",
) -> dict[str, Any]:
    """Make the maps of one or several pictures, as one job."""
    refs = [p for p in picture or () if p]
    files = [f for f in file or () if f.filename or f.size]
    asked = request_of(house, models or (), methods or (), target or (), against, score, seed, parameters)
    count = len(refs) + len(files)
    if count == 0:
        raise UsageError("No picture was given; send one as `file`, or name one as `picture`.")
    limits = house.settings.limits
    if count > limits.pictures:
        raise TooLarge(f"{count} pictures are more than the {limits.pictures} of one job; make several jobs.")
    if (maps := count * len(asked["models"]) * len(asked["methods"]) * max(1, len(asked["target"]))) > _MOST_MAPS:
        raise TooLarge(f"{maps} maps are more than the {_MOST_MAPS} of one job; make several jobs.")
    house.queue.check()  # before any picture is decoded
    named = [_named(house, ref) for ref in refs]
    taken = [take(house, f.file, f.filename) for f in files]
    pictures = [(f"upload:{p.id}", p.name) for p in taken] + named
    request = {"pictures": [ref for ref, _ in pictures], "names": [name for _, name in pictures], **asked}
    return answer(house, house.queue.submit("explanation", request))


def _named(house: House, ref: str) -> tuple[str, str]:
    """A picture that a job may keep to, and what it is called: of one in the folder a copy is taken."""
    kind, _, path = ref.partition(":")
    if kind != "folder":
        return house.ref(ref), house.picture(ref).name
    file = allowed(house.settings.folder, path)
    try:
        with file.open("rb") as stream:
            taken = take(house, stream, file.name)
    except OSError as error:
        raise NotFound("There is no such picture in the folder that may be read.") from error
    return f"upload:{taken.id}", taken.name


def request_of(
    house: House, models: Sequence[str], methods: Sequence[str], target: Sequence[str], against: str | None,
    score: str, seed: int, parameters: str,
) -> dict[str, Any]:  # fmt: skip
    """Return what is asked of `explain`, as far as it can be checked before a model is loaded.

    Raises
    ------
    UsageError
        If a name is not known, or a value cannot be right.
    """
    from whylook.explainer import DEFAULT_METHODS
    from whylook.methods import METHODS

    chosen = list(dict.fromkeys(m for m in models if m)) or house.catalogue.chosen(house.catalogue.listing())
    for name in chosen:
        house.catalogue.entry(name)
    wanted = list(dict.fromkeys(m for m in methods if m)) or list(DEFAULT_METHODS)
    for name in wanted:
        METHODS[name]
    classes = [t.strip() for t in target if t.strip()]
    if against and against.strip() and score != "logit":
        raise UsageError("A second class goes with the score logit only: it is the difference of two logits.")
    return {
        "models": chosen,
        "methods": wanted,
        "target": list(dict.fromkeys(classes)),
        "against": against.strip() if against and against.strip() else None,
        "score": score,
        "seed": seed,
        "parameters": checked(parameters, wanted),
    }


@router.get("/{name}/view", responses=GONE | CONFLICT, summary="What the viewer shows")
def view(house: TheHouse, job: TheExplanation) -> FileResponse:
    """Pictures, predictions and maps (float16, scaled) as `whylook-view/1`."""
    return kept(house, job, VIEW, "application/json")


@router.get("/{name}/result", responses=GONE | CONFLICT, summary="The record of the run")
def result(house: TheHouse, job: TheExplanation) -> FileResponse:
    """The content of result.json, `whylook/1`."""
    return kept(house, job, "result.json", "application/json")


@router.get("/{name}/report.html", responses=GONE | CONFLICT, summary="The report")
def report(house: TheHouse, job: TheExplanation) -> FileResponse:
    """One HTML file that needs no other."""
    return kept(house, job, "report.html", "text/html", download="report.html")


@router.get("/{name}/figure.png", responses=GONE | CONFLICT, summary="The figure of the first picture")
async def figure(house: TheHouse, job: TheExplanation) -> FileResponse:
    """The picture and all its maps, as PNG."""
    await drawn(house, job)
    return kept(house, job, "figure.png", "image/png", download="figure.png")


@router.get("/{name}/maps.npz", responses=GONE | CONFLICT, summary="The maps as arrays")
def arrays(house: TheHouse, job: TheExplanation) -> FileResponse:
    """Float32 arrays for NumPy, by the keys in result.json."""
    return kept(house, job, "maps.npz", "application/octet-stream", download="maps.npz")


@router.get(
    "/{name}/folder.zip",
    responses={**GONE, **CONFLICT, 200: {"content": {"application/zip": {}}, "description": "The archive."}},
    response_class=StreamingResponse,
    summary="All of it",
)
async def folder(house: TheHouse, job: TheExplanation) -> StreamingResponse:
    """Report, figures, arrays and records in one archive, as `Explanation.save` writes them."""
    await drawn(house, job)
    packed, size = await asyncio.to_thread(_packed, house, job)
    headers = {"Content-Disposition": 'attachment; filename="whylook.zip"', "Content-Length": str(size)}
    return StreamingResponse(_pieces(packed), media_type="application/zip", headers=headers)


async def drawn(house: House, job: Job) -> None:
    """Have the figures of an explanation drawn, where they are not yet."""
    if not (house.store.folder(job) / "result.json").is_file():
        raise NotFound("The files of that job are gone.")
    if not await asyncio.to_thread(draw, house, job):
        await house.queue.compute(partial(draw_again, house, job), timeout=house.settings.limits.seconds)


def _packed(house: House, job: Job) -> tuple[IO[bytes], int]:
    """An archive of an explanation's folder, at its beginning, and its size."""
    kept(house, job, "result.json", "application/json")
    place = house.store.folder(job)
    packed = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has been sent
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(place.iterdir()):
            if path.name not in _OURS and not path.name.startswith("."):
                archive.write(path, f"whylook/{path.name}")
    size = packed.tell()
    packed.seek(0)
    return packed, size


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_PIECE):
            yield piece
