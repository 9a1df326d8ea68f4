"""What an explanation is made of: predictions, maps, and the record of how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whylook.errors import UsageError
from whylook.geometry import Geometry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from whylook.facts.fact import Facts
    from whylook.image import Image
    from whylook.models.model import Model
    from whylook.trustcard.card import TrustCard
    from whylook.trustcard.glance import Glance


@dataclass(frozen=True)
class Target:
    """What is explained: a class, and the score of it (`logit`, `probability`, `margin`), or its logit less another's."""

    index: int
    label: str
    score: str = "logit"
    against: int | None = None
    against_label: str | None = None

    def __str__(self) -> str:
        what = f"{self.label} ({self.index})"
        if self.against is not None:
            what += f" rather than {self.against_label} ({self.against})"
        return what if self.score == "logit" else f"{what}, {self.score}"


class Ranked(NamedTuple):
    """One line of a prediction."""

    index: int  # type: ignore[assignment] # the contract's name; tuple's method of that name is not missed
    label: str
    probability: float
    logit: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """A model's answer to one picture.

    Parameters
    ----------
    logits, probabilities : float32 arrays [classes]; not calibrated.
    labels : one per class.
    """

    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    labels: tuple[str, ...]

    def top(self, k: int = 5) -> list[Ranked]:
        """Return the `k` most probable classes, ties by index."""
        order = np.argsort(-self.logits, kind="stable")[:k]
        return [Ranked(int(i), self.labels[i], float(self.probabilities[i]), float(self.logits[i])) for i in order]


@dataclass(frozen=True, eq=False)
class Map:
    """One attribution map, raw: at its own grid, signed where the method is, never scaled.

    Parameters
    ----------
    values : float32 array [h', w'], raw values at the method's native grid.
    method, model : their names.
    target : what is explained.
    signed : whether negative values mean evidence against the target.
    parameters : the method's parameters, defaults included.
    layer : dotted name of the module a CAM was read from (of several, all of them, with commas), or None.
    geometry : where the model's input lies in the picture.
    seed : of the method's randomness, or None where it has none.
    seconds : wall time, the shared pass divided among the maps it served.
    passes : number of forward and backward passes that the map needed, shared ones included.
    reason : why the map is all zero (or not finite), or None.
    facts : numbers that belong to the map, by name, such as the completeness residual.
    warning : why the map should not be relied on, or None.
    """

    values: NDArray[np.float32]
    method: str
    model: str
    target: Target
    signed: bool
    parameters: Mapping[str, Any]
    geometry: Geometry
    layer: str | None = None
    seed: int | None = None
    seconds: float = 0.0
    passes: Mapping[str, int] = field(default_factory=dict)
    reason: str | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    warning: str | None = None

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of the native grid."""
        return (self.values.shape[0], self.values.shape[1])

    def on_image(self) -> NDArray[np.float32]:
        """Float32 [H, W] in the original picture's coordinates, NaN where the model was not shown the picture."""
        return self.geometry.on_image(self.values)


@dataclass(frozen=True, eq=False)
class Explanation:
    """One picture, one or several models, and their maps.

    Parameters
    ----------
    image : the picture.
    models : by name, in the order asked for.
    predictions : by model name.
    maps : in order of model, method, target.
    failures : what could not be done and why: (model, method or "", sentence).
    provenance : what the bits depend on beside the versions: seed, devices, threads, platform.
    fingerprints : of the weights that made the maps, by model name; empty where there is none to be had.
    cards : trust cards of the maps, in order, where they were measured (see `whylook.trustcard.trust_all`).
    """

    image: Image
    models: Mapping[str, Model]
    predictions: Mapping[str, Prediction]
    maps: tuple[Map, ...]
    failures: tuple[tuple[str, str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    cards: tuple[TrustCard, ...] = ()

    def __iter__(self) -> Iterator[Map]:
        return iter(self.maps)

    @cached_property
    def glances(self) -> tuple[Glance, ...]:
        """What can be said of the maps' worth, in their order, without running a model; no verdicts (see `cards`)."""
        from whylook.trustcard.glance import glances

        return glances(self)

    def map(self, model: str, method: str, target: int | str | None = None) -> Map:
        """Return the map of `model` by `method` (of class `target`, where there are several).

        Raises
        ------
        UsageError
            If there is no such map, or several; the message names those there are, or why it could not be made.
        """
        of_these = [m for m in self.maps if (m.model, m.method) == (model, method)]
        found = [m for m in of_these if target in (None, m.target.index, m.target.label)]
        if len(found) == 1:
            return found[0]
        if of_these:
            targets = ", ".join(str(m.target) for m in of_these)
            what = "several classes" if found else f"other classes than {target!r}"
            raise UsageError(f"The {method} maps of {model} explain {what}; choose one with target=: {targets}.")
        for failed_model, failed_method, why in self.failures:
            if failed_model == model and failed_method in (method, ""):
                raise UsageError(f"There is no {method} map of {model}: {why}")
        there = ", ".join(f"{m.model}/{m.method}" for m in self.maps) or "none"
        raise UsageError(f"There is no {method} map of {model}; there are: {there}.")

    @cached_property
    def facts(self) -> Facts:
        """Everything that was measured, as a table of facts with ids; measured when it is first asked for."""
        from whylook.facts.measure import facts

        return facts(self)

    def save(self, folder: str | Path) -> Path:
        """Write `report.html`, `figure.png`, `maps.npz`, `facts.json` and, last and atomically, `result.json`.

        Returns
        -------
        The folder.
        """
        from whylook.report.bundle import save

        return save([self], Path(folder))

    def table(self) -> list[dict[str, Any]]:
        """One row per map: model, prediction, target, method, grid, extremes, seconds."""
        from whylook.report.manifest import rows

        return rows(self)

    def figure(self) -> Figure:
        """Return a matplotlib figure: the picture and every map, one row per model."""
        from whylook.draw import figure

        return figure(self)

    def html(self) -> str:
        """Return the self-contained report as one HTML document."""
        from whylook.report.page import page

        return page([self])

    @cached_property
    def _static(self) -> str:
        from whylook.report.page import static

        return static(self)

    def _repr_html_(self) -> str:
        return self._static
