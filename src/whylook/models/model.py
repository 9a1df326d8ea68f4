"""A network with all that is needed to feed it and to read its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

    from whylook.preprocess import Preprocess

Head = Literal["softmax", "sigmoid", "binary"]


@dataclass(frozen=True, eq=False)
class Model:
    """A classifier: the network, how it is fed, what its outputs are called and how they become probabilities.

    Parameters
    ----------
    name : what tables, maps and reports call it.
    network : the `torch.nn.Module`, in eval mode.
    preprocess : how a picture becomes its input.
    labels : one per class, or None.
    head : `softmax` (one class of many), `sigmoid` (each class by itself) or `binary` (one logit, classes 0 and 1).
    identity : the fingerprint, where it is not that of the weights: of a file, or empty where there is none to be had.
    source : where it came from, as the person wrote it (`timm:resnet50.tv_in1k`, `phantom:vgg`, …).
    notes : what was assumed, and what is known of its training; shown to the person.
    """

    name: str
    network: nn.Module
    preprocess: Preprocess
    labels: tuple[str, ...] | None = None
    head: Head = "softmax"
    identity: str | None = None
    source: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def fingerprint(self) -> str:
        """Short SHA-256 of the weights as they are now, found when it is first asked for; empty for a function."""
        from whylook.models.weights import current_fingerprint

        return current_fingerprint(self.network) if self.identity is None else self.identity

    def label(self, index: int) -> str:
        """Return the class's name, or `class 7` where no labels are known."""
        if self.labels is not None and 0 <= index < len(self.labels):
            return self.labels[index]
        return f"class {index}"

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities [n, classes] from logits [n, classes] (for a binary head, as made by `class_logits`)."""
        if self.head == "softmax":
            return logits.softmax(-1)
        return logits.sigmoid()
