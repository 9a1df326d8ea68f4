"""Who tells of an explanation: the template at once, a language service only after a person agreed to what is sent."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from whylook.errors import UsageError
from whylook.web.errors import NotFound

if TYPE_CHECKING:
    from whylook.facts.evidence import Evidence
    from whylook.narration.openai import Narrator
    from whylook.narration.request import Request
    from whylook.web.house import House
    from whylook.web.jobs.job import Job

_REMEMBERED = 32  # conversations


class Narrators:
    """Conversations about explanations; each remembers what was asked before, until the server ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[threading.Lock, Narrator]] = OrderedDict()

    def about(self, digest: str, make: Any) -> tuple[threading.Lock, Narrator]:
        """Return the conversation about what a digest stands for, and the lock to be held while it goes on."""
        with self._lock:
            if digest not in self._known:
                self._known[digest] = (threading.Lock(), make())
            self._known.move_to_end(digest)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            return self._known[digest]


@dataclass(frozen=True, eq=False)
class Subject:
    """What may be told of: the evidence, its facts, and what would be sent of it to a service."""

    evidence: Evidence
    facts: Any
    request: Request | None = None
    left_out: int = 0

    @property
    def digest(self) -> str:
        """What stands for exactly this request: agreement to it is agreement to nothing else."""
        assert self.request is not None
        sent = json.dumps(self.request.for_responses(schema=True), sort_keys=True)
        return hashlib.sha256(sent.encode()).hexdigest()


def evidence_of(house: House, job: Job, picture: int) -> Evidence:
    """Return what an explanation keeps of one picture, with the verdicts of the trust cards that were made of its maps.

    Raises
    ------
    NotFound
        If there is no such picture.
    """
    from whylook.facts.evidence import of_folder, trust_of
    from whylook.web.jobs.store import RESULT

    kept = of_folder(house.store.folder(job))
    if picture >= len(kept):
        raise NotFound(f"The explanation has {len(kept)} pictures, counted from 0; there is no {picture}.")
    cards: dict[tuple[str, str, int], Any] = {}
    for about in house.store.about(job.id):
        if about.kind == "trust" and about.state == "done" and about.request["picture"] == picture:
            key = (about.request["model"], about.request["method"], about.request["target"])
            try:
                cards[key] = json.loads((house.store.folder(about) / RESULT).read_text("utf-8"))["summary"]
            except OSError:
                continue
    found = kept[picture]
    maps = tuple(replace(m, trust=trust_of(cards.get((m.model, m.method, m.target.index)))) for m in found.maps)
    return replace(found, maps=maps)


def subject(house: House, job: Job, picture: int) -> Subject:
    """Return what a language service would be sent about one picture of an explanation; nothing is sent.

    Raises
    ------
    UsageError
        If the server was started without a language service.
    """
    from whylook.facts.measure import facts
    from whylook.narration import recorded
    from whylook.narration.openai import request_of
    from whylook.narration.pictures import left_out, pictures
    from whylook.web.api.trust import ref_of

    if house.settings.service is None:
        raise UsageError("This server was started without a language service (whylook serve --llm openai).")
    evidence = evidence_of(house, job, picture)
    known = facts(evidence)
    maps, which = recorded.maps(evidence), house.settings.images
    parts = () if which == "none" else pictures(house.picture(ref_of(house, job, picture)), maps, which)
    return Subject(evidence, known, request_of(known, parts), left_out(maps, which))


def narrator(house: House, about: Subject) -> Narrator:
    """Return a narrator who asks the service; to be made only after a person agreed to `about`."""
    from whylook.narration.client import Client
    from whylook.narration.openai import Narrator

    assert house.settings.service is not None
    assert about.request is not None
    return Narrator(about.facts, about.request, Client(house.settings.service))


def preview(house: House, about: Subject) -> dict[str, Any]:
    """Return what would leave the machine, for a person to agree to: address, model, facts, pictures, bytes."""
    import base64

    from whylook.narration.consent import described

    service, request = house.settings.service, about.request
    assert service is not None
    assert request is not None
    return {
        "address": service.url,
        "local": service.is_local,
        "encrypted": service.is_encrypted,
        "model": service.model,
        "facts": request.facts,
        "pictures": [
            {
                "caption": p.caption,
                "width": p.size[0],
                "height": p.size[1],
                "bytes": len(p.data),
                "src": f"data:{p.kind};base64,{base64.b64encode(p.data).decode('ascii')}",
            }
            for p in request.pictures
        ],
        "bytes": len(json.dumps(request.for_responses(schema=True)).encode()),
        "words": described([request], service, left_out=about.left_out),
        "digest": about.digest,
    }
