"""Models that stay loaded: those used last, as many as fit into the memory they may have."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whylook.models.model import Model


class Models:
    """Loads each model once, and lets go of those not used for longest.

    Parameters
    ----------
    load : loads a model by its name; it knows which there are.
    memory : bytes of weights that are kept; the one that was asked for last always is.
    """

    def __init__(self, load: Callable[[str], Model], memory: int) -> None:
        self._load, self._memory = load, memory
        self._lock = threading.RLock()  # also while one is loaded: a second thread waits and finds it there
        self._loaded: OrderedDict[str, tuple[Model, int]] = OrderedDict()

    def load(self, name: str) -> Model:
        """Return the model called `name`.

        Raises
        ------
        ModelError
            If its weights are not to be had.
        UsageError
            If there is no such model.
        """
        with self._lock:
            if name not in self._loaded:
                model = self._load(name)
                self._loaded[name] = (model, size(model))
            self._loaded.move_to_end(name)
            while len(self._loaded) > 1 and sum(n for _, n in self._loaded.values()) > self._memory:
                self._loaded.popitem(last=False)
            return self._loaded[name][0]

    def names(self) -> tuple[str, ...]:
        """Return the names of those that are loaded, the one used last at the end."""
        with self._lock:
            return tuple(self._loaded)


def size(model: Model) -> int:
    """Return the bytes of a model's parameters and buffers."""
    network = model.network
    return sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers()))
