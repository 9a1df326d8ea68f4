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


@replicates("smoothgrad", samples=3)
def _(toy: Toy, x: Tensor, target: int, samples: int = 25, noise: float = 0.15) -> np.ndarray:
    generator, total = torch.Generator().manual_seed(0), 0.0
    for _ in range(samples):
        z = torch.randn(x.shape[1:], generator=generator).double()
        total = total + input_jacobian(toy, x + noise * (x.max() - x.min()) * z, target)
    return total / samples
