"""Transformers: attention written out head by head, and differentiated by the weights themselves."""

import numpy as np
import torch
from torch import Tensor

from references.common import logit, refuses, replicates
from toys import NAMES, Block, Toy

TRANSFORMERS = ("tokens", "transformer")
for name in ("attention-rollout", "transformer-attribution", "legrad"):
    refuses(name, [toy for toy in NAMES if toy not in TRANSFORMERS], "has no attention whose weights can be seen")


def attend(x: Tensor, weight: Tensor, bias: Tensor, nudge: Tensor) -> tuple[Tensor, Tensor]:
    """What two heads give to tokens x [t, 8], and their weights [2, t, t], to which `nudge` is added."""
    given, seen = [], []
    for h in range(2):
        rows = [slice(8 * part + 4 * h, 8 * part + 4 * h + 4) for part in range(3)]
        q, k, v = (x @ weight[r].T + bias[r] for r in rows)
        powers = torch.exp(q @ k.T / 2)
        A = powers / powers.sum(1, keepdim=True) + nudge[h]
        given.append(A @ v)
        seen.append(A)
    return torch.cat(given, 1), torch.stack(seen)


def through(block: Block, x: Tensor, nudge: Tensor) -> tuple[Tensor, Tensor]:
    out, A = attend(x, block.qkv.weight, block.qkv.bias, nudge)
    x = block.norm1(x + block.proj(out))
    return block.norm2(x + block.fc2(torch.nn.functional.gelu(block.fc1(x)))), A


def run(toy: Toy, x: Tensor, nudges: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Logits [1, 5] that the head gives to each layer's tokens, and each layer's weights."""
    if len(nudges) == 1:
        tokens = toy.features(x)[0]
        inside = toy.head.attention
        out, A = attend(tokens, inside.in_proj_weight, inside.in_proj_bias, nudges[0])
        return [toy.head.fc(toy.head.norm(tokens + inside.out_proj(out))[:1])], [A]
    first, A = through(toy.features[1], toy.features[0](x)[0], nudges[0])
    second, B = through(toy.head.block, first, nudges[1])
    return [toy.head.fc(first[:1]), toy.head.fc(second[:1])], [A, B]


def nothing(toy: Toy) -> list[Tensor]:
    """Nudges of zero, one per layer: the score's jacobian by them is its gradient by the weights."""
    layers, tokens = (2, 18) if isinstance(getattr(toy.head, "block", None), Block) else (1, 17)
    return [torch.zeros(2, tokens, tokens, dtype=torch.float64) for _ in range(layers)]


def weights(toy: Toy, x: Tensor) -> list[np.ndarray]:
    with torch.no_grad():
        return [A.numpy() for A in run(toy, x, nothing(toy))[1]]


def by_weights(toy: Toy, x: Tensor, target: int, which: int, layer: int) -> np.ndarray:
    """Gradient of the score that the head gives to layer `which`, by the weights of `layer`."""
    nudges = nothing(toy)

    def score(nudge: Tensor) -> Tensor:
        moved = [nudge if i == layer else n for i, n in enumerate(nudges)]
        return logit(toy, run(toy, x, moved)[0][which], target)

    return torch.autograd.functional.jacobian(score, nudges[layer]).numpy()


@replicates("attention-rollout")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    flow = None
    for A in weights(toy, x):
        mean = 0.5 * (A[0] + A[1]) / 2 + 0.5 * np.eye(A.shape[1])
        mean = np.array([row / row.sum() for row in mean])
        flow = mean if flow is None else mean @ flow
    return flow[0, -16:].reshape(4, 4)


@replicates("transformer-attribution")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    seen = weights(toy, x)
    R = np.eye(seen[0].shape[1])
    for i, A in enumerate(seen):
        R = R + np.maximum(by_weights(toy, x, target, -1, i) * A, 0).mean(0) @ R
    return R[0, -16:].reshape(4, 4)


@replicates("legrad")
def _(toy: Toy, x: Tensor, target: int) -> np.ndarray:
    layers = range(len(weights(toy, x)))
    maps = [np.maximum(by_weights(toy, x, target, i, i), 0).mean((0, 1)) for i in layers]
    return np.mean(maps, axis=0)[-16:].reshape(4, 4)
