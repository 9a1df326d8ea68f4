"""Has a language service tell of an explanation: the sentences that hold against the facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whylook.web.errors import Conflict

if TYPE_CHECKING:
    from whylook.web.house import House
    from whylook.web.jobs.job import Job
    from whylook.web.jobs.queue import Report


def narrative(house: House, job: Job, report: Report) -> None:
    """Ask the service for the story of one picture, and write it as the viewer shows it.

    Raises
    ------
    Conflict
        If what would be sent is no longer what a person agreed to.
    ServiceError
        If no answer can be had.
    """
    from whylook.report.bundle import write_text
    from whylook.report.manifest import to_json
    from whylook.report.payload import told
    from whylook.web.jobs.store import RESULT
    from whylook.web.narrators import narrator, subject

    about = subject(house, house.store.job(str(job.of)), job.request["picture"])
    if about.digest != job.request["digest"]:
        raise Conflict("What would be sent has changed since you agreed to it; look at it once more.")
    report(0, 1, "asking the language service")
    made = narrator(house, about).narrate()
    report(1, 1, "writing")
    folder = house.store.folder(job)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_text(folder / RESULT, to_json(told(made)))
