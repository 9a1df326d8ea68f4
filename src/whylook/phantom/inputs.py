"""How the embedded networks are fed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from whylook.image import load_image
from whylook.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.phantom.render import Phantom

PREPROCESS = Preprocess(
    input_size=(64, 64),
    resize="shorter",
    resize_to=(64, 64),
    interpolation="bilinear",
    mean=(0.3,),
    std=(0.25,),
    channels=1,
    fill=(0.0,),
    origin="What the embedded networks were trained with.",
)


def batch(phantoms: Iterable[Phantom]) -> Tensor:
    """Return the networks' input of several phantoms, float32 [n, 1, 64, 64]."""
    import torch

    return torch.stack([PREPROCESS.apply(load_image(p.pixels)) for p in phantoms])


def drawn(sets: Sequence[Iterable[Phantom]]) -> list[tuple[Tensor, Tensor]]:
    """Return inputs [n, 1, 64, 64] and labels [n] of several data sets of the same patients.

    They are drawn side by side, because the versions of one patient share most of the work.
    """
    import torch

    parts = [(batch(versions), [p.label for p in versions]) for versions in zip(*sets, strict=True)]
    labels = torch.tensor([label for _, label in parts])
    inputs = torch.stack([x for x, _ in parts])
    return [(inputs[:, i].contiguous(), labels[:, i]) for i in range(len(sets))]
