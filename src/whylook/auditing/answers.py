"""What the network answers to every view of every picture under every convention."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whylook.ahead import ahead
from whylook.auditing.conventions import Convention
from whylook.auditing.views import views
from whylook.engine.probe import probing
from whylook.engine.targets import EveryLogit, Score
from whylook.explainer import prepare
from whylook.image import Image
from whylook.models.model import Model
from whylook.preprocess import Preprocess

Logits = NDArray[np.float64]


def answers(
    model: Model,
    images: Sequence[Image],
    conventions: Sequence[Convention],
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Logits:
    """Logits of the network, guarded and in the probe's batches.

    Every picture is asked for by itself, so that its answers do not depend on the others.

    Parameters
    ----------
    model : its network is asked; its own preprocessing only for where the network is.
    images : the pictures.
    conventions : how it is fed.
    seed : of the randomness a network may have of its own.
    progress : called with the number of evaluations done.

    Returns
    -------
    float64 [conventions, pictures, views, classes]; a one-logit head has two classes.

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
    found: list[Logits] = []
    score = cast(Score, every)
    with probing(model.network, nobody, score, inputs=(first,), seed=seed, progress=progress) as probe:
        for batch in ahead(lambda image: _inputs(image, conventions), images):
            torch.default_generator.manual_seed(seed)  # networks that draw numbers draw the same for every picture
            logits = probe.scores(batch.to(first)).double().cpu().numpy()
            found.append(logits.reshape(len(conventions), -1, logits.shape[1]))
    return np.stack(found, 1)


def _inputs(image: Image, conventions: Sequence[Convention]) -> Tensor:
    """All inputs of one picture [conventions · views, c, h, w]; what is resized alike is resized once."""
    resized: dict[Preprocess, Tensor] = {}
    return torch.cat(list(_each(image, conventions, resized)))


def _each(image: Image, conventions: Sequence[Convention], resized: dict[Preprocess, Tensor]) -> Iterator[Tensor]:
    from dataclasses import replace

    for convention in conventions:
        p = convention.preprocess
        shape = replace(p, mean=0.0, std=1.0, scale=1.0, channel_order="rgb", origin="")  # type: ignore[arg-type]
        if shape not in resized:
            resized[shape] = torch.stack([p.unit(view) for view in views(image)])
        yield p.normalize(resized[shape])
