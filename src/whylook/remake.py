"""Makes a map again: of another network, another input or another class, all else being equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from whylook.engine.request import Raw, Request
from whylook.engine.run import run
from whylook.engine.targets import Score
from whylook.errors import Unsupported
from whylook.explainer import one_map
from whylook.geometry import Geometry
from whylook.metrics.grids import entire
from whylook.metrics.metric import Floats, NotAssessable

Make = Callable[[nn.Module, Tensor, int], "Floats"]


@dataclass(frozen=True, eq=False)
class Remake:
    """How a map was made, and of what.

    Parameters
    ----------
    make : from a network, an input [1, c, h, w] and a class to a map [h', w'].
    network, x, target : what the map was made of.
    classes : how many classes there are.
    passes : forward and backward passes that the maps made so far took.
    """

    make: Make
    network: nn.Module
    x: Tensor
    target: int
    classes: int
    passes: Counter[str] = field(default_factory=Counter)

    @classmethod
    def by(
        cls, request: Request, network: nn.Module, x: Tensor, target: int, classes: int, score: Score, seed: int = 0
    ) -> Remake:
        """Make maps as `explain` does: by a method with its parameters (`request`), of a score, from a seed."""
        passes: Counter[str] = Counter()

        def make(network: nn.Module, x: Tensor, target: int) -> Floats:
            index = torch.full((1, 1), target, device=x.device)
            _, (raw,) = run(network, (x,), [request], lambda logits, _: index, score, seed=seed)
            if not isinstance(raw, Raw):
                raise raw
            passes.update(forward=raw.forwards, backward=raw.backwards)
            values = raw.values[0] if isinstance(raw.values, tuple) else raw.values
            size = (x.shape[-2], x.shape[-1])
            covered = Geometry(size, size, (1.0, 1.0), (0.0, 0.0), raw.extent)
            return entire(np.asarray(one_map(values[0, 0], request.method), np.float64), covered)

        return cls(make, network, x, target, classes, passes)

    def __call__(
        self, *, network: nn.Module | None = None, x: Tensor | None = None, target: int | None = None
    ) -> Floats:
        """The map [h', w'] of another network, input or class; what is not given stays.

        Raises
        ------
        NotAssessable
            If it cannot be made, or is not finite.
        """
        try:
            values = self.make(
                self.network if network is None else network,
                self.x if x is None else x,
                self.target if target is None else target,
            )
        except Unsupported as why:
            raise NotAssessable(f"the map cannot be made again: {why}") from why
        if not np.isfinite(values).all():
            raise NotAssessable("a map that was made again is not finite")
        return values
