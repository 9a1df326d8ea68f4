"""Poking at a picture: the same models asked again, at once, about the picture as a hand has changed it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from whylook.errors import ImageError, UsageError
from whylook.web.api.answers import done
from whylook.web.api.shapes import CONFLICT, ERRORS, FULL, GONE
from whylook.web.api.trust import ref_of
from whylook.web.errors import NotFound
from whylook.web.house import House, TheHouse
from whylook.web.poking import Edit, Poked, edited, highest, patient, poke, read_mask

if TYPE_CHECKING:
    from whylook.image import Image
    from whylook.web.jobs.job import Job
    from whylook.web.samples import Sample

router = APIRouter(prefix="/api", tags=["poking"], responses=ERRORS)
_MOST_EDITS = 64
_SECONDS = 120.0  # for the answer, its turn included
FillName = Literal["blur", "mean", "noise"]
Name = Annotated[str, Field(max_length=200)]


class Painted(BaseModel):
    """A part that was painted over."""

    kind: Literal["paint"]
    fill: FillName = "blur"
    mask: str = Field(description="Base64 PNG of the picture's proportions: what is opaque (or white) is filled.")


class Shown(BaseModel):
    """What a map shows, removed; or all but that."""

    kind: Literal["remove", "keep"]
    explanation: str = Field(description="The job whose map it is.", max_length=64)
    number: int = Field(0, ge=0, le=999, description="Which of its pictures, from 0.")
    model: Name
    method: Name
    share: float = Field(0.1, gt=0, le=1, description="Of what the model was shown, highest first; only above 0.")
    fill: FillName = "blur"


class Switched(BaseModel):
    """A drawn sample, drawn again with its parts switched on or off."""

    kind: Literal["phantom"]
    lesion: bool = True
    marker: bool = True
    catheter: bool = True


class Asked(BaseModel):
    """What is to be done to a picture, and who is asked about it."""

    picture: str = Field(
        description="A ref: sample:ID, upload:ID; or an explanation's id and which of its pictures, from 0, as ID/0: then "
        "second class, score, parameters and seed are those of the explanation.",
        max_length=100,
    )
    models: list[Name] = Field(min_length=1, max_length=16)
    methods: list[Name] = Field(min_length=1, max_length=16)
    targets: dict[str, int] = Field(
        default_factory=dict, description="By model, the class explained; else the model's first answer to the picture."
    )
    edits: list[Annotated[Painted | Shown | Switched, Field(discriminator="kind")]] = Field(
        default_factory=list, max_length=_MOST_EDITS, description="In order."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "picture": "sample:disc-marker",
                    "models": ["phantom:resnet-shortcut"],
                    "methods": ["grad-cam"],
                    "edits": [{"kind": "phantom", "marker": False}],
                }
            ]
        }
    )


class Patient(BaseModel):
    """A phantom to be drawn."""

    patient: int = Field(ge=0, le=10_000_000)
    kind: Literal["disc", "ring", "cross", "triangle"] = "disc"
    lesion: bool = True
    marker: bool = True
    catheter: bool = True


@router.post("/poke", responses=GONE | FULL | CONFLICT, summary="Change a picture and ask again")
async def poked(house: TheHouse, asked: Asked) -> dict[str, Any]:
    """Answers and margins before and after the edits, and the maps after them, as the viewer shows them."""
    for name in asked.models:
        house.catalogue.entry(name)
    return await house.queue.compute(partial(_poked, house, asked), timeout=_SECONDS)


@router.post("/phantom", status_code=201, responses=FULL, summary="Draw a phantom")
def phantom(house: TheHouse, asked: Patient) -> dict[str, Any]:
    """Draw a patient with parts switched on or off, and keep it as a picture."""
    import io

    from PIL import Image as Pillow

    from whylook.web.api.pictures import told
    from whylook.web.uploads import take

    drawn = patient(asked.patient, asked.kind, lesion=asked.lesion, marker=asked.marker, catheter=asked.catheter)
    stream = io.BytesIO()
    Pillow.fromarray(drawn.pixels[:, :, 0]).save(stream, "PNG")
    stream.seek(0)
    return told(take(house, stream, drawn.name))


def _poked(house: House, asked: Asked) -> dict[str, Any]:
    from whylook.report.payload import payload

    job, ref = _meant(house, asked.picture)
    of = job.request if job is not None else {}
    seed = int(of.get("seed", 0))
    image = house.picture(ref)
    switched = image
    edits: list[Edit] = []
    for edit in asked.edits:
        if isinstance(edit, Switched):
            switched = _switched(house, ref, edit)
        else:
            edits.append(Edit(_mask(house, edit, image), edit.fill))
    changed = edited(switched, edits, seed)
    models = [house.models.load(name) for name in asked.models]
    parameters = {name: own for name, own in of.get("parameters", {}).items() if name in asked.methods}
    answers = poke(
        image, changed, models, asked.methods, targets=asked.targets, against=of.get("against"),
        score=of.get("score", "logit"), parameters=parameters, seed=seed,
    )  # fmt: skip
    return {
        "view": payload([answers.explanation]),
        "models": _told(answers),
        "filled": _filled(edits),
        "switches": _switches(house, ref),
    }


def _meant(house: House, given: str) -> tuple[Job | None, str]:
    """Return the explanation that is meant, if one is, and the ref of its picture, or of the one that is meant itself."""
    name, slash, number = given.partition("/")
    if ":" in given or not slash:
        return None, given
    if not (number.isdecimal() and len(number) < 4):
        raise UsageError(f"{given!r} is no picture; after the slash comes its number, from 0.")
    job = done(house.store.job(name))
    return job, ref_of(house, job, int(number))


def _switches(house: House, ref: str) -> dict[str, bool] | None:
    """What can be switched off in a picture, and whether it is there; None for one that is not drawn."""
    kind, _, name = ref.partition(":")
    if kind != "sample":
        return None
    sample = house.samples[name]
    return {"lesion": True, "marker": sample.marker, "catheter": sample.catheter}


def _filled(edits: Sequence[Edit]) -> float:
    """The share of the picture that was filled in."""
    import numpy as np

    return float(np.logical_or.reduce([e.mask for e in edits]).mean()) if edits else 0.0


def _told(what: Poked) -> list[dict[str, Any]]:
    rows = []
    for name, index in what.targets.items():
        labels = what.explanation.predictions[name].labels
        states: Mapping[str, Any] = {"before": what.before[name], "after": what.after[name]}
        rows.append(
            {
                "name": name,
                "target": {"index": index, "label": labels[index]},
            }
            | {
                when: {
                    "margin": state.margin,
                    "probability": state.probability,
                    "top": [{"index": i, "label": label, "probability": p} for i, label, p in state.top],
                }
                for when, state in states.items()
            }
        )
    return rows


def _switched(house: House, ref: str, edit: Switched) -> Image:
    sample = _sample(house, ref)
    return patient(sample.seed, sample.lesion, lesion=edit.lesion, marker=edit.marker, catheter=edit.catheter)


def _sample(house: House, ref: str) -> Sample:
    kind, colon, name = ref.partition(":")
    if not (colon and kind == "sample"):
        raise UsageError("Only a drawn sample has parts that can be switched off; paint over this picture instead.")
    return house.samples[name]


def _mask(house: House, edit: Painted | Shown, image: Image) -> Any:
    size = (image.height, image.width)
    if isinstance(edit, Painted):
        try:
            return read_mask(base64.b64decode(edit.mask, validate=True), size)
        except binascii.Error as error:
            raise ImageError("A mask could not be read; it must be a PNG in base64.") from error
    shown = _map(house, edit)
    mask = highest(shown.values, size, shown.placement, shown.visible, edit.share)
    return mask if edit.kind == "remove" else ~mask


def _map(house: House, edit: Shown) -> Any:
    from whylook.facts.evidence import of_folder

    job = house.store.job(edit.explanation)
    if job.kind != "explanation":
        raise NotFound("That job is no explanation.")
    pictures = of_folder(house.store.folder(done(job)))
    maps = pictures[edit.number].maps if edit.number < len(pictures) else ()
    for shown in maps:
        if (shown.model, shown.method) == (edit.model, edit.method):
            return shown
    raise NotFound(f"That result has no {edit.method} map of {edit.model}.")
