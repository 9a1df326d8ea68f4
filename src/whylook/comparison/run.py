"""`compare`: data and models in, a comparison out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whylook.comparison.contrasts import (
    WISHED,
    Contrast,
    Finding,
    Level,
    accuracies,
    contrasts,
    findings,
    levels,
)
from whylook.comparison.data import DataSet, LeftOut
from whylook.comparison.gathered import Gathered
from whylook.comparison.gathering import Progress, gather
from whylook.comparison.opening import open_data
from whylook.comparison.plan import Plan, make_plan
from whylook.comparison.store import Store
from whylook.errors import UsageError
from whylook.explainer import load_models
from whylook.statistics import Estimate

if TYPE_CHECKING:
    from whylook.models.model import Model
    from whylook.narration.narrative import Narrative


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models compared over a data set.

    Parameters
    ----------
    data : the data set.
    models : by name, in the order asked for.
    gathered : what was measured, picture by picture.
    left_out : pictures that took no part, and why.
    wished : by metric, the difference that one would wish to see.
    seed : of all random numbers.
    taken_up : how many results were there from an earlier run.
    """

    data: DataSet
    models: Mapping[str, Model]
    gathered: Gathered
    left_out: tuple[LeftOut, ...]
    wished: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    taken_up: int = 0

    @property
    def plan(self) -> Plan:
        """What was measured."""
        return self.gathered.plan

    @cached_property
    def accuracy(self) -> Mapping[str, Estimate]:
        """By model, how often it is right."""
        return accuracies(self.gathered)

    @cached_property
    def levels(self) -> list[Level]:
        """The mean of every metric, model and method."""
        return levels(self.gathered, seed=self.seed)

    @cached_property
    def contrasts(self) -> list[Contrast]:
        """Every comparison made, corrected together."""
        return contrasts(self.gathered, wished=self.wished, seed=self.seed)

    @cached_property
    def findings(self) -> list[Finding]:
        """What may be said."""
        return findings(self.gathered, self.contrasts, self.data.suspicious)

    def wish(self, metric: str) -> float:
        """The difference in a metric that one would wish to see."""
        return {**WISHED, **self.wished}[metric]

    def sentences(self) -> list[str]:
        """What may be said, in words."""
        from whylook.comparison.words import sentences

        return sentences(self)

    def table(self) -> list[dict[str, Any]]:
        """The content of scores.csv: one row per picture, model, method and metric."""
        from whylook.comparison.tables import rows

        return rows(self)

    def as_dict(self) -> dict[str, Any]:
        """The content of compare.json."""
        from whylook.comparison.tables import document

        return document(self)

    def html(self, narrative: Narrative | None = None) -> str:
        """The self-contained page, with what was told of the comparison where it was (`whylook.narrate`)."""
        from whylook.comparison.page import page

        return page(self, narrative)

    def save(self, folder: str | Path, narrative: Narrative | None = None) -> Path:
        """Write `compare.html`, `scores.csv` and, last and atomically, `compare.json`; return the folder.

        A narrative is on the page, and in `narrative.json` and `narrative.md`.
        """
        from whylook.comparison.tables import save

        return save(self, Path(folder), narrative)


def compare(
    data: Any,
    models: Any,
    methods: str | Sequence[str] | None = None,
    *,
    masks: str | Path | None = None,
    suspicious: str | Path | None = None,
    labels: str | Path | None = None,
    groups: str | None = None,
    limit: int | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    wished: Mapping[str, float] | None = None,
    seed: int = 0,
    device: str | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare where models look, over a data set: on the pictures that all of them get right.

    Parameters
    ----------
    data : a folder of pictures, a JSON file in COCO's format, or `phantom-data:NAME`; see docs/compare.md.
    models : a model (`Model`, or what `load_model` takes by name), or several.
    methods : names from `whylook methods`; None: one of each of three families.
    masks, suspicious : folders of masks, and of second masks for what no answer should rest on.
    labels : CSV with the columns file, label and, for patients, group.
    groups : another column of groups.
    limit : at most so many pictures.
    parameters : by method name, its own parameters.
    wished : by metric, the difference that one would wish to see, for the number of pictures it takes.
    seed : of all random numbers.
    device : where the models are run; None: where they are.
    folder : where each picture's results are kept as they come, so that a run that was broken off goes on; None: nowhere.
    progress : called as `progress(done, total, what)`.

    Returns
    -------
    Comparison; neither the order of pictures nor that of models changes a bit of its numbers.

    Raises
    ------
    UsageError
        If there is no such data, an option does not go with it, or not a single picture is left.
    ModelError
        For a model that is not to be had.
    """
    loaded = _loaded(models, device)
    found = open_data(
        data, masks=masks, suspicious=suspicious, labels=labels, groups=groups, limit=limit, seed=seed
    )  # fmt: skip
    plan = make_plan(
        methods, loaded, masks=found.marked is not None, suspicious=found.suspicious is not None,
        parameters=parameters, seed=seed,
    )  # fmt: skip
    store = Store(None if folder is None else Path(folder))
    try:
        gathered, left_out = gather(found, loaded, plan, store, progress)
    finally:
        store.close()
    if not gathered.pictures:
        why = f" The first: {left_out[0].why}" if left_out else ""
        raise UsageError(f"Not a single picture of {found.name} can be used.{why}")
    return Comparison(found, {m.name: m for m in loaded}, gathered, left_out, dict(wished or {}), seed, store.taken)


def _loaded(models: Any, device: str | None) -> list[Model]:
    from whylook.models.model import Model as Loaded

    single = isinstance(models, str | Loaded) or callable(models)
    return load_models([models] if single else list(models), device)
