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
    limits="Ignores which rectifiers were active, so only the max pooling's switches tie it to this picture; without max "
    "pooling (MobileNet) it is much the same checkerboard for every picture. Has a meaning for rectifiers only.",
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

    from whylook.methods.cam.gradient import grad_cam

    modes: dict[int, Any] = {1: "linear", 2: "bilinear", 3: "trilinear"}
    axes, x = A.ndim - 2, M[0]
    if x.ndim != A.ndim or axes not in modes:
        raise Unsupported(
            f"Guided Grad-CAM enlarges the layer's grid {list(A.shape[2:])} to the input's, and an input of shape "
            f"{list(x.shape)} has none like it. Use guided-backprop."
        )
    cam = interpolate(grad_cam(A, G)[:, None], x.shape[2:], mode=modes[axes], align_corners=False)
    return x * cam


@method(
    "lrp",
    title="LRP",
    needs=Needs(rules="lrp"),
    space="input",
    signed=True,
    channels="sum",
    paper="doi:10.1371/journal.pone.0130140",
    formula="x · m, where each layer's rule takes the multiplier m of its output to its input",
    cost="1 forward, 1 backward (several times dearer inside; three times that with epsilon-gamma-box)",
    limits="The map depends on the composite. Biases keep a part of the score, so it adds up to the score only without them: "
    "nearly all of it in a trained MobileNetV2, hardly any in a SqueezeNet; "
    "gates (squeeze and excitation, attention weights) and a normalization's spread are held constant.",
    prefer="For maps that are less noisy than gradients and finer than CAMs, at the price of one backward.",
)
def lrp(
    X: Tensor,
    M: Tensor,
    *,
    composite: str = "epsilon-plus",
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    low: Any = None,
    high: Any = None,
) -> Tensor:
    """Layer-wise relevance: the share of each input value in the score, passed back layer by layer.

    A batch normalization right behind a layer with weights is one layer with it; one that stands alone passes relevance
    on, like every activation. Sums and means share by contribution; a maximum passes all to where it is.

    Relevance begins at the logits, with each logit times how the score reacts to it: for a logit with that logit, for a
    contrast with the two, for a margin or probability with all of them. The fact `conserved` is the share of that sum
    which reaches the input; far from 1 it comes with a warning.

    Parameters
    ----------
    X, M : [b, n, …]; b is 3 for `epsilon-gamma-box` (input, lowest, highest values), else 1.
    composite : which rule for which layer. `zero`: LRP-0 everywhere, no stabilizer (input × gradient on ReLU networks).
        `epsilon`: the epsilon rule for all layers with weights. The others have it for fully connected layers, and for
        convolutions `epsilon-plus` the plus rule (alpha 1, beta 0), `alpha-beta` alpha 2 and beta 1, and
        `epsilon-gamma-box` the gamma rule, but the box rule for the first (doi:10.1007/978-3-030-28954-6_10).
    epsilon : stabilizer of the epsilon rule, 0 or more.
    gamma : how much more positive weights count, 0 or more.
    low, high : smallest and largest possible input, as a baseline is given; None: black and white where it is known
        how pictures are prepared, otherwise the row's own smallest and largest value.

    Returns
    -------
    [n, …], signed, in score units.
    """
    return (X * M).sum(0)


@method(
    "excitation-backprop",
    title="Excitation backpropagation",
    needs=Needs(rules="excitation-backprop"),
    space="input",
    signed=True,
    channels="sum",
    paper="arXiv:1608.00507",
    formula="P(x_j) = Σ_i P(y_i) · x_j w⁺_ij / Σ_j x_j w⁺_ij, from P(target) = 1",
    cost="1 forward, 1 backward (several times dearer inside)",
    limits="Counts only what excites, never what inhibits, so maps of different classes are alike; "
    "needs activations that are never negative. Biases are no connections: where only they make a cell active (most of "
    "MobileNetV2's) the walk ends, and the map adds up to less than one.",
    prefer="To see, as a distribution that adds up to one, which input values a winner-take-all walk from the class reaches.",
)
def excitation_backprop(X: Tensor, M: Tensor) -> Tensor:
    """Probability that a walk from the class down the excitatory connections ends at each input value.

    Inputs may be negative, as normalized pictures are: they excite through negative weights.

    Returns
    -------
    [n, …], 0 or more, adding up to 1 unless the walk has nowhere to go; with `against` (and for class 0 of a one-logit
    head) the other class's map is taken away, and a margin or probability weighs all classes' maps by how it reacts to
    their logits.
    """
    return (X * M).sum(0)


@method(
    "deeplift",
    title="DeepLIFT (rescale rule)",
    needs=Needs(rules="deeplift"),
    space="input",
    signed=True,
    channels="sum",
    paper="arXiv:1704.02685",
    formula="(x − x′) · m, where a nonlinearity's multiplier is Δoutput / Δinput",
    cost="1 forward and 1 backward of twice the rows",
    limits="Tells how the score differs from the baseline's: what is like the baseline gets nothing. Two networks that "
    "compute the same function can have different maps.",
    prefer="As a fast stand-in for integrated-gradients; adds up to S(x) − S(baseline) exactly.",
)
def deeplift(X: Tensor, M: Tensor, *, baseline: Any = 0.0) -> Tensor:
    """Share of each input value in the difference of the scores of input and baseline.

    A product of two signals is shared out by the mean over the two orders in which they can change; of a maximum, what it
    changes by goes to where the larger of the two maxima is.

    A margin or probability begins with the mean of its derivatives by the logits between the baseline's and the input's.
    The fact `residual` is what the map adds up to less the difference of the scores: rounding, or the map is refused.

    Parameters
    ----------
    X, M : [2 b, n, …]: b times the input, then the b baselines.
    baseline : see `whylook.baselines`; 0 is the training set's mean color. Of several, the mean over them.

    Returns
    -------
    [n, …], signed, in score units.
    """
    return (X * M).sum(0)


@method(
    "fullgrad",
    title="FullGrad",
    needs=Needs(rules="fullgrad"),
    space="pixels",
    signed=True,
    paper="arXiv:1905.00780",
    formula="Σ_c x · ∂S/∂x + Σ over biases b of b · ∂S/∂b, enlarged",
    cost="1 forward, 1 backward (about twice as dear inside)",
    limits="The parts as they are, so that they add up to the score; the paper's saliency takes absolute values and rescales "
    "each layer before adding, which is a way of drawing them. Shares of biases without a grid lie evenly on the picture.",
    prefer="To account for the whole score, biases included.",
)
def fullgrad(X: Tensor, M: Tensor, bias: list[Tensor]) -> Tensor:
    """Share of each place in the score: its input's, and those of the biases of all layers above it.

    A probability or margin is no sum of shares: what it is beyond its linearization lies evenly on the picture.
    The fact `residual` is what the map adds up to less the score: rounding, or the map is refused.

    Parameters
    ----------
    X, M : [1, n, …].
    bias : [n, *grid] each, what the biases contributed; a cell's share is spread evenly over its part of the input.

    Returns
    -------
    [n, *spatial] ([n, d] where the input has no channels), signed, in score units; adds up to the score.

    Raises
    ------
    Unsupported
        If it does not, because the network adds constants that are no operation's bias.
    """
    from torch import from_numpy

    from whylook.geometry import overlaps

    product = (X * M)[0]
    out = product.sum(1) if product.ndim > 2 else product
    for share in bias:
        grid = share.ndim > 1
        spread = share if grid else share.reshape(-1, *[1] * (out.ndim - 1))
        for axis in range(1, out.ndim):
            matrix = from_numpy(overlaps(spread.shape[axis], out.shape[axis])).to(out)
            spread = (spread.movedim(axis, -1) @ matrix).movedim(-1, axis)
        out = out + spread
    return out
