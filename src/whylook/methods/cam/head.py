"""What the network behind the layer answers to other activations, and how it is curved."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from whylook.errors import Unsupported, UsageError
from whylook.methods.cam.grid import mean
from whylook.methods.method import Needs, Noted, method

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.head import Head
    from whylook.engine.probe import Inputs


@method(
    "cam",
    title="CAM",
    needs=Needs(layer=True, probe=True),
    space="layer",
    signed=True,
    paper="arXiv:1512.04150",
    formula="Σ_c w_c · A_c, w the weights of the linear layer behind global average pooling",
    cost="2 to 5 forwards, 1 backward to the layer",
    limits="Only where the layer feeds global average pooling and that feeds one linear layer; refused elsewhere. "
    "As coarse as the layer's grid.",
    prefer="Wherever it exists: nothing is approximated, the map's mean plus the bias is the logit.",
)
def cam(A: Tensor, head: Head) -> Tensor:
    """Channels weighted as the last linear layer weighs them.

    That the layer feeds global average pooling and one linear layer is asked of the head: its gradient has to be the
    same at every cell and at every activation. The weights are that gradient, summed over the cells. A probability or
    margin weighs the classes' maps by how it reacts to their logits.

    Returns
    -------
    [k, *grid], signed, in score units: what each cell adds to the score, times the number of cells.

    Raises
    ------
    Unsupported
        Where the head is another.
    """
    import torch

    # Zero, mirrored and stretched activations: a rectifier, a gate or an attention answers them differently.
    activations = torch.cat([A, torch.zeros_like(A), -A, 2 * A + 1])
    G = head.gradients(activations, linearized=True)  # [k, 4, c, *grid]
    slope = mean(G[:, 0])
    bound = torch.finfo(A.dtype).eps ** 0.5 * G.abs().max()
    if bool(((G - slope[:, None]).abs() > bound).any()):
        raise Unsupported(
            "CAM has a meaning only where the layer feeds global average pooling and one linear layer; here the logits read "
            "the layer in another way. Use hirescam."
        )
    return (slope * math.prod(A.shape[2:]) * A[0]).sum(1)


@method(
    "ablation-cam",
    title="Ablation-CAM",
    needs=Needs(layer=True, probe=True),
    space="layer",
    signed=False,
    paper="doi:10.1109/WACV45572.2020.9093360",
    formula="relu(Σ_c w_c · A_c), w_c = (S − S without A_c) / |S|",
    cost="2 to 4 forwards or more, the head once per channel",
    limits="Takes channels away one at a time: what two channels say twice is missed. Zero may be a value that a channel "
    "without a rectifier never has.",
    prefer="Where gradients are saturated: it measures instead of differentiating, at nearly the price of Grad-CAM.",
)
def ablation_cam(A: Tensor, head: Head) -> Tensor:
    """Channels weighted by the relative drop of the score when the channel is set to zero.

    The drop is divided by |S|, as in the paper where the score is positive; where it is negative, so that evidence for
    the target stays positive; where it is zero, not at all.

    Returns
    -------
    [k, *grid], 0 or more, in units of the layer.
    """
    import torch

    copies = torch.empty(min(head.rows, A.shape[1]), *A.shape[1:], dtype=A.dtype, device=A.device)

    def without(channels: Tensor) -> Tensor:
        ablated = copies[: len(channels)].copy_(A)  # one piece of memory for all: large ones are slow to get
        ablated[torch.arange(len(channels)), channels] = 0
        return ablated

    S = head.value
    weight = (S - _answers(head, A.shape[1], without)) / S.abs().where(S != 0, 1.0)  # [c, k]
    return torch.einsum("ck,c...->k...", weight, A[0]).relu()


@method(
    "recipro-cam",
    title="Recipro-CAM",
    needs=Needs(layer=True, probe=True),
    space="layer",
    signed=True,
    paper="arXiv:2209.14074",
    formula="S(A kept at the cell) − S(0)",
    cost="2 to 5 forwards or more, the head once per cell",
    limits="Asks the head about a layer that is empty but for one cell, which it never meets; on a flatten head or one "
    "with attention the cells' answers do not add up.",
    prefer="For a map without gradients at nearly the price of a forward.",
)
def recipro_cam(A: Tensor, head: Head) -> Tensor:
    """Score of each cell of the layer alone, without the paper's optional blur of the cell over its neighbors.

    The paper takes the softmax output (`score="probability"`) and scales the map from 0 to 1; here it is measured from
    the empty layer.

    Returns
    -------
    [k, *grid], signed, in score units.
    """
    import torch

    grid = A.shape[2:]

    def only(cells: Tensor) -> Tensor:
        kept = torch.zeros(len(cells), 1, math.prod(grid), dtype=A.dtype, device=A.device)
        kept[torch.arange(len(cells)), 0, cells] = 1
        return A * kept.reshape(-1, 1, *grid)

    increase = _answers(head, math.prod(grid), only) - head(torch.zeros_like(A))  # [cells, k]
    return increase.T.reshape(-1, *grid)


def _answers(head: Head, count: int, make: Callable[[Tensor], Tensor]) -> Tensor:
    """Scores [count, k] at the activations that `make` gives for parts of 0 … count − 1."""
    import torch

    return torch.cat([head(make(part)) for part in torch.split(torch.arange(count), head.rows)])


@method(
    "finer-cam",
    title="Finer-CAM",
    needs=Needs(layer=True, probe=True),
    space="layer",
    signed=False,
    paper="arXiv:2501.11309",
    formula="relu(Σ_c mean(G_c) · A_c), G the gradient of S − gamma · mean of S over the most similar classes",
    cost="2 or 3 forwards, 4 backwards to the layer",
    limits="Which classes are the most similar is read from this picture's logits; where they are unlike the target, "
    "it is Grad-CAM with less contrast. Grad-CAM's limits hold.",
    prefer="For fine-grained classes: what tells this bird from the birds most like it.",
)
def finer_cam(A: Tensor, head: Head, *, classes: int = 3, gamma: float = 0.6) -> Tensor:
    """Grad-CAM of the score less that of the classes whose logits are closest.

    Parameters
    ----------
    classes : how many of the closest classes are compared with, 1 or more; all others where there are fewer.
    gamma : strength of the comparison, 0 or more; 0 is Grad-CAM.

    Returns
    -------
    [k, *grid], 0 or more.
    """
    import torch

    if classes < 1 or gamma < 0:
        raise UsageError(f"finer-cam needs classes of 1 or more and gamma of 0 or more, not {classes} and {gamma}.")
    if head.score.against is not None:
        raise Unsupported(
            "Finer-CAM finds the classes to compare with by itself; for one class of your choice use grad-cam with against=."
        )
    target = head.targets[0][:, None]
    distance = (head.logits - head.logits[0][target]).abs().scatter(1, target, math.inf)  # [k, classes]
    similar = distance.sort(dim=1, stable=True).indices[:, : min(classes, distance.shape[1] - 1)]
    compared = torch.cat([target, similar], 1)
    G = head.gradients(A, compared.reshape(1, -1))[:, 0].reshape(
        *compared.shape, *A.shape[1:]
    )  # [k, 1 + classes, c, *grid]
    return (mean(G[:, 0] - gamma * G[:, 1:].mean(1)) * A[0]).sum(1).relu()


@method(
    "shapley-cam",
    title="ShapleyCAM",
    needs=Needs(layer=True, probe=True),
    space="layer",
    signed=False,
    paper="arXiv:2501.06261",
    formula="relu(Σ_c mean(G_c − ½ (H A)_c) · A_c), H the score's second derivatives by the layer",
    cost="1 or 2 forwards, 2 backwards to the layer",
    limits="Where the head is piecewise linear and the score a logit, H is zero and the map is Grad-CAM's; take "
    "score=probability or margin there. Grad-CAM's limits hold.",
    prefer="Where the score is curved in the layer: behind attention or smooth activations, or for a probability.",
)
def shapley_cam(A: Tensor, head: Head) -> Tensor:
    """Grad-CAM with half of the curvature taken off: channels' Shapley values, to second order.

    For a score that is quadratic in the layer, Σ (G − ½ H A) · A over channels and cells is S(A) − S(0).

    Returns
    -------
    [k, *grid], 0 or more.

    Raises
    ------
    Unsupported
        If PyTorch has no second derivative for what lies behind the layer.
    """
    weights = head.gradients(A) - head.curvature(A, A) / 2
    return (mean(weights[:, 0]) * A[0]).sum(1).relu()


@method(
    "layer-integrated-gradients",
    title="Layer integrated gradients",
    needs=Needs(layer=True, probe=True),
    space="layer",
    signed=True,
    paper="arXiv:1703.01365",
    formula="Σ_c (A − A₀)_c · mean of G_c on the way from A₀ to A, A₀ the layer at the baseline",
    cost="2 or 3 forwards, `steps` forwards and backwards of the head",
    limits="As coarse as the layer's grid. What goes around the layer (a class token) stays as it is in the picture, and is "
    "not shared out.",
    prefer="As a CAM that adds up: to S(x) − S(baseline) where nothing goes around the layer, whatever the head.",
)
def layer_integrated_gradients(x: Inputs, A: Tensor, head: Head, *, steps: int = 20, baseline: Any = 0.0) -> Noted:
    """Integrated gradients with the layer in the place of the input, by the midpoint rule.

    Parameters
    ----------
    steps : of the midpoint rule, 1 or more; one is exact where a linear head reads the layer.
    baseline : the input whose activation the way begins at; see `whylook.baselines`.

    Returns
    -------
    [k, *grid], signed, in score units. Facts: `residual`, by how much their sum misses the head's difference.
    """
    import torch

    from whylook.baselines import one_like

    if steps < 1:
        raise UsageError(f"layer-integrated-gradients needs steps of 1 or more, not {steps}.")
    start = head.elsewhere(one_like(baseline, x))
    way = A - start
    ratios = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    slope = torch.zeros(head.targets.shape[1], *A.shape[1:], dtype=A.dtype, device=A.device)
    for some in torch.split(ratios, min(head.rows, _STEPS)):
        points = start + some.to(A).reshape(-1, *[1] * (A.ndim - 1)) * way
        for k, of_one in enumerate(head.gradients(points)):  # one class at a time: bits must not depend on how many
            slope[k] += of_one.sum(0)
    values = (slope / steps * way).sum(1)
    gap = head(A.clone())[0] - head(start.clone())[0]
    return Noted(values, {"residual": gap - values.flatten(1).sum(1)})


_STEPS = 16  # points on the way that are differentiated at a time
