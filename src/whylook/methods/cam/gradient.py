"""Channels weighted by gradients of the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whylook.methods.cam.grid import mean, total
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
    return (mean(G) * A).sum(1).relu()


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
    below = 2 + total(A) * G  # α with G² taken out of the fraction: powers of small gradients would vanish
    alpha = (1 / below).where(below != 0, 0.0)
    return (total(alpha * G.relu()) * A).sum(1).relu()


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
    sums = total(A)
    weight = (total(G * A) / sums).where(sums != 0, 0.0)
    return (weight * A).sum(1).relu()
