"""`audit`: is a model fed the way it was trained?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whylook.ahead import all_ahead
from whylook.auditing.answers import answers
from whylook.auditing.conventions import Convention, colors, interpolations, sizes
from whylook.auditing.decision import Candidate, Decision, decide
from whylook.auditing.evidence import Evidence, evidence
from whylook.auditing.remedy import Remedy, remedy
from whylook.auditing.views import NAMES
from whylook.errors import ImageError, UsageError
from whylook.explainer import class_index, load_models
from whylook.image import Image, load_image
from whylook.models.model import Model
from whylook.parameters import check_seed
from whylook.statistics import Comparison

Progress = Callable[[int, int, str], None]
RESULT = "audit.json"


@dataclass(frozen=True, eq=False)
class Row:
    """One convention, and what speaks for it.

    Parameters
    ----------
    convention : how the network was fed.
    evidence : of its answers.
    hits : [pictures], whether the first class is right, or None without labels.
    versus : its evidence (its hits, with labels) less that of the declared convention; None for the declared itself. Of
        `Audit.variants` less that of the first of them, adjusted among themselves.
    """

    convention: Convention
    evidence: Evidence
    hits: NDArray[np.bool_] | None
    versus: Comparison | None

    @property
    def values(self) -> NDArray[np.float64]:
        """[pictures], what conventions are compared by: hits where there are labels, else evidence."""
        return self.evidence.clear if self.hits is None else self.hits.astype(np.float64)


@dataclass(frozen=True, eq=False)
class Audit:
    """What pictures say of how a model is fed.

    Parameters
    ----------
    model : the model, as it was declared.
    images : the pictures.
    truth : their right classes, or None.
    rows : one per convention, the declared one first.
    decision : the verdict; its indices are those of `rows`.
    remedy : how to feed it as the better convention says; None where there is none.
    variants : the colors of the named convention, brought to size in other ways.
    sizes : what may be said of these, by the rule that conventions are judged by; None where there is no other way.
    forwards : evaluations of the network.
    seconds : of the whole.
    seed : of networks' own randomness, intervals and tests.
    """

    model: Model
    images: tuple[Image, ...]
    truth: tuple[int, ...] | None
    rows: tuple[Row, ...]
    decision: Decision
    remedy: Remedy | None
    variants: tuple[Row, ...]
    sizes: Decision | None
    forwards: int
    seconds: float
    seed: int

    @property
    def declared(self) -> Row:
        """The model's own convention."""
        return self.rows[0]

    @property
    def named(self) -> Row:
        """The convention that the verdict names; the declared one where it names no other."""
        return self.rows[self.decision.named]

    @property
    def ranked(self) -> list[Row]:
        """All rows, best first; of equals the earlier."""
        return sorted(self.rows, key=lambda row: -float(row.values.mean()))

    def as_dict(self, problems: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
        """The content of `audit.json`; `problems` are (what, reason) of pictures that were left out."""
        from whylook.auditing.record import record

        return record(self, problems)

    def html(self, problems: Sequence[tuple[str, str]] = ()) -> str:
        """One self-contained page."""
        from whylook.auditing.page import page

        return page(self, problems)

    def save(self, folder: str | Path, problems: Sequence[tuple[str, str]] = ()) -> Path:
        """Write `audit.html` and, last, `audit.json` into `folder`, which is made where it does not exist.

        Raises
        ------
        WhylookError
            If the folder cannot be written to.
        """
        from whylook.report.bundle import write_text, writing
        from whylook.report.manifest import to_json

        place = Path(folder)
        with writing(place, RESULT):
            write_text(place / "audit.html", self.html(problems))
            write_text(place / RESULT, to_json(self.as_dict(problems)))
        return place


def audit(
    model: Any,
    images: Any,
    labels: Sequence[int | str] | None = None,
    *,
    seed: int = 0,
    device: str | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Run pictures through the plausible input conventions, and say whether the declared one is the best supported.

    With the right classes, conventions are compared by accuracy; without, by how far the class that other views of the
    picture name stands out, in units that do not grow with the input's scale. Which crop or interpolation a network was
    trained with, answers hardly ever tell: those are judged among themselves, and mostly not distinguishable.

    Parameters
    ----------
    model : a `Model`, or what `load_model` takes by name.
    images : pictures (`Image`, or what `load_image` takes), of several classes; 9 or more are needed.
    labels : the right class of each, an index or a label.
    seed : of a network's own randomness, of intervals and tests.
    device : where to run; None: where the model is.
    progress : called as `progress(done, total, what)`.

    Returns
    -------
    Audit. The cost is 6 views of every picture under 9 to 12 conventions, and under 4 or 5 ways to bring it to size.

    Raises
    ------
    ImageError, ModelError
        For a picture or model that cannot be read, or a picture too thin to be fed.
    UsageError
        If there is no picture or one is there twice, labels are not one per picture, a class does not exist, or the seed
        is none.
    Unsupported
        If the network does not answer with class scores.
    """
    check_seed(seed)
    begun = perf_counter()
    loaded = load_models([model], device)[0]
    pictures = all_ahead(load_image, list(images) if isinstance(images, list | tuple) else [images])
    if not pictures:
        raise UsageError("An audit needs pictures; none were given.")
    _no_twins(pictures)
    truth = _classes(loaded, labels, len(pictures))
    for picture in pictures:
        loaded.preprocess.check(picture)
    run = _Run(loaded, pictures, truth, seed, progress)
    found = colors(loaded.preprocess)
    rows = run.rows(found, "colors and range")
    decision = decide([_candidate(row) for row in rows], hits=truth is not None, seed=seed)
    rows = [replace(row, versus=c) for row, c in zip(rows, decision.comparisons, strict=True)]
    around = rows[decision.named if decision.kind == "other" else 0]
    tried = (*sizes(around.convention)[1:], *interpolations(around.convention)[1:])
    ways = [c for c in tried if _feeds(c, pictures) and _differs(c, around.convention, pictures)]
    variants = [replace(around, versus=None), *run.rows(ways, "size and interpolation")]
    judged = decide([_candidate(row) for row in variants], hits=truth is not None, seed=seed) if ways else None
    if judged is not None:
        variants = [replace(row, versus=c) for row, c in zip(variants, judged.comparisons, strict=True)]
    wanted = rows[decision.named].convention.preprocess
    return Audit(
        model=loaded,
        images=tuple(pictures),
        truth=truth,
        rows=tuple(rows),
        decision=decision,
        remedy=remedy(loaded.preprocess, wanted) if decision.kind == "other" else None,
        variants=tuple(variants),
        sizes=judged,
        forwards=run.forwards,
        seconds=perf_counter() - begun,
        seed=seed,
    )


class _Run:
    """Asks the network, and counts."""

    def __init__(
        self,
        model: Model,
        images: Sequence[Image],
        truth: tuple[int, ...] | None,
        seed: int,
        progress: Progress | None,
    ) -> None:
        self._model, self._images, self._truth, self._seed, self._progress = model, images, truth, seed, progress
        self.forwards = 0

    def rows(self, conventions: Sequence[Convention], what: str) -> list[Row]:
        """One row per convention, not compared yet."""
        if not conventions:
            return []
        total, before = len(conventions) * len(self._images) * len(NAMES), self.forwards

        def advance(count: int) -> None:
            self.forwards += count
            if self._progress:
                self._progress(min(self.forwards - before, total), total, what)

        logits = answers(self._model, self._images, conventions, seed=self._seed, progress=advance)
        if self._truth is not None and not all(0 <= t < logits.shape[-1] for t in self._truth):
            wrong = next(t for t in self._truth if not 0 <= t < logits.shape[-1])
            raise UsageError(f"Class {wrong} does not exist: the network has classes 0 to {logits.shape[-1] - 1}.")
        seen = [evidence(of_one) for of_one in logits]
        right = [None if self._truth is None else e.top == np.array(self._truth) for e in seen]
        return [Row(c, e, hits, None) for c, e, hits in zip(conventions, seen, right, strict=True)]


def _no_twins(pictures: Sequence[Image]) -> None:
    known: dict[str, str] = {}
    for picture in pictures:
        if (twin := known.get(picture.sha256)) is not None:
            raise UsageError(f"{picture.name} is the same picture as {twin}; give it once, for it counts once.")
        known[picture.sha256] = picture.name


def _classes(model: Model, labels: Sequence[int | str] | None, pictures: int) -> tuple[int, ...] | None:
    if labels is None:
        return None
    if isinstance(labels, str) or len(labels) != pictures:
        raise UsageError(f"There are {pictures} pictures; labels must be a list with one right class for each.")
    return tuple(class_index(model, label, part=False) for label in labels)


def _candidate(row: Row) -> Candidate:
    return Candidate(row.convention.name, row.values, row.evidence.top, row.convention.distance)


def _feeds(convention: Convention, images: Sequence[Image]) -> bool:
    """Whether all pictures can be brought to size that way; very thin ones cannot."""
    try:
        for image in images:
            convention.preprocess.check(image)
    except ImageError:
        return False
    return True


def _differs(one: Convention, other: Convention, images: Sequence[Image]) -> bool:
    """Whether any picture is brought to size in another way; squares are squashed and padded into the same."""
    a, b = one.preprocess, other.preprocess
    return a.interpolation != b.interpolation or any(a.geometry(i) != b.geometry(i) for i in images)
