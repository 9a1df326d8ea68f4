"""What the families' references share."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toys import Toy

REFERENCES: dict[str, Callable[..., Any]] = {}
CHEAP: dict[str, dict[str, Any]] = {}
REFUSED: dict[tuple[str, str], str] = {}
EXCUSED: dict[tuple[str, str], str] = {}


def replicates(name: str, **cheap: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a reference `f(toy, x, target, **cheap)`; `cheap` are the parameters used in the contract test."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        REFERENCES[name], CHEAP[name] = function, cheap
        return function

    return register


def refuses(name: str, toys: Iterable[str], match: str) -> None:
    """Method `name` must raise `Unsupported` on `toys`, in words that match the pattern."""
    REFUSED.update({(name, toy): match for toy in toys})


def excuses(name: str, test: str, why: str) -> None:
    """Method `name` does not have the property by its definition; the family's own tests say what holds instead."""
    EXCUSED[name, test] = why


def logit(toy: Toy, output: Tensor, target: int) -> Tensor:
    return (output[0, 0] if target else -output[0, 0]) if toy.classes == 2 else output[0, target]


def input_jacobian(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    return torch.autograd.functional.jacobian(lambda v: logit(toy, toy(v.clone()), target), x)[0].numpy()


def layer(toy: Toy, x: Tensor, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Activation and gradient, [c, h, w] each."""
    with torch.no_grad():
        activation = toy.features(x.clone()).clone()
    gradient = torch.autograd.functional.jacobian(lambda a: logit(toy, toy.head(a.clone()), target), activation)
    return toy.grid(activation)[0].numpy(), toy.grid(gradient)[0].numpy()
