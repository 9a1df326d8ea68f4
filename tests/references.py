"""Dense references: each method once more, from its paper, in loops or numpy, without the engine.

A reference takes the toy apart (`head(features(x))`), differentiates with `torch.autograd.functional.jacobian`, and
knows nothing of hooks, layers, batches or several classes: one row in, one map out.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toys import Toy

REFERENCES: dict[str, Callable[..., Any]] = {}


def replicates(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        REFERENCES[name] = function
        return function

    return register


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


@replicates("gradient")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    jacobian = input_jacobian(toy, x, target)
    out = np.zeros(jacobian.shape[1:])
    for i, j in np.ndindex(*out.shape):
        out[i, j] = max(abs(v) for v in jacobian[:, i, j])
    return out


@replicates("input-x-gradient")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    return x[0].numpy() * input_jacobian(toy, x, target)


@replicates("smoothgrad")
def _(toy: Toy, x: Tensor, target: int, samples: int = 25, noise: float = 0.15) -> np.ndarray:
    generator, total = torch.Generator().manual_seed(0), 0.0
    for _ in range(samples):
        z = torch.randn(x.shape[1:], generator=generator).double()
        total = total + input_jacobian(toy, x + noise * (x.max() - x.min()) * z, target)
    return total / samples


@replicates("grad-cam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, G = layer(toy, x, target)
    out = np.zeros(A.shape[1:])
    for a, g in zip(A, G, strict=True):
        out += g.mean() * a
    return np.maximum(out, 0)


@replicates("grad-cam++")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, G = layer(toy, x, target)
    out = np.zeros(A.shape[1:])
    for a, g in zip(A, G, strict=True):
        weight = 0.0
        for i, j in np.ndindex(*a.shape):
            below = 2 * g[i, j] ** 2 + a.sum() * g[i, j] ** 3
            weight += (g[i, j] ** 2 / below if below else 0.0) * max(g[i, j], 0)
        out += weight * a
    return np.maximum(out, 0)


@replicates("hirescam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, G = layer(toy, x, target)
    return np.maximum(np.einsum("chw,chw->hw", A, G), 0)


@replicates("layercam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, G = layer(toy, x, target)
    return np.maximum(np.einsum("chw,chw->hw", A, np.maximum(G, 0)), 0)


@replicates("xgrad-cam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, G = layer(toy, x, target)
    out = np.zeros(A.shape[1:])
    for a, g in zip(A, G, strict=True):
        if a.sum() != 0:
            out += (g * a / a.sum()).sum() * a
    return np.maximum(out, 0)


@replicates("eigen-cam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, _ = layer(toy, x, target)
    matrix = A.reshape(A.shape[0], -1).T
    _, _, vt = np.linalg.svd(matrix, full_matrices=False)
    projected = matrix @ vt[0]
    if (projected * matrix.sum(1)).sum() < 0:
        projected = -projected
    return projected.reshape(A.shape[1:])
