"""Compares models over drawn films, and writes what `whylook compare` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whylook.web.house import House
    from whylook.web.jobs.job import Job
    from whylook.web.jobs.queue import Report


def comparison(house: House, job: Job, report: Report) -> None:
    """Measure, write `compare.html`, `scores.csv` and `compare.json`, and last the summary that a list shows.

    Raises
    ------
    WhylookError
        As `whylook.compare`.
    """
    from whylook.comparison.run import compare
    from whylook.comparison.tables import RESULT as WHOLE
    from whylook.report.bundle import write_text
    from whylook.report.manifest import to_json
    from whylook.web.jobs.store import RESULT
    from whylook.web.kept import summary

    asked = job.request
    models = []
    for name in asked["models"]:
        report(0, 0, f"loading {name}")
        models.append(house.models.load(name))
    folder = house.store.folder(job)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = compare(
        asked["data"], models, asked["methods"] or None, limit=asked["limit"], seed=asked["seed"], folder=folder,
        progress=report,
    )  # fmt: skip
    report(1, 1, "writing")
    made.save(folder)
    write_text(folder / RESULT, to_json(summary(folder / WHOLE)))
