"""Class activation maps: the channels of one layer, weighted.

Throughout, A is the layer's activation and G the gradient of the score by it, both [n, c, *grid]; maps are [n, *grid].
Those that ask the head see one row, A [1, c, *grid], and give one map per target, [k, *grid].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from whylook.errors import Unsupported, UsageError
from whylook.methods.method import Needs, method

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
    slope = _mean(G[:, 0])
    bound = torch.finfo(A.dtype).eps ** 0.5 * G.abs().max()
    if bool(((G - slope[:, None]).abs() > bound).any()):
        raise Unsupported(
            "CAM has a meaning only where the layer feeds global average pooling and one linear layer; here the logits read "
            "the layer in another way. Use hirescam."
        )
    return (slope * math.prod(A.shape[2:]) * A[0]).sum(1)


@method(
    "grad-cam",
    title="Grad-CAM",
    needs=Needs(layer=True),
    space="layer",
    signed=False,
    paper="arXiv:1610.02391",
    formula="relu(Σ_c mean(G_c) · A_c)",
    cost="1 forward, 1 backward to the layer",
    limits="Averages each channel's gradient over the picture: right where the layer feeds global average pooling; on a "
    "flatten head (VGG) it can miss what the network reads. As coarse as the layer's grid.",
    prefer="For networks that end in global average pooling; the field's reference for where.",
)
def grad_cam(A: Tensor, G: Tensor) -> Tensor:
    """Channels weighted by their mean gradient; evidence for the target only.

    Returns
    -------
    [n, *grid], 0 or more.
    """
    return (_mean(G) * A).sum(1).relu()


@method(
    "grad-cam++",
    title="Grad-CAM++",
    needs=Needs(layer=True),
    space="layer",
    signed=False,
    paper="arXiv:1710.11063",
    formula="relu(Σ_c w_c · A_c), w_c = Σ α · relu(G), α = G² / (2 G² + G³ · Σ A)",
    cost="1 forward, 1 backward to the layer",
    limits="Its second and third derivatives are powers of the first only for the score exp(logit) of a piecewise "
    "linear network; with probability or margin scores, or smooth activations, α is a heuristic.",
    prefer="Where one class appears several times in the picture.",
)
def grad_cam_plus_plus(A: Tensor, G: Tensor) -> Tensor:
    """Channels weighted by their positive gradients, each position by α.

    The derivation holds for the score exp(logit); its common factor exp(logit) scales the map and is left out.

    Returns
    -------
    [n, *grid], 0 or more.
    """
    below = 2 + _total(A) * G  # α with G² taken out of the fraction: powers of small gradients would vanish
    alpha = (1 / below).where(below != 0, 0.0)
    return (_total(alpha * G.relu()) * A).sum(1).relu()


@method(
    "hirescam",
    title="HiResCAM",
    needs=Needs(layer=True),
    space="layer",
    signed=False,
    paper="arXiv:2011.08891",
    formula="relu(Σ_c G_c · A_c)",
    cost="1 forward, 1 backward to the layer",
    limits="Positions are weighed by a local gradient: exact where a linear head reads the layer, first order elsewhere.",
    prefer="For networks with a flatten head, where Grad-CAM can point at the wrong place.",
)
def hirescam(A: Tensor, G: Tensor) -> Tensor:
    """Activation times gradient at each position, summed over channels; evidence for the target only.

    Returns
    -------
    [n, *grid], 0 or more; equal to Grad-CAM wherever each channel's gradient is the same at every position.
    """
    return (G * A).sum(1).relu()


@method(
    "layercam",
    title="LayerCAM",
    needs=Needs(layer=True),
    space="layer",
    signed=False,
    paper="doi:10.1109/TIP.2021.3089943",
    formula="relu(Σ_c relu(G_c) · A_c)",
    cost="1 forward, 1 backward to the layer",
    limits="Leaves out the channels that speak against the target, so it shows more than the score rests on.",
    prefer="For layers before the last one, where it gives finer maps.",
)
def layercam(A: Tensor, G: Tensor) -> Tensor:
    """Activation times positive gradient at each position, summed over channels.

    Returns
    -------
    [n, *grid], 0 or more.
    """
    return (G.relu() * A).sum(1).relu()


@method(
    "xgrad-cam",
    title="XGrad-CAM",
    needs=Needs(layer=True),
    space="layer",
    signed=False,
    paper="arXiv:2008.02312",
    formula="relu(Σ_c w_c · A_c), w_c = Σ (G · A) / Σ A",
    cost="1 forward, 1 backward to the layer",
    limits="The weights divide by a channel's sum, so a layer with negative activations (before a ReLU, SiLU, GELU) can "
    "blow single channels up.",
    prefer="For rectified layers, where each channel's share adds up to its first-order effect.",
)
def xgrad_cam(A: Tensor, G: Tensor) -> Tensor:
    """Channels weighted by their gradient averaged with the activation as weight.

    Returns
    -------
    [n, *grid], 0 or more; a channel that sums to zero counts nothing.
    """
    total = _total(A)
    weight = (_total(G * A) / total).where(total != 0, 0.0)
    return (weight * A).sum(1).relu()


@method(
    "eigen-cam",
    title="Eigen-CAM",
    needs=Needs(layer=True),
    space="layer",
    signed=True,
    class_specific=False,
    paper="arXiv:2008.00299",
    formula="A · v, v the first right singular vector of A [cells, c]",
    cost="1 forward",
    limits="Does not know the target: it shows what is strongest in the layer, whatever class it speaks for. "
    "The paper leaves the sign open; here the map correlates positively with the layer's summed activation.",
    prefer="To see what the layer responds to at all, without gradients.",
)
def eigen_cam(A: Tensor) -> Tensor:
    """Activations projected on their first principal direction (not centered, as in the paper).

    The sign of a singular vector is arbitrary; it is chosen so that the map's inner product with the activation summed
    over channels is positive: what is bright is where the layer is active.

    Returns
    -------
    [n, *grid], signed; 0 or more on rectified layers.
    """
    return _principal(A)


@method(
    "eigengrad-cam",
    title="EigenGrad-CAM",
    needs=Needs(layer=True),
    space="layer",
    signed=True,
    paper="arXiv:2008.00299",
    formula="(A · G) · v, v the first right singular vector of A · G [cells, c]",
    cost="1 forward, 1 backward to the layer",
    limits="One direction of the evidence, not its sum; the sign of a singular vector is open, and here the map "
    "correlates positively with HiResCAM's. In no paper of its own: pytorch-grad-cam applies Eigen-CAM to A · G.",
    prefer="Where HiResCAM is noisy and one pattern of evidence carries the class.",
)
def eigengrad_cam(A: Tensor, G: Tensor) -> Tensor:
    """Activation times gradient, projected on its first principal direction (not centered, as in Eigen-CAM).

    The sign is chosen so that the map's inner product with the sum of A · G over channels is positive: what is bright
    speaks for the target.

    Returns
    -------
    [n, *grid], signed.
    """
    return _principal(A * G)


def _principal(T: Tensor) -> Tensor:
    """Project [n, c, *grid] on its first right singular vector, the sign that of the sum over channels: [n, *grid]."""
    from torch import linalg

    cells = T.flatten(2).transpose(1, 2).double()  # [n, cells, c]
    wide = cells.shape[1] <= cells.shape[2]
    # The smaller Gram matrix has the same first singular vector at a fraction of the cost of an SVD.
    gram = cells @ cells.mT if wide else cells.mT @ cells
    values, vectors = linalg.eigh(gram)
    first = vectors[:, :, -1:]
    projected = first * values[:, -1:, None].clamp(min=0).sqrt() if wide else cells @ first
    projected = projected.squeeze(2)
    sign = (projected * cells.sum(2)).sum(1, keepdim=True).sign()
    oriented: Tensor = projected * sign.where(sign != 0, 1.0)
    return oriented.reshape(T[:, 0].shape).to(T.dtype)


@method(
    "score-cam",
    title="Score-CAM",
    needs=Needs(layer=True, probe=True),
    space="layer",
    signed=False,
    paper="arXiv:1910.01279",
    formula="relu(Σ_c w_c · A_c), w = softmax over c of S(x · H_c) − S(0), H_c = A_c at the input's size, scaled from 0 to 1",
    cost="1 forward per channel, and 3",
    limits="Slow. Shows the network pictures dimmed by a mask, unlike those it was trained on. The softmax gives every "
    "channel a positive weight, however little it matters, and one channel nearly all where scores are far apart.",
    prefer="Where gradients are saturated or not to be trusted.",
)
def score_cam(
    x: Inputs, scores: Callable[[Inputs], Tensor], A: Tensor, *, baseline: Any = 0.0, rule: str = "softmax"
) -> Tensor:
    """Channels weighted by the score of the input seen through them.

    Parameters
    ----------
    baseline : what is seen where a mask is zero, and what the increase is measured from; zero in the paper.
    rule : `softmax`, the weights of the paper's algorithm: the increases of the score through a softmax over channels;
        or `increase`, those of its definition: the increases themselves, which may be negative.

    Returns
    -------
    [k, *grid], 0 or more; zero where no channel's mask changes the score. A channel that is the same everywhere masks
    all of the input.
    """
    import torch

    from whylook.baselines import one_like

    if rule not in ("softmax", "increase"):
        raise UsageError(f"score-cam has no rule {rule!r}; there are softmax and increase.")
    empty = one_like(baseline, x)
    nothing = scores(_through(x, empty, torch.zeros_like(A[:, :1])))
    masked = torch.cat([scores(_through(x, empty, part)) for part in torch.split(A.transpose(0, 1), _MASKS)])
    increase = masked - nothing  # [c, k]
    weight = increase
    if rule == "softmax":
        weight = increase.softmax(0) * (increase != 0).any(0)
    return torch.einsum("ck,c...->k...", weight, A[0]).relu()


_MASKS = 32  # masks made at a time


def _through(x: Inputs, empty: Inputs, channels: Tensor) -> Inputs:
    """The input seen through each of `channels` [b, 1, *grid], brought to its size and then from 0 to 1, on `empty`.

    Of several inputs those that lie on a grid of as many axes are masked, the others only repeated.
    """
    from torch.nn.functional import interpolate
    from torch.utils._pytree import tree_map

    def masked(t: Tensor, background: Tensor) -> Tensor:
        if t.ndim != channels.ndim:
            return t.expand(channels.shape[0], *t.shape[1:])
        how = {3: "linear", 4: "bilinear", 5: "trilinear"}[t.ndim]
        mask = interpolate(channels, t.shape[2:], mode=how, align_corners=False)
        axes = tuple(range(1, t.ndim))
        low, high = mask.amin(axes, keepdim=True), mask.amax(axes, keepdim=True)
        return background + (t - background) * ((mask - low) / (high - low)).where(high > low, 0.0)

    seen: Inputs = tree_map(masked, x, empty)
    return seen


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
    return (_mean(G[:, 0] - gamma * G[:, 1:].mean(1)) * A[0]).sum(1).relu()


def _total(t: Tensor) -> Tensor:
    """Sum over the grid, [n, c, 1, …]."""
    return t.sum(tuple(range(2, t.ndim)), keepdim=True)


def _mean(t: Tensor) -> Tensor:
    """Mean over the grid, [n, c, 1, …]."""
    return _total(t) / math.prod(t.shape[2:])
