"""Makes the maps of a job's pictures, and the files of its result."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whylook.errors import Unsupported

if TYPE_CHECKING:
    from whylook.explanation import Explanation
    from whylook.report.section import Section
    from whylook.web.house import House
    from whylook.web.jobs.job import Job
    from whylook.web.jobs.queue import Report

VIEW = "view.json"
_UNDRAWN = 200_000_000  # bytes of pictures whose figures may be left for later
_DRAWING = threading.Lock()  # the one renderer that measures text
PLACES = "places.json"  # of the explanations among the pictures asked for


def explanation(house: House, job: Job, report: Report) -> None:
    """Explain the pictures, and write `view.json` and then what `Explanation.save` writes; figures when there is time.

    A picture of which no map can be made is named on the page; where none can be made at all, the job fails.

    Raises
    ------
    WhylookError
        As `whylook.explain`.
    """
    from whylook.report.bundle import save, write_text

    made, places, problems = explained(house, job, report)
    report(1, 1, "writing")
    folder = house.store.folder(job)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    sections = sections_of(made, problems)
    write_view(folder, sections)
    write_text(folder / PLACES, json.dumps(places))
    save(made, folder, sections=sections, problems=problems, draw=False)
    house.undrawn[job.id] = made
    if sum(e.image.pixels.nbytes for many in list(house.undrawn.values()) for e in many) > _UNDRAWN:
        draw(house, job)
    else:
        house.queue.later(lambda: draw(house, job))


def draw(house: House, job: Job) -> bool:
    """Draw the figures of a job that is done, if its explanations are still in memory; return whether there are figures."""
    from whylook.report.bundle import draw_figures, figure_names

    folder = house.store.folder(job)
    with _DRAWING:
        made = house.undrawn.pop(job.id, None)
        if not (folder / PLACES).is_file():  # the job was removed
            return False
        if made is not None:
            draw_figures(made, folder)
        names = figure_names(len(json.loads((folder / PLACES).read_text("utf-8"))))
        return all((folder / name).is_file() for name in names)


def draw_again(house: House, job: Job) -> None:
    """Explain once more, which gives the same maps, and draw; for figures that the server's end left undone.

    Raises
    ------
    WhylookError
        If that cannot be done any more.
    """
    made, _, _ = explained(house, job, lambda done, total, what: None)
    house.undrawn[job.id] = made
    draw(house, job)


def explained(house: House, job: Job, report: Report) -> tuple[list[Explanation], list[int], list[tuple[str, str]]]:
    """Return the explanations of a job's pictures, their places, and (name, reason) of each that came to nothing."""
    from whylook.explainer import explain

    asked = job.request
    pictures = [house.picture(ref) for ref in asked["pictures"]]
    models = []
    for name in asked["models"]:
        report(0, 0, f"loading {name}")
        models.append(house.models.load(name))
    made: list[Explanation] = []
    places: list[int] = []
    problems: list[tuple[str, str]] = []
    for number, picture in enumerate(pictures):

        def advance(done: int, total: int, what: str, before: int = number) -> None:
            report(before * total + done, len(pictures) * total, what)

        try:
            made.append(explain(picture, models, asked["methods"], targets(asked), progress=advance, **options(asked)))
            places.append(number)
        except Unsupported as error:
            if len(pictures) == 1:
                raise
            problems.append((picture.name, str(error)))
    if not made:
        raise Unsupported(problems[0][1])
    return made, places, problems


def targets(asked: Any) -> Any:
    """Return the classes of a request as `explain` takes them."""
    given = list(asked["target"])
    if not given:
        return None
    return "shared" if given == ["shared"] else given


def options(asked: Any) -> dict[str, Any]:
    """Return the other arguments of `explain` in a request."""
    return {name: asked[name] for name in ("score", "against", "seed", "parameters")}


def sections_of(made: list[Explanation], problems: list[tuple[str, str]]) -> list[Section]:
    """Return the sections of the page."""
    from whylook.report.section import Section

    sections = [Section(explanations=(e,)) for e in made]
    if problems:
        told = tuple(f"{name}: {why}" for name, why in problems)
        sections.append(Section(title="Pictures without maps", text=told))
    return sections


def write_view(folder: Path, sections: list[Section]) -> None:
    """Write what the viewer is fed."""
    from whylook.report.bundle import write_text
    from whylook.report.payload import payload

    data = payload(sections)
    write_text(folder / VIEW, json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
