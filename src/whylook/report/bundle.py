"""A folder with everything about a run; one that has a `result.json` is whole."""

from __future__ import annotations

import errno
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from whylook.draw import figure
from whylook.errors import UsageError, WhylookError
from whylook.facts.fact import document as facts_document
from whylook.held import held
from whylook.narration.narrative import document
from whylook.report.manifest import keys, manifest, to_json
from whylook.report.page import page, retold

if TYPE_CHECKING:
    from whylook.explanation import Explanation
    from whylook.narration.narrative import Narrative
    from whylook.report.section import Section

RESULT = "result.json"
REPORT = "report.html"
ANSWERS, ANSWERS_SCHEMA = "answers.json", "whylook-answers/1"
FACTS = "facts.json"
NARRATIVE = ("narrative.json", "narrative.md")
_FIGURE = re.compile(r"figure(-\d+)?\.png")


def save(
    explanations: Iterable[Explanation],
    folder: str | Path,
    *,
    sections: Sequence[Section] | None = None,
    title: str | None = None,
    problems: Sequence[tuple[str, str]] = (),
    narratives: Sequence[Narrative] = (),
    draw: bool = True,
) -> Path:
    """Write `report.html`, `figure.png` (`figure-2.png`, …), `maps.npz`, `facts.json` and, last, `result.json`.

    Every file is written beside its place and moved into it when it is complete. The `result.json` of an earlier
    run is taken away first, so at no moment does a folder that has one hold anything but what it says.

    Parameters
    ----------
    explanations : what to save; with `sections` and nothing here, those of the sections.
    folder : made where it does not exist.
    sections : the story of the page; by default one section per explanation.
    title : of the page.
    problems : (what, reason) of each picture that could not be read and each model that could not be loaded, for the
        `failures` of `result.json`.
    narratives : one per explanation, for `narrative.json` and `narrative.md`; the page shows those of its sections.
    draw : whether the figures, which take longest, are drawn now; otherwise `draw_figures` does it.

    Returns
    -------
    The folder.

    Raises
    ------
    WhylookError
        If the folder cannot be made or written to; the message names it, the reason and the remedy.
    """
    made = list(explanations) or [e for s in sections or () for e in s.explanations]
    place = Path(folder)
    figures = figure_names(len(made))
    arrays = {
        key: m.values.astype(np.float32, copy=False)
        for explanation, names in zip(made, keys(made), strict=True)
        for m, key in zip(explanation.maps, names, strict=True)
    }
    with writing(place):
        stale = _earlier(place) - set(figures)  # it reads the record that is taken away next
        begin(place, RESULT)
        try:
            for name in stale:
                (place / name).unlink(missing_ok=True)
            _forget_answers(place)
        except OSError as error:
            raise _told(place, error) from error
        write_text(place / REPORT, page(sections if sections is not None else made, title))
        if draw:
            draw_figures(made, place)
        _write(place / "maps.npz", lambda stream: _archive(stream, arrays))
        if narratives:
            save_narratives(narratives, place)
        known = [n.facts for n in narratives] or [e.facts for e in made]
        write_text(place / FACTS, to_json(facts_document(known)))
        named = NARRATIVE[0] if narratives else None
        write_text(place / RESULT, to_json(manifest(made, figures, problems=problems, narrative=named)))
    return place


def figure_names(count: int) -> list[str]:
    """Return what the figures of so many explanations are called."""
    return ["figure.png" if i == 0 else f"figure-{i + 1}.png" for i in range(count)]


def draw_figures(explanations: Sequence[Explanation], folder: Path) -> None:
    """Write the figures of explanations into a folder that is there."""
    for name, explanation in zip(figure_names(len(explanations)), explanations, strict=True):
        _write(folder / name, partial(_png, explanation))


def save_answers(answers: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write `answers.json`: what a language service answered to questions about the result in the folder."""
    write_text(folder / ANSWERS, to_json({"schema": ANSWERS_SCHEMA, "answers": list(answers)}))


def _forget_answers(place: Path) -> None:
    """Take away answers about an earlier result; a file of that name that is not ours stays."""
    try:
        ours = json.loads((place / ANSWERS).read_text("utf-8"))["schema"] == ANSWERS_SCHEMA
    except (OSError, ValueError, LookupError, TypeError):
        return
    if ours:
        (place / ANSWERS).unlink(missing_ok=True)


def save_narratives(narratives: Sequence[Narrative], folder: Path) -> None:
    """Write `narrative.json` and `narrative.md` into a folder that is there."""
    write_text(folder / NARRATIVE[1], "\n".join(n.markdown() for n in narratives))
    write_text(folder / NARRATIVE[0], to_json(document(narratives)))


def retell(narratives: Sequence[Narrative], folder: Path, place: Path) -> str:
    """Write the narratives of a saved result, their facts and the report with them in it.

    Parameters
    ----------
    narratives : one per picture of the result.
    folder : that holds the result; it is told there that it has a narrative.
    place : where to write; may be the same.

    Returns
    -------
    Why the report was left as it is, in a few words; empty where it was not.
    """
    with writing(place):
        save_narratives(narratives, place)
        write_text(place / FACTS, to_json(facts_document([n.facts for n in narratives])))
        try:
            write_text(place / REPORT, retold((folder / REPORT).read_text("utf-8"), narratives))
        except (OSError, ValueError, UsageError) as error:
            return str(error)
        if place.resolve() == folder.resolve():
            record = json.loads((folder / RESULT).read_text("utf-8"))
            write_text(folder / RESULT, to_json(record | {"narrative": NARRATIVE[0]}))
    return ""


@contextmanager
def writing(place: Path, result: str | None = None) -> Iterator[None]:
    """Make a folder for results and keep other commands that write into it waiting until the block ends.

    Parameters
    ----------
    place : the folder.
    result : the file that says that it is whole; taken away first.

    Raises
    ------
    WhylookError
        If the folder cannot be made or written to.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _told(place, error) from error
    with held(place):
        if result is not None:
            begin(place, result)
        yield


def begin(place: Path, result: str) -> None:
    """Take away the file that says that a folder is whole."""
    try:
        (place / result).unlink(missing_ok=True)
    except OSError as error:
        raise _told(place, error) from error


def _earlier(place: Path) -> set[str]:
    """Figures and narratives that an earlier run says it wrote; what only looks like one may be somebody's own."""
    try:
        record = json.loads((place / RESULT).read_text("utf-8"))
        told = set(NARRATIVE) if record.get("narrative") == NARRATIVE[0] else set()
        return told | {i["figure"] for i in record["images"] if _FIGURE.fullmatch(i["figure"])}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return set()


def check_folder(folder: str | Path) -> None:
    """Refuse a folder that `save` could not write to, before the work is done; nothing is created.

    Raises
    ------
    WhylookError
        If it is a file, lies in a file, or if it, or the nearest folder above it that exists, may not be written.
    """
    place = Path(folder)
    whole = place.absolute()
    for there in (whole, *whole.parents):
        try:
            there.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _told(place, error) from error
        if not there.is_dir():
            raise _told(place, OSError(errno.EEXIST if there == whole else errno.ENOTDIR, ""))
        if not os.access(there, os.W_OK | os.X_OK):
            raise _told(place, OSError(errno.EACCES, ""))
        return


def _png(explanation: Explanation, stream: BinaryIO) -> None:
    figure(explanation).savefig(stream, format="png")


def _archive(stream: BinaryIO, arrays: dict[str, Any]) -> None:
    np.savez_compressed(stream, **arrays)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all; a failure is a `WhylookError` that names it."""
    _write(path, lambda stream: stream.write(text.encode("utf-8")))


def _write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Have `fill` write a file beside `path`, force it to the disk and move it into place; a failure leaves none."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        with temporary.open("xb") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _told(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _told(path: Path, error: OSError) -> WhylookError:
    reasons = {
        errno.ENOSPC: "there is no space left on the device; free some, or choose another folder",
        errno.EDQUOT: "the disk quota is used up; free some space, or choose another folder",
        errno.EACCES: "you may not write there; choose another folder",
        errno.EPERM: "you may not write there; choose another folder",
        errno.EROFS: "the file system is read-only; choose another folder",
        errno.EEXIST: "it is a file, not a folder; choose another name",
        errno.ENOTDIR: "a part of the path is a file, not a folder; choose another name",
        errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    }
    reason = reasons.get(error.errno or 0, f"{error.strerror or error}; choose another folder")
    return WhylookError(f"Cannot write {path}: {reason}.")
