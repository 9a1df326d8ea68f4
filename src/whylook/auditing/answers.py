"""What the network answers to every view of every picture under every convention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whylook.ahead import ahead
from whylook.auditing.conventions import Convention
from whylook.auditing.views import views
from whylook.engine.company import mixes_rows
from whylook.engine.generators import seed_all
from whylook.engine.probe import probing
from whylook.engine.targets import EveryLogit, Score
from whylook.explainer import prepare
from whylook.image import Image
from whylook.models.model import Model
from whylook.preprocess import Preprocess


def answers(
    model: Model,
    images: Sequence[Image],
    conventions: Sequence[Convention],
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Logits of the network, guarded and in the probe's batches.

    Every picture is asked for by itself, so that its answers do not depend on the others.

    Parameters
    ----------
    model : its network is asked.
    images : the pictures, at least one.
    conventions : how it is fed.
    seed : of the randomness a network may have of its own.
    progress : called with the number of evaluations done.

    Returns
    -------
    float32 [conventions, pictures, views, classes]; a one-logit head has two classes.

    Raises
    ------
    ImageError
        If a picture is too thin to be fed.
    Unsupported
        If the network does not answer with class scores.
    """
    first = prepare(model, images[0])
    every = EveryLogit()
    nobody = torch.zeros((1, 1), dtype=torch.long, device=first.device)
    found: list[NDArray[np.float32]] = []
    single = mixes_rows(model.network, (first,))
    with probing(
        model.network, nobody, cast(Score, every), single=single, inputs=(first,), seed=seed, progress=progress
    ) as probe:
        for resized in ahead(lambda image: _resized(image, conventions), images):
            seed_all(first.device, seed)
            batch = torch.cat([c.preprocess.normalize(resized[_shape(c.preprocess)]) for c in conventions])
            logits = probe.scores(batch.to(first)).float().cpu().numpy()
            found.append(logits.reshape(len(conventions), -1, logits.shape[1]))
    return np.stack(found, 1)


def _resized(image: Image, conventions: Sequence[Convention]) -> dict[Preprocess, Tensor]:
    """Views [views, c, h, w] in [0, 1] of one picture, by how they are brought to size; each way once."""
    ways = dict.fromkeys(_shape(c.preprocess) for c in conventions)
    seen = views(image)
    return {way: torch.stack([way.unit(view) for view in seen]) for way in ways}


def _shape(p: Preprocess) -> Preprocess:
    """What of a preprocessing comes before colors are changed."""
    return replace(p, mean=0.0, std=1.0, scale=1.0, channel_order="rgb", origin="")  # type: ignore[arg-type]
