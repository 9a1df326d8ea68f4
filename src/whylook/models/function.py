"""A function that is no network: a model elsewhere, in another framework or behind a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whylook.errors import UsageError
from whylook.models import labels as names
from whylook.models.network import classes, head
from whylook.models.sources import source

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.blackbox import BlackBox
    from whylook.models.model import Model
    from whylook.preprocess import Preprocess

LOGARITHM = "It answers with probabilities (never negative, with a sum of 1); their logarithms are taken as logits."


@source("function", title="any function images -> scores, from Python", example="load_model(function, preprocess=…)")
def function_model(function: Any, *, preprocess: Preprocess | None = None, labels: Any = None) -> Model:
    """Make a model of a function, which is asked for scores and never looked into.

    Parameters
    ----------
    function : takes [b, c, h, w], as a tensor (or as a numpy array, where it cannot take a tensor), and returns scores
        [b, classes] or [b].
    preprocess : how it is fed.
    labels : class names, or a file of them.

    Raises
    ------
    UsageError
        If it is not said how it is fed, or it is no function.
    ModelError
        If it cannot be fed that way, or answers with something else than class scores.
    """
    from whylook.engine.blackbox import BlackBox
    from whylook.models.model import Model

    if not callable(function):
        raise UsageError(f"{function!r} is not a function; `function` is for functions in memory, from Python.")
    box = BlackBox(function)
    if preprocess is None:
        raise UsageError(
            f"How {box.title} is fed is not known: pass preprocess=, a whylook.Preprocess, timm's data config or "
            "torchvision's weights.transforms()."
        )
    outputs = classes(box, preprocess)
    box, notes = with_logits(box, preprocess)
    return Model(
        name=box.title,
        network=box,
        preprocess=preprocess,
        labels=names.read(labels, outputs) if labels is not None else None,
        head=head(outputs, None),
        identity="",
        source=f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', box.title)}".lstrip("."),
        notes=("A function has no fingerprint: whether it was the same another time cannot be told.", *notes),
    )


def with_logits(box: BlackBox, preprocess: Preprocess) -> tuple[BlackBox, list[str]]:
    """The box itself, or the logarithm of its answers where these are probabilities; and what was done.

    It is asked for three pictures: black, white and noise.
    """
    import torch

    height, width = preprocess.input_size
    unit = torch.rand(1, preprocess.channels, height, width, generator=torch.Generator().manual_seed(0))
    pictures = [preprocess.normalize(u) for u in (torch.zeros_like(unit), torch.ones_like(unit), unit)]
    answers = torch.stack([box(p).flatten() for p in pictures])
    sums = answers.sum(1)
    if answers.shape[1] < 2 or bool((answers < 0).any()) or bool(((sums - 1).abs() > 1e-3).any()):
        return box, []
    return _logarithm(box), [LOGARITHM]


def _logarithm(box: BlackBox) -> BlackBox:
    import torch

    from whylook.engine.blackbox import BlackBox

    class Logarithm(BlackBox):
        """The same function on a scale where a difference of classes is a ratio of probabilities."""

        def forward(self, *inputs: Tensor) -> Tensor:
            answers = super().forward(*inputs)
            return answers.clamp(min=torch.finfo(answers.dtype).tiny).log()

    return Logarithm(box.function, box.arrays)
