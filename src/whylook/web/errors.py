"""What a client is told when something cannot be: a sentence, its kind, and the status that goes with it."""

from __future__ import annotations

from typing import Any

from whylook.errors import ImageError, ModelError, OutOfMemory, ServiceError, Unsupported, UsageError, WhylookError


class NotFound(WhylookError):  # noqa: N818 - as HTTP calls it
    """Something that is not there, or no longer."""


class Busy(WhylookError):  # noqa: N818 - a state, which passes
    """Too much waits already; asking again later helps."""


class Conflict(WhylookError):  # noqa: N818 - as HTTP calls it
    """What is asked for is not possible in the state that things are in."""


class TooLarge(WhylookError):  # noqa: N818 - as HTTP calls it
    """A request with more in it than is taken."""


class TooLong(WhylookError):  # noqa: N818 - as `TooLarge`
    """A computation that took longer than it may."""


class NotAgreed(Exception):  # noqa: N818 - no error: the question before the answer
    """What would leave the machine, for a person to agree to; nothing has."""

    def __init__(self, preview: dict[str, Any]) -> None:
        super().__init__("Nothing was sent: look at what would be, and agree to it.")
        self.preview = preview


_STATUS: tuple[tuple[type[WhylookError], int, str], ...] = (
    (NotFound, 404, "not-found"),
    (Busy, 429, "busy"),
    (Conflict, 409, "conflict"),
    (TooLarge, 413, "too-large"),
    (TooLong, 422, "too-long"),
    (ImageError, 422, "picture"),
    (ModelError, 422, "model"),
    (Unsupported, 422, "unsupported"),
    (OutOfMemory, 422, "memory"),
    (ServiceError, 422, "service"),
    (UsageError, 400, "usage"),
    (WhylookError, 400, "other"),
)


def status(error: WhylookError) -> tuple[int, str]:
    """Return the HTTP status and the kind of an error."""
    return next((code, kind) for cls, code, kind in _STATUS if isinstance(error, cls))


def body(sentence: str, kind: str) -> dict[str, dict[str, str]]:
    """Return what an answer that is an error holds."""
    return {"error": {"sentence": sentence, "kind": kind}}
