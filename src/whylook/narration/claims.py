"""Claims: sentences that say which facts they rest on, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from whylook.errors import UsageError

Kind = Literal["observation", "interpretation", "limit"]
KINDS: tuple[str, ...] = get_args(Kind)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["claims", "not_assessable"],
    "properties": {
        "claims": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["text", "fact_ids", "kind"],
                "properties": {
                    "text": {"type": "string", "description": "one sentence"},
                    "fact_ids": {"type": "array", "items": {"type": "string"}},
                    "kind": {"type": "string", "enum": list(KINDS)},
                },
            },
        },
        "not_assessable": {
            "type": "array",
            "items": {"type": "string"},
            "description": "what was asked for and the facts do not tell",
        },
    },
}
"""JSON Schema of what a narrator answers; strict as structured output asks for it."""


@dataclass(frozen=True)
class Claim:
    """One sentence.

    Parameters
    ----------
    text : as it is shown.
    fact_ids : the facts that it rests on; every number and every name in it is one of theirs.
    kind : `observation` (what was measured), `interpretation` (what it may mean, hedged), `limit` (what it cannot show).
    summary : whether it stands at the beginning, in the summary.
    """

    text: str
    fact_ids: tuple[str, ...]
    kind: Kind = "observation"
    summary: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as in `SCHEMA`; `summary` only where it is true."""
        plain: dict[str, Any] = {"text": self.text, "fact_ids": list(self.fact_ids), "kind": self.kind}
        return plain | ({"summary": True} if self.summary else {})


@dataclass(frozen=True)
class Dropped:
    """A claim that failed, and why."""

    claim: Claim
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values: those of the claim, and `reason`."""
        return {**self.claim.as_dict(), "reason": self.reason}


@dataclass(frozen=True)
class Verified:
    """What `verify` let through and what it did not.

    Parameters
    ----------
    kept : claims that passed, in their order.
    dropped : claims that failed, in their order, each with a reason.
    added : required limits that no kept claim stated, as claims.
    """

    kept: tuple[Claim, ...]
    dropped: tuple[Dropped, ...] = ()
    added: tuple[Claim, ...] = ()

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What is shown: the claims kept, and the limits added."""
        return self.kept + self.added

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "claims": [c.as_dict() for c in self.kept],
            "added": [c.as_dict() for c in self.added],
            "dropped": [d.as_dict() for d in self.dropped],
        }


def parse(content: Mapping[str, Any]) -> tuple[tuple[Claim, ...], tuple[str, ...]]:
    """Read an answer that should follow `SCHEMA`.

    Returns
    -------
    The claims, and what is not assessable.

    Raises
    ------
    UsageError
        If it does not follow it; the message says where.
    """
    rows = content.get("claims") if isinstance(content, Mapping) else None
    if not isinstance(rows, list):
        raise UsageError("The answer has no list of claims.")
    claims = []
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping) or not isinstance(text := row.get("text"), str) or not text.strip():
            raise UsageError(f"Claim {i + 1} of the answer has no text.")
        ids, kind = row.get("fact_ids"), row.get("kind")
        if not isinstance(ids, list) or not all(isinstance(k, str) for k in ids):
            raise UsageError(f"Claim {i + 1} of the answer has no list of fact ids.")
        if kind not in KINDS:
            raise UsageError(f"Claim {i + 1} of the answer is of the kind {kind!r}; there are {', '.join(KINDS)}.")
        claims.append(Claim(" ".join(text.split()), tuple(ids), kind))
    rest = content.get("not_assessable", [])
    if not isinstance(rest, list) or not all(isinstance(r, str) for r in rest):
        raise UsageError("The answer's not_assessable is no list of sentences.")
    return tuple(claims), tuple(rest)
