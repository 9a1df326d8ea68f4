"""Class activation maps."""

import numpy as np
from torch import Tensor

from references.common import layer, replicates
from toys import Toy


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
