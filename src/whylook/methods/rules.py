"""Methods with a backward pass of their own: rules stand in for the gradient of single operations.

Throughout, X [b, n, …] is the input and what it is compared with, and M the multipliers that came back to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whylook.errors import Unsupported
from whylook.methods.method import Needs, method

if TYPE_CHECKING:
    from torch import Tensor


@method(
    "guided-backprop",
    title="Guided backpropagation",
    needs=Needs(rules="guided-backprop"),
    space="input",
    signed=False,
    channels="abs-max",
    paper="arXiv:1412.6806",
    formula="∂S/∂x, but at each rectifier f the signal g goes back as f′(z) · max(g, 0)",
    cost="1 forward, 1 backward",
    limits="Sharp because it partly reconstructs the picture (arXiv:1805.07039): it looks much the same for every class and "
    "for random weights. Has a meaning for rectifiers only.",
    prefer="To see which fine structures the network's rectifiers respond to, not why one class rather than another.",
)
def guided_backprop(M: Tensor) -> Tensor:
    """Gradient through rectifiers that let only positive signals back.

    Returns
    -------
    [n, …], signed (the sign of the change that would raise the signal), no unit.
    """
    return M[0]


@method(
    "deconvnet",
    title="Deconvolutional network",
    needs=Needs(rules="deconvnet"),
    space="input",
    signed=False,
    channels="abs-max",
    paper="arXiv:1311.2901",
    formula="∂S/∂x, but at each rectifier the signal g goes back as max(g, 0), whatever passed forward",
    cost="1 forward, 1 backward",
    limits="Ignores which rectifiers were active, so only the max pooling's switches tie it to this picture. "
    "Has a meaning for rectifiers only.",
    prefer="For comparison with older work; guided-backprop shows the same, sharper.",
)
def deconvnet(M: Tensor) -> Tensor:
    """Signal sent back through rectified transposed convolutions and the pooling's switches.

    Returns
    -------
    [n, …], signed, no unit.
    """
    return M[0]


@method(
    "guided-grad-cam",
    title="Guided Grad-CAM",
    needs=Needs(layer=True, rules="guided-backprop"),
    space="input",
    signed=False,
    channels="abs-max",
    paper="arXiv:1610.02391",
    formula="guided backpropagation · Grad-CAM, bilinearly enlarged to the input",
    cost="2 forwards, 1 backward to the layer, 1 to the input",
    limits="Which class it speaks for comes from Grad-CAM alone; the fine structure is guided backpropagation's, with its "
    "weakness: it partly reconstructs the picture. Has a meaning for rectifiers only.",
    prefer="For figures that show place and structure in one.",
)
def guided_grad_cam(A: Tensor, G: Tensor, M: Tensor) -> Tensor:
    """Guided backpropagation where Grad-CAM has evidence for the target.

    Returns
    -------
    [n, c, *spatial], signed, no unit.
    """
    from torch.nn.functional import interpolate

    from whylook.methods.cam import grad_cam

    modes: dict[int, Any] = {1: "linear", 2: "bilinear", 3: "trilinear"}
    axes, x = A.ndim - 2, M[0]
    if x.ndim != A.ndim or axes not in modes:
        raise Unsupported(
            f"Guided Grad-CAM enlarges the layer's grid {list(A.shape[2:])} to the input's, and an input of shape "
            f"{list(x.shape)} has none like it. Use guided-backprop."
        )
    cam = interpolate(grad_cam(A, G)[:, None], x.shape[2:], mode=modes[axes], align_corners=False)
    return x * cam
