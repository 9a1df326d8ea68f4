"""Class activation maps."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from references.common import layer, logit, refuses, replicates
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


@replicates("eigengrad-cam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, G = layer(toy, x, target)
    matrix = (A * G).reshape(A.shape[0], -1).T
    _, _, vt = np.linalg.svd(matrix, full_matrices=False)
    projected = matrix @ vt[0]
    if (projected * matrix.sum(1)).sum() < 0:
        projected = -projected
    return projected.reshape(A.shape[1:])


NOT_POOLED = (
    "in-place-behind",
    "reused-relu",
    "tokens",
    "transformer",
    "flatten-head",
)  # something else than GAP and a linear layer


@replicates("cam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, _ = layer(toy, x, target)
    linear = next(m for m in toy.head.modules() if isinstance(m, nn.Linear))
    weight = linear.weight.detach().numpy()
    w = (weight[0] if target else -weight[0]) if toy.classes == 2 else weight[target]
    return sum(w[c] * A[c] for c in range(len(w)))


refuses("cam", NOT_POOLED, "global average pooling and one linear layer")


def replaced(toy: Toy, x: Tensor, change: Callable[[Tensor], None]) -> Tensor:
    """Logits when the layer's activation, as [1, c, h, w], is changed in place."""
    with torch.no_grad():
        activation = toy.features(x.clone()).clone()
        change(toy.grid(activation))  # a view of it
        return toy.head(activation)


@replicates("score-cam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, _ = layer(toy, x, target)
    with torch.no_grad():
        empty = float(logit(toy, toy(torch.zeros_like(x)), target))
        increases = []
        for channel in A:
            up = nn.functional.interpolate(torch.as_tensor(channel)[None, None], x.shape[2:], mode="bilinear")[0, 0]
            spread = up.max() - up.min()
            mask = (up - up.min()) / spread if spread > 0 else torch.zeros_like(up)
            increases.append(float(logit(toy, toy(x * mask), target)) - empty)
    weight = np.exp(increases) / np.exp(increases).sum()
    return np.maximum(np.einsum("c,chw->hw", weight, A), 0)


@replicates("ablation-cam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, _ = layer(toy, x, target)
    with torch.no_grad():
        S = float(logit(toy, toy(x.clone()), target))
    out = np.zeros(A.shape[1:])
    for c in range(len(A)):
        without = float(logit(toy, replaced(toy, x, lambda a, c=c: a[:, c].zero_()), target))
        out += (S - without) / abs(S) * A[c]
    return np.maximum(out, 0)


@replicates("recipro-cam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, _ = layer(toy, x, target)

    def only(a: Tensor, at: tuple[int, int] | None) -> None:
        kept = a[:, :, at[0], at[1]].clone() if at else None
        a.zero_()
        if at:
            a[:, :, at[0], at[1]] = kept

    empty = float(logit(toy, replaced(toy, x, lambda a: only(a, None)), target))
    out = np.zeros(A.shape[1:])
    for at in np.ndindex(*out.shape):
        out[at] = float(logit(toy, replaced(toy, x, lambda a, at=at: only(a, at)), target)) - empty
    return out


@replicates("finer-cam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    with torch.no_grad():
        output = toy(x.clone())
        z = [float(logit(toy, output, c)) for c in range(toy.classes)]
    similar = sorted((c for c in range(toy.classes) if c != target), key=lambda c: abs(z[c] - z[target]))[:3]
    A, G = layer(toy, x, target)
    G = G - 0.6 * np.mean([layer(toy, x, c)[1] for c in similar], 0)
    return np.maximum(np.einsum("c,chw->hw", G.mean((1, 2)), A), 0)


@replicates("fem", deviations=1.0)
def _(toy: Toy, x: Tensor, target: int, deviations: float = 2.0) -> np.ndarray:
    A, _ = layer(toy, x, target)
    out = np.zeros(A.shape[1:])
    for a in A:
        for at in np.ndindex(*a.shape):
            if a[at] >= a.mean() + deviations * a.std() and a[at] > a.min():
                out[at] += a.mean()
    return out


@replicates("kpca-cam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    A, _ = layer(toy, x, target)
    cells = A.reshape(A.shape[0], -1).T
    z = cells - cells.mean(0)
    n = len(z)
    K = np.array([[np.tanh(a @ b / len(a) + 1) for b in z] for a in z])
    H = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(H @ K @ H)
    component = vectors[:, -1] * np.sqrt(values[-1])
    return (component * np.sign(component @ cells.sum(1))).reshape(A.shape[1:])


@replicates("shapley-cam")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    with torch.no_grad():
        activation = toy.features(x.clone()).clone()
    way = torch.zeros_like(activation)
    toy.grid(way).copy_(toy.grid(activation))  # a class token is not on the grid, and stays as it is
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        _, along = torch.autograd.functional.hvp(lambda a: logit(toy, toy.head(a.clone()), target), activation, way)
    A, G = layer(toy, x, target)
    weights = (G - toy.grid(along)[0].numpy() / 2).mean((1, 2))
    return np.maximum(np.einsum("c,chw->hw", weights, A), 0)


@replicates("layer-integrated-gradients", steps=3)
def _(toy: Toy, x: Tensor, target: int, steps: int = 20) -> np.ndarray:
    with torch.no_grad():
        end, start = (toy.features(v.clone()).clone() for v in (x, torch.zeros_like(x)))
    first, start = start, end.clone()
    toy.grid(start).copy_(toy.grid(first))  # a class token is not on the grid, and stays as it is
    total = 0.0
    for i in range(steps):
        point = start + (i + 0.5) / steps * (end - start)
        total = total + torch.autograd.functional.jacobian(lambda a: logit(toy, toy.head(a.clone()), target), point)
    return toy.grid(total / steps * (end - start))[0].sum(0).numpy()


def seen_through(toy: Toy, x: Tensor, target: int, noise: Tensor | float, shown: float) -> np.ndarray:
    """The score's increase over the empty picture through each channel's mask."""
    A, _ = layer(toy, x, target)
    empty = float(logit(toy, toy(torch.zeros_like(x)), target))
    increases = []
    for channel in A:
        up = nn.functional.interpolate(torch.as_tensor(channel)[None, None], x.shape[2:], mode="bilinear")[0, 0]
        up = up + noise * (up.max() - up.min())
        spread = up.max() - up.min()
        mask = (up - up.min()) / spread if spread > 0 else torch.zeros_like(up)
        increases.append(float(logit(toy, toy(x * mask * shown), target)) - empty)
    return np.array(increases)


def softmaxed(toy: Toy, x: Tensor, target: int, increases: np.ndarray) -> np.ndarray:
    A, _ = layer(toy, x, target)
    weight = np.exp(increases) / np.exp(increases).sum()
    return np.maximum(np.einsum("c,chw->hw", weight, A), 0)


@replicates("is-cam", steps=3)
@torch.no_grad()
def _(toy: Toy, x: Tensor, target: int, steps: int = 10) -> np.ndarray:
    increases = [seen_through(toy, x, target, 0.0, i / steps) for i in range(1, steps + 1)]
    return softmaxed(toy, x, target, np.mean(increases, 0))


@replicates("ss-cam", samples=2)
@torch.no_grad()
def _(toy: Toy, x: Tensor, target: int, samples: int = 10, noise: float = 0.15) -> np.ndarray:
    generator, increases = torch.Generator().manual_seed(0), []
    for _ in range(samples):
        z = torch.randn(1, *x.shape[2:], generator=generator).double()[0]
        increases.append(seen_through(toy, x, target, noise * z, 1.0))
    return softmaxed(toy, x, target, np.mean(increases, 0))
