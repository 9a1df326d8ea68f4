"""`audit`: is a model fed the way it was trained?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whylook.auditing.answers import answers
from whylook.auditing.conventions import Convention, colors
from whylook.auditing.decision import Decision, decide
from whylook.auditing.evidence import Evidence, evidence
from whylook.image import Image, load_image
from whylook.models import load_model
from whylook.models.model import Model


@dataclass(frozen=True, eq=False)
class Audit:
    """What pictures say of how a model is fed."""

    model: Model
    images: tuple[Image, ...]
    conventions: tuple[Convention, ...]
    evidence: tuple[Evidence, ...]
    decision: Decision
    forwards: int


def audit(
    model: Any,
    images: Any,
    labels: Sequence[int | str] | None = None,
    *,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> Audit:
    """Run pictures through the plausible input conventions, and say whether the declared one is the best supported."""
    loaded = model if isinstance(model, Model) else load_model(model)
    pictures = [load_image(i) for i in (images if isinstance(images, list | tuple) else [images])]
    found = colors(loaded.preprocess)
    done = 0
    total = len(found) * len(pictures) * 6

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        if progress:
            progress(done, total, "colors")

    logits = answers(loaded, pictures, found, seed=seed, progress=advance)
    seen = [evidence(of_one) for of_one in logits]
    values: NDArray[np.float64] = np.stack([e.margin for e in seen])
    decision = decide([c.name for c in found], values, hits=False, seed=seed)
    return Audit(loaded, tuple(pictures), tuple(found), tuple(seen), decision, done)
