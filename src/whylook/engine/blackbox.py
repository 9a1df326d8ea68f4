"""A function of the input that is no network: only its scores can be had, no gradients and no layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from whylook.errors import Unsupported


class BlackBox(nn.Module):
    """A function `images -> scores` in the place of a network.

    Parameters
    ----------
    function : takes a floating-point tensor [b, …] (or several), or an array, and returns scores [b, classes] or [b], a
        tensor or an array.
    arrays : whether it takes numpy arrays; None: tensors, unless it raises TypeError or AttributeError for one.
    """

    def __init__(self, function: Callable[..., Any], arrays: bool | None = None) -> None:
        super().__init__()
        self.function, self.arrays = function, arrays

    @property
    def title(self) -> str:
        """What messages call it."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Scores of the inputs, in their dtype and on their device, without a graph."""
        with torch.no_grad():
            scores = self._ask(tuple(x.detach() for x in inputs))
            if not isinstance(scores, Tensor):
                try:
                    scores = torch.as_tensor(np.asarray(scores))
                except (TypeError, ValueError):
                    kind = type(scores).__name__
                    raise Unsupported(
                        f"{self.title} returns {kind}, not scores; return a tensor or an array [b, classes]."
                    ) from None
            return scores.detach().to(inputs[0], copy=True)  # a function may write all its answers to one place

    def _ask(self, inputs: tuple[Tensor, ...]) -> Any:
        if self.arrays is not None:
            return self.function(*(self._given(x) for x in inputs))
        try:
            scores = self.function(*inputs)
            self.arrays = False
        except (TypeError, AttributeError) as error:
            self.arrays = True
            try:
                scores = self.function(*(self._given(x) for x in inputs))
            except Exception:  # noqa: BLE001 - the first error tells more: it takes tensors, as most do
                self.arrays = None
                raise error from None
        return scores

    def _given(self, x: Tensor) -> Any:
        return x.cpu().numpy() if self.arrays else x


def refusal(method: str, able: tuple[str, ...]) -> Unsupported:
    """Why a method that looks inside a network cannot explain a black box, and which ones can."""
    return Unsupported(
        f"{method} needs the gradients or layers of a torch network, and this model is a black box that gives only scores; "
        f"use {', '.join(able[:-1])} or {able[-1]}."
    )
