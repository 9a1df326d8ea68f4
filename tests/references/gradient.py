"""Gradient family."""

import numpy as np
import torch
from torch import Tensor

from references.common import input_jacobian, replicates
from toys import Toy


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


def noisy(toy: Toy, x: Tensor, target: int, samples: int, noise: float = 0.15) -> np.ndarray:
    """Gradients [samples, …] at noisy copies."""
    generator, found = torch.Generator().manual_seed(0), []
    for _ in range(samples):
        z = torch.randn(x.shape[1:], generator=generator).double()
        found.append(input_jacobian(toy, x + noise * (x.max() - x.min()) * z, target))
    return np.stack(found)


@replicates("smoothgrad", samples=3)
def _(toy: Toy, x: Tensor, target: int, samples: int) -> np.ndarray:
    return sum(noisy(toy, x, target, samples)) / samples


@replicates("smoothgrad-squared", samples=3)
def _(toy: Toy, x: Tensor, target: int, samples: int) -> np.ndarray:
    return sum(g * g for g in noisy(toy, x, target, samples)) / samples


@replicates("vargrad", samples=3)
def _(toy: Toy, x: Tensor, target: int, samples: int) -> np.ndarray:
    found = noisy(toy, x, target, samples)
    mean = sum(found) / samples
    return sum((g - mean) ** 2 for g in found) / samples
