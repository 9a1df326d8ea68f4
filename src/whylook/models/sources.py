"""Where models come from: one decorated function per source, and the registry of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whylook.registry import Registry

if TYPE_CHECKING:
    from whylook.models.model import Model

Loader = Callable[..., "Model"]


@dataclass(frozen=True)
class Source:
    """One place that models come from.

    Parameters
    ----------
    name : the prefix that selects it, as in `name:model`.
    title : what it is, in a few words.
    example : how a person asks for one of its models.
    load : `load(rest, **options) -> Model`, where `rest` is what follows the prefix.
    """

    name: str
    title: str
    example: str
    load: Loader

    @property
    def summary(self) -> str:
        """First line of the loader's docstring."""
        return (self.load.__doc__ or "").strip().partition("\n")[0]


SOURCES: Registry[Source] = Registry("model source")


def source(name: str, *, title: str, example: str) -> Callable[[Loader], Loader]:
    """Register the decorated function `(rest, **options) -> Model` as the source called `name`.

    The file that holds it lies in `whylook/models/` and must not import torch before the function is called, so that
    sources can be listed at once. A function that names `preprocess` or `labels` among its parameters is given those
    of `load_model`; for the others they are put in place of the model's own afterwards.
    """

    def register(load: Loader) -> Loader:
        SOURCES.add(name, Source(name, title, example, load))
        return load

    return register
