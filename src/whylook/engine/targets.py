"""From a network's output to the one number per row that is explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from whylook.engine.mending import mended
from whylook.errors import Unsupported, UsageError

ScoreName = Literal["logit", "probability", "margin"]
Targets = int | Sequence[int] | Sequence[Sequence[int]] | Tensor | NDArray[Any] | None
SCORES: tuple[str, ...] = ("logit", "probability", "margin")


def class_logits(output: Any, rows: int) -> tuple[Tensor, bool]:
    """Find the logits in whatever a classifier returns.

    A tensor; an object or mapping with `logits`; a tuple or list whose first tensor they are (auxiliary heads follow).

    Parameters
    ----------
    output : what `network(x)` returned.
    rows : the batch size n.

    Returns
    -------
    Tensor [n, classes], and whether it comes from one logit: such a head ([n] or [n, 1]) becomes [n, 2], class 0 the
    negative of the logit.

    Raises
    ------
    Unsupported
        If there is no such tensor.
    """
    logits = getattr(output, "logits", None)
    if logits is None and isinstance(output, dict):
        logits = output.get("logits", output.get("out"))
    if logits is None:
        first = next((t for t in output if isinstance(t, Tensor)), None) if isinstance(output, list | tuple) else None
        logits = first if first is not None else output
    if not isinstance(logits, Tensor):
        raise Unsupported(
            f"The network returns {type(output).__name__}, not a tensor of logits; wrap it in one that does."
        )
    if logits.shape == (rows,):
        logits = logits[:, None]
    if logits.ndim != 2 or logits.shape[0] != rows:
        raise Unsupported(
            f"The network's output has shape {tuple(logits.shape)} for {rows} input rows; "
            "a classifier's is [n, classes] or [n]: pool or select what you want explained in a wrapper."
        )
    mended(logits)  # every network's output comes by here before anything is differentiated
    if logits.shape[1] == 1:
        return torch.cat([-logits, logits], 1), True
    return logits, False


class SelfContrastError(UsageError):
    """A class that is to be explained against itself."""


def as_index(targets: Any) -> Tensor:
    """Bring what the caller wrote (numbers, lists, arrays, tensors, or lists of those) to an integer tensor.

    Returns
    -------
    Tensor with 0 axes (one index for all rows), 1 (one per row) or 2 (several per row).

    Raises
    ------
    UsageError
        If it is none of these.
    """
    plain = _plain(targets)
    if _has_bool(plain):
        raise UsageError(f"targets={targets!r} must be whole numbers.")
    try:
        index = torch.as_tensor(plain)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise UsageError(
            f"targets={targets!r} is not an index, a list with one per row, or a list of equally long lists."
        ) from None
    if index.is_floating_point() or index.dtype == torch.bool or index.is_complex():
        raise UsageError(f"targets={targets!r} must be whole numbers.")
    if index.ndim > 2:
        raise UsageError(f"targets have {index.ndim} axes; there are at most two, rows and classes per row.")
    return index.long()


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy and torch alike; a tensor made under inference_mode becomes an ordinary one
        return value.tolist()
    return [_plain(v) for v in value] if isinstance(value, list | tuple | range) else value


def _has_bool(value: Any) -> bool:
    return any(map(_has_bool, value)) if isinstance(value, list | tuple) else isinstance(value, bool)


def resolve(targets: Any, logits: Tensor, one_logit: bool = False) -> Tensor:
    """Class indices [n, k] from what the caller wrote.

    Parameters
    ----------
    targets : an index for all rows; one per row; several per row; None for each row's top class (for a one-logit head:
        the logit itself, class 1).
    logits : [n, classes].
    one_logit : whether the classes were made from a single logit.

    Raises
    ------
    UsageError
        If a class does not exist (the valid range is named) or the number of targets is not the number of rows.
    """
    n, classes = logits.shape
    if targets is None:
        return torch.ones_like(logits[:, :1], dtype=torch.long) if one_logit else logits.argmax(1, keepdim=True)
    index = as_index(targets).to(logits.device)
    shape = tuple(index.shape)
    if index.ndim == 0:
        index = index.expand(n)
    if index.ndim == 1:
        index = index[:, None]
    if index.shape[0] != n or index.shape[1] == 0:
        raise UsageError(
            f"targets have shape {shape} for {n} rows; "
            "give one index, one per row, or a list of lists with the same number of classes for each row."
        )
    bad = next((i for row in index.tolist() for i in row if not 0 <= i < classes), None)
    if bad is not None:
        raise UsageError(f"Class {bad} does not exist: the network has classes 0 to {classes - 1}.")
    return index


@dataclass(frozen=True)
class Score:
    """The number that is explained.

    Parameters
    ----------
    name : `logit`; `probability` (softmax, or sigmoid where each class stands alone); `margin`, the log-odds of the
        class (the logit less the log-sum-exp of the others; the logit itself where each class stands alone).
    against : a second class: the score is the logit less that class's ("why A rather than B?"); for a one-logit head,
        whose classes are the logit and its negative, that is twice the logit.
    softmax : whether the classes exclude each other.
    """

    name: ScoreName = "logit"
    against: int | None = None
    softmax: bool = True

    def __post_init__(self) -> None:
        if self.name not in SCORES:
            raise UsageError(f"There is no score {self.name!r}; there are {', '.join(SCORES)}.")
        if self.against is not None:
            plain = self.against.tolist() if hasattr(self.against, "tolist") else self.against  # of numpy or torch
            if isinstance(plain, bool) or not isinstance(plain, int):
                raise UsageError(f"against={self.against!r} is not a class index.")
            object.__setattr__(self, "against", plain)
        if self.against is not None and self.name != "logit":
            raise UsageError(f"against= compares two logits, so score={self.name!r} cannot be given with it.")

    def slopes(self, logits: Tensor, targets: Tensor, one_logit: bool = False) -> Tensor:
        """Derivatives [k, n, classes] of the scores of classes `targets` [n, k] by `logits` [n, classes], held constant."""
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            scores = self(leaf, targets, one_logit)
            columns = [torch.autograd.grad(column.sum(), leaf, retain_graph=True)[0] for column in scores.unbind(1)]
        return torch.stack(columns)

    def __call__(self, logits: Tensor, targets: Tensor, one_logit: bool = False) -> Tensor:
        """Scores [n, k] of classes `targets` [n, k] from `logits` [n, classes]."""
        alone = one_logit or not self.softmax
        if self.against is not None:
            if not 0 <= self.against < logits.shape[1]:
                raise UsageError(
                    f"Class {self.against} (against) does not exist: the network has classes 0 to {logits.shape[1] - 1}."
                )
            if bool((targets == self.against).any()):
                raise SelfContrastError(f"Class {self.against} cannot be explained against itself.")
            return logits.gather(1, targets) - logits[:, self.against : self.against + 1]
        if self.name == "probability":
            return (logits.sigmoid() if alone else logits.softmax(1)).gather(1, targets)
        chosen = logits.gather(1, targets)
        if self.name == "logit" or alone:
            return chosen
        others = logits[:, None, :].expand(-1, targets.shape[1], -1)
        others = others.scatter(2, targets[:, :, None], float("-inf"))
        return chosen - others.logsumexp(2)


class EveryLogit:
    """Stands where a score would: keeps all logits, so that one evaluation serves every class and every score."""

    one_logit = False

    def __call__(self, logits: Tensor, targets: Tensor, one_logit: bool = False) -> Tensor:
        """All of `logits` [n, classes]; `targets` are not looked at."""
        self.one_logit = one_logit
        return logits
