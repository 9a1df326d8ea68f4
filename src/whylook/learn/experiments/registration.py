"""What an experiment is: a pure function of a picture and of what the reader sets, and the facts about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from whylook.errors import Unsupported, UsageError
from whylook.learn.experiments.controls import Control, Network, as_data
from whylook.learn.experiments.outcome import Outcome
from whylook.registry import Registry

if TYPE_CHECKING:
    from whylook.image import Image
    from whylook.models.model import Model


@dataclass(frozen=True, eq=False)
class Experiment:
    """An experiment.

    Parameters
    ----------
    name : in kebab case.
    title : what the reader sees above it.
    function : gets `image` where it is made on the reader's picture, and the controls' values by name; a network as
        `Model`.
    controls : what the reader can set.
    """

    name: str
    title: str
    function: Callable[..., Outcome]
    controls: tuple[Control, ...]

    @property
    def about(self) -> str:
        """What it shows: first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n")[0]

    @property
    def on_picture(self) -> bool:
        """Whether it is made on the reader's picture; otherwise on drawn films, whose truth is known."""
        return "image" in inspect.signature(self.function).parameters

    def fill(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Complete `parameters` with the defaults; one that there is not, or that cannot be, raises `UsageError`."""
        known = {c.name: c for c in self.controls}
        for name in parameters:
            if name not in known:
                raise UsageError(f"The experiment {self.name} has no parameter {name!r}; it has {', '.join(known)}.")
        return {name: c.check(parameters.get(name, c.default)) for name, c in known.items()}

    def run(
        self,
        image: Image | None = None,
        parameters: Mapping[str, Any] | None = None,
        load: Callable[[str], Model] | None = None,
    ) -> Outcome:
        """Make the experiment.

        Parameters
        ----------
        image : the reader's picture; None: the embedded demonstration picture.
        parameters : by name; the defaults for the others.
        load : from a network's name to the network; None: `whylook.load_model`.

        Returns
        -------
        Outcome; where a method has no meaning for a network, the sentence that says so is all of it.

        Raises
        ------
        UsageError
            For a parameter that there is not, or that cannot be.
        """
        given: dict[str, Any] = self.fill(parameters or {})
        networks = [c.name for c in self.controls if isinstance(c, Network)]
        for name in networks:
            given[name] = (load or loaded)(given[name])
        if self.on_picture:
            from whylook.phantom import picture

            given["image"] = picture() if image is None else image
        try:
            return self.function(**given)
        except Unsupported as why:
            return Outcome((str(why),))

    def as_data(self, others: Sequence[str] = ()) -> dict[str, Any]:
        """What a page makes the experiment's controls of, ready for JSON; `others`: further networks that are there."""
        controls = [as_data(c, others) for c in self.controls]
        return {
            "name": self.name,
            "title": self.title,
            "about": self.about,
            "picture": self.on_picture,
            "controls": controls,
        }


EXPERIMENTS: Registry[Experiment] = Registry("experiment")
MODULES = (
    "looking",
    "gradients",
    "paths",
    "layers",
    "removal",
    "uses",
    "feeding",
    "sanity",
    "evidence",
    "samples",
    "card",
)


def experiment(name: str, title: str, *controls: Control) -> Callable[[Callable[..., Outcome]], Callable[..., Outcome]]:
    """Register a function as an experiment.

    The function's arguments are the controls' names, and `image` if it is made on the reader's picture.
    """

    def register(function: Callable[..., Outcome]) -> Callable[..., Outcome]:
        own = set(inspect.signature(function).parameters) - {"image"}
        if own != {c.name for c in controls}:
            raise TypeError(f"experiment {name!r} takes {sorted(own)}, its controls are {[c.name for c in controls]}")
        EXPERIMENTS.add(name, Experiment(name, title, function, controls))
        return function

    return register


def experiments() -> Registry[Experiment]:
    """All experiments, loaded when first asked for."""
    for module in MODULES:
        import_module(f"whylook.learn.experiments.{module}")
    return EXPERIMENTS


@lru_cache(maxsize=16)
def loaded(name: str) -> Model:
    """Load a network by name, once for all experiments."""
    from whylook.models import load_model

    return load_model(name)


def joined(names: Iterable[str]) -> str:
    """Names as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    several = list(names)
    return several[0] if len(several) == 1 else f"{', '.join(several[:-1])} and {several[-1]}"
