"""Class activation maps: the channels of one layer, weighted.

Throughout, A is the layer's activation and G the gradient of the score by it, both [n, c, *grid]; maps are [n, *grid].
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from whylook.methods.method import Needs, method

if TYPE_CHECKING:
    from torch import Tensor


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
    below = 2 * G**2 + _total(A) * G**3
    alpha = (G**2 / below).where(below != 0, 0.0)
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
    from torch import linalg

    cells = A.flatten(2).transpose(1, 2).double()  # [n, cells, c]
    wide = cells.shape[1] <= cells.shape[2]
    # The smaller Gram matrix has the same first singular vector at a fraction of the cost of an SVD.
    gram = cells @ cells.mT if wide else cells.mT @ cells
    values, vectors = linalg.eigh(gram)
    first = vectors[:, :, -1:]
    projected = first * values[:, -1:, None].clamp(min=0).sqrt() if wide else cells @ first
    projected = projected.squeeze(2)
    sign = (projected * cells.sum(2)).sum(1, keepdim=True).sign()
    oriented: Tensor = projected * sign.where(sign != 0, 1.0)
    return oriented.reshape(A[:, 0].shape).to(A.dtype)


def _total(t: Tensor) -> Tensor:
    """Sum over the grid, [n, c, 1, …]."""
    return t.sum(tuple(range(2, t.ndim)), keepdim=True)


def _mean(t: Tensor) -> Tensor:
    """Mean over the grid, [n, c, 1, …]."""
    return _total(t) / math.prod(t.shape[2:])
