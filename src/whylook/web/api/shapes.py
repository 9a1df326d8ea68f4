"""The shapes of answers, for the interface's description and for whoever programs against it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

_JOB: dict[str, JsonValue] = {
    "id": "pX3kqT0m1vH9s2LwQaZ8yA",
    "kind": "explanation",
    "of": None,
    "state": "running",
    "position": None,
    "progress": {"done": 12, "total": 40, "what": "phantom:resnet"},
    "error": None,
    "created": 1767225600.0,
    "started": 1767225600.4,
    "finished": None,
    "expires": 1767830400.0,
    "request": {
        "pictures": ["sample:disc-marker"], "names": ["phantom-disc-1000013.png"], "models": ["phantom:resnet"],
        "methods": ["grad-cam"], "target": [], "against": None, "score": "logit", "seed": 0, "parameters": {},
    },
    "links": {
        "self": "/api/jobs/pX3kqT0m1vH9s2LwQaZ8yA",
        "events": "/api/jobs/pX3kqT0m1vH9s2LwQaZ8yA/events",
        "view": "/api/explanations/pX3kqT0m1vH9s2LwQaZ8yA/view",
    },
}  # fmt: skip


class Told(BaseModel):
    """An error: what, why, and what to do."""

    sentence: str
    kind: str


class Error(BaseModel):
    """Every answer that is no success."""

    error: Told

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"error": {"sentence": "The picture is empty.", "kind": "picture"}}]}
    )


class JobProgress(BaseModel):
    """How far a job is."""

    done: int
    total: int
    what: str


class JobAnswer(BaseModel):
    """A job: what was asked for, how far it is, what came of it, and where that is."""

    id: str
    kind: str
    of: str | None = Field(description="The job whose result this one is about.")
    state: Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
    position: int | None = Field(description="How many wait before it; null where it does not wait.")
    progress: JobProgress
    error: str | None
    created: float = Field(description="Seconds since 1970, as all times.")
    started: float | None
    finished: float | None
    expires: float
    request: dict[str, Any]
    links: dict[str, str]

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB]})


class PictureAnswer(BaseModel):
    """A picture that was taken in."""

    ref: str = Field(description="What to call it in other requests.")
    name: str
    width: int
    height: int
    notes: list[str] = Field(description="How it was read.")
    picture: str = Field(description="Where it is to be seen, as PNG.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "ref": "upload:q9Wm2Zs8Tn4Yb7Kc1Rf6Xe", "name": "dog.jpg", "width": 640, "height": 480, "notes": [],
                    "picture": "/api/pictures/q9Wm2Zs8Tn4Yb7Kc1Rf6Xe",
                }
            ]
        }
    )  # fmt: skip


class QueueAnswer(BaseModel):
    """How much is being done."""

    running: int
    waiting: int
    limit: int


class LimitsAnswer(BaseModel):
    """What a client may ask for."""

    bytes: int = Field(description="Of a request.")
    pixels: int = Field(description="Of a picture.")
    pictures: int = Field(description="Of a job.")


class Health(BaseModel):
    """That the server is there, and how it was started."""

    version: str
    device: str
    llm: bool = Field(description="Whether a language service was named when the server was started.")
    folder: bool = Field(description="Whether pictures of a folder on the server may be chosen.")
    queue: QueueAnswer
    limits: LimitsAnswer

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": "0.1.0", "device": "cpu", "llm": False, "folder": False,
                    "queue": {"running": 0, "waiting": 0, "limit": 32},
                    "limits": {"bytes": 50000000, "pixels": 50000000, "pictures": 16},
                }
            ]
        }
    )  # fmt: skip


class ModelAnswer(BaseModel):
    """A model that may be named."""

    name: str
    title: str
    family: str
    source: Literal["reference", "phantom", "configured"]
    available: bool
    remedy: str | None = Field(description="What to do where its weights are not on the server's machine.")
    input: Annotated[list[int], Field(min_length=2, max_length=2)] | None
    classes: int | None
    chosen: bool = Field(description="Whether it belongs to the default choice.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "phantom:resnet", "title": "embedded ResNet that learned the lesion", "family": "resnet",
                    "source": "phantom", "available": True, "remedy": None, "input": [64, 64], "classes": 4,
                    "chosen": True,
                }
            ]
        }
    )  # fmt: skip


class Label(BaseModel):
    """A class of a model."""

    index: int
    label: str


class Sample(BaseModel):
    """A picture that comes with the server."""

    id: str
    title: str
    about: str
    picture: str
    width: int
    height: int
    models: list[str] = Field(description="Models that were trained on pictures of its kind.")
    switches: dict[str, Any] | None = Field(description="What it was drawn with.")


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "The request cannot be right; the sentence says why."},
    401: {"model": Error, "description": "The server wants its token."},
    403: {"model": Error, "description": "The request comes from a page of another site."},
    421: {"model": Error, "description": "The Host header names another server."},
    422: {"model": Error, "description": "What was asked for cannot be done with this picture or model."},
}
GONE: dict[int | str, dict[str, Any]] = {404: {"model": Error, "description": "There is no such thing, or no longer."}}
FULL: dict[int | str, dict[str, Any]] = {
    413: {"model": Error, "description": "More bytes, pixels or pictures than the server takes."},
    429: {"model": Error, "description": "Too much waits already; try again after the seconds in Retry-After."},
}
CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": Error, "description": "Not possible in the state that the job is in."}
}
