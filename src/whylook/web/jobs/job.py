"""A job: what is to be done, how far it is, and what became of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
OVER: frozenset[State] = frozenset({"done", "failed", "cancelled", "interrupted"})
INTERRUPTED = "The server was stopped in the middle of it; it can be run again."


@dataclass(frozen=True)
class Job:
    """What the database keeps of a job.

    Parameters
    ----------
    id : random, and long enough not to be guessed.
    kind : which work, as registered in `whylook.web.work`.
    request : what was asked for, ready for JSON.
    of : the job whose result this one is about, or None.
    state : `queued`, `running`, `done`, `failed`, `cancelled` or `interrupted`.
    error : why it came to nothing, in a sentence, or None.
    created, started, finished, expires : seconds since 1970, or None.
    """

    id: str
    kind: str
    request: Mapping[str, Any] = field(default_factory=dict)
    of: str | None = None
    state: State = "queued"
    error: str | None = None
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    expires: float = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in OVER


@dataclass(frozen=True)
class Progress:
    """How far a job is: `done` of `total` units, and what is being done."""

    done: int = 0
    total: int = 0
    what: str = ""


def new_id() -> str:
    """Return a random name of 128 bits, fit for a path and an address."""
    return secrets.token_urlsafe(16).replace("-", "x").replace("_", "y")
