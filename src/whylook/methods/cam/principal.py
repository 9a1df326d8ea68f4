"""What stands out in a layer: principal directions and unusual activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whylook.errors import UsageError
from whylook.methods.method import Needs, method

if TYPE_CHECKING:
    from torch import Tensor


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
    return _oriented(projected.squeeze(2), cells).reshape(T[:, 0].shape).to(T.dtype)


def _oriented(projected: Tensor, cells: Tensor) -> Tensor:
    """`projected` [n, cells] or its negative, whichever goes along with `cells` [n, cells, c] summed over channels."""
    sign = (projected * cells.sum(2)).sum(1, keepdim=True).sign()
    return projected * sign.where(sign != 0, 1.0)


@method(
    "kpca-cam",
    title="KPCA-CAM",
    needs=Needs(layer=True),
    space="layer",
    signed=True,
    class_specific=False,
    paper="arXiv:2410.00267",
    formula="√λ · v, v the first eigenvector of the cells' centered kernel matrix, tanh(⟨a, b⟩ / c + 1) of activations a, b",
    cost="1 forward, and an eigenvalue problem of the layer's cells",
    limits="Does not know the target: it shows what tells the layer's cells apart most, whatever class it speaks for. The "
    "sigmoid kernel saturates where activations are large.",
    prefer="Where Eigen-CAM's one straight direction does not tell the object from its surroundings.",
)
def kpca_cam(A: Tensor, *, kernel: str = "sigmoid") -> Tensor:
    """First kernel principal component of the layer's cells, activations centered first.

    The sign of a component is open; it is chosen so that the map's inner product with the activation summed over channels is
    positive: what is bright is where the layer is active.

    Parameters
    ----------
    kernel : `sigmoid`, tanh(⟨a, b⟩ / c + 1); or `rbf`, exp(−|a − b|² / c), for c channels.

    Returns
    -------
    [n, *grid], signed, with mean zero.
    """
    import torch

    if kernel not in ("sigmoid", "rbf"):
        raise UsageError(f"kpca-cam has no kernel {kernel!r}; there are sigmoid and rbf.")
    cells = A.flatten(2).transpose(1, 2).double()  # [n, cells, c]
    centered = cells - cells.mean(1, keepdim=True)
    inner = centered @ centered.mT / cells.shape[2]
    if kernel == "sigmoid":
        alike = (inner + 1).tanh()
    else:
        own = inner.diagonal(dim1=1, dim2=2)
        alike = (2 * inner - own[:, :, None] - own[:, None, :]).exp()
    rows = alike.mean(1, keepdim=True)
    values, vectors = torch.linalg.eigh(alike - rows - rows.mT + rows.mean(2, keepdim=True))
    component = vectors[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()
    return _oriented(component, cells).reshape(A[:, 0].shape).to(A.dtype)


@method(
    "fem",
    title="FEM",
    needs=Needs(layer=True),
    space="layer",
    signed=True,
    class_specific=False,
    paper="doi:10.1109/IPTA50016.2020.9286629",
    formula="Σ_c mean(A_c) · [A_c ≥ mean(A_c) + deviations · std(A_c)]",
    cost="1 forward",
    limits="Does not know the target. On a coarse grid few cells are two deviations above the mean: 7 × 7 cells leave one "
    "or two of each channel.",
    prefer="To see where channels respond unusually strongly, without gradients.",
)
def fem(A: Tensor, *, deviations: float = 2.0) -> Tensor:
    """Where channels are unusually active, each weighted by its mean activation.

    Parameters
    ----------
    deviations : how many standard deviations above its mean a channel counts as unusually active.

    Returns
    -------
    [n, *grid]; 0 or more on rectified layers.
    """
    channels = A.flatten(2)
    mean, spread = channels.mean(2), channels.std(2, correction=0)
    # Where a channel is the same everywhere no cell stands out, whatever rounding says.
    strong = (channels >= (mean + deviations * spread)[:, :, None]) & (channels > channels.amin(2, keepdim=True))
    return (mean[:, :, None] * strong).sum(1).reshape(A[:, 0].shape)
