"""Operations by kind: how they are called, and what they are named in autograd's graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from whylook.engine.rules.rule import branches, counted, is_rule, operation, words
from whylook.errors import Unsupported

# Nodes that are linear in what they take from the input: their gradient is right for every rule that is linear there.
LINEAR = words(
    """
    AccumulateGrad Add AdaptiveAvgPool2D AdaptiveAvgPool3D Addbmm Addmm Alias AsStrided AvgPool2D AvgPool3D Baddbmm Bmm Cat
    Clone ConstantPadNd Copy CopySlices Convolution ConvolutionOverrideable Cumsum Diagonal Div Expand Flip FusedDropout
    Gather Index IndexSelect MkldnnAdaptiveAvgPool2D Mean Mm Mul Mv NativeDropout Neg Permute PixelShuffle PixelUnshuffle
    ReflectionPad1D ReflectionPad2D ReflectionPad3D Repeat ReplicationPad1D ReplicationPad2D ReplicationPad3D Reshape
    ReshapeAlias Roll Rsub Select Slice Split SplitWithSizes Squeeze Stack Sub Sum T ToCopy Transpose UnsafeSplit UnsafeView
    Unbind Unfold Im2Col Unsqueeze UpsampleBicubic2D UpsampleBilinear2D UpsampleBilinear2DAa UpsampleLinear1D
    UpsampleNearest1D UpsampleNearest2D UpsampleNearest3D UpsampleNearestExact2D UpsampleTrilinear3D View
    NativeBatchNorm CudnnBatchNorm MiopenBatchNorm Movedim Linear MkldnnConvolution ThnnConv2D
    """
)
# Beyond these: their output is their gradient times their input, as for anything without a constant.
HOMOGENEOUS = words(
    """
    Relu LeakyRelu PreluKernel RreluWithNoise MaxPool2DWithIndices MaxPool3DWithIndices MaxPool2D AdaptiveMaxPool2D
    AdaptiveMaxPool3D Amax Max
    """
)
# Linear only where a single operand depends on the input (of a division: not what it is divided by).
_PRODUCTS = words(
    "Mul Div Addmm Mm Mv Bmm Baddbmm Addbmm Convolution ConvolutionOverrideable MkldnnConvolution ThnnConv2D Linear"
)
_WORDS = {
    "NativeLayerNorm": "layer norm", "NativeGroupNorm": "group norm", "LogSoftmax": "log softmax", "Softmax": "softmax",
    "LinalgVectorNorm": "vector norm", "Norm": "vector norm", "Silu": "SiLU", "Gelu": "GELU",
}  # fmt: skip

AFFINE = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear")


def unknown(nodes: list[Any], known: frozenset[str]) -> list[str]:
    """Names of those nodes that are neither `known` nor a rule's, or not linear because two operands depend on the input.

    `attention` among the known is fused attention whose queries and keys are held constant.
    """
    names = []
    for node in nodes:
        name = operation(node)
        product = name in _PRODUCTS and (branches(node) > 1 or (name == "Div" and node.next_functions[0][0] is None))
        if product:
            names.append("division by a signal" if name == "Div" else "product of two signals")
        elif name.startswith("ScaledDotProduct"):
            if "attention" not in known or any(parent is not None for parent, _ in node.next_functions[:2]):
                names.append("attention")
        elif name.endswith("BatchNorm") and getattr(node, "_saved_training", False):
            names.append("normalization by the input's own statistics")
        elif name == "Div" and getattr(node, "_saved_rounding_mode", None) is not None:
            names.append("rounding")
        elif not is_rule(node) and name not in known:
            names.append(_WORDS.get(name, name))
    return names


def refuse_unknown(title: str, nodes: list[Any], known: frozenset[str], remedy: str) -> None:
    """Raise `Unsupported` naming the operations in `nodes` for which there is no rule."""
    if names := unknown(nodes, known):
        raise Unsupported(f"{title} has no rule for what this network computes: {counted(names)}. {remedy}")


@dataclass(frozen=True, eq=False)
class Affine:
    """A convolution or fully connected layer, and what it was called with.

    Parameters
    ----------
    function : takes input, weight and bias.
    x : the input.
    weight, bias : its parameters; bias may be None.
    kind : `conv`, `transposed` or `linear`.
    """

    function: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    x: Tensor
    weight: Tensor
    bias: Tensor | None
    kind: str
    version: int
    groups: int = 1

    @classmethod
    def read(cls, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Affine:
        """Take a call apart."""
        given = dict(zip(("input", "weight", "bias"), args, strict=False)) | dict(kwargs)
        x, weight, bias = (given.pop(name, None) for name in ("input", "weight", "bias"))
        rest = args[3:]
        name = func.__name__
        kind = "linear" if name == "linear" else "transposed" if "transpose" in name else "conv"
        # Fourth behind the bias in every convolution, transposed or not.
        groups = 1 if kind == "linear" else given.get("groups", rest[3] if len(rest) > 3 else 1)
        return cls(lambda x, w, b: func(x, w, b, *rest, **given), x, weight, bias, kind, x._version, groups)

    def scaled(self, scale: Tensor, shift: Tensor) -> Affine:
        """The same followed by `scale` and `shift`, one each per output channel."""
        weight = self.weight
        if self.kind == "transposed":
            parts = weight.reshape(self.groups, -1, *weight.shape[1:])
            weight = (parts * scale.reshape(self.groups, 1, -1, *[1] * (weight.ndim - 2))).reshape(weight.shape)
        else:
            weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        bias = shift if self.bias is None else shift + scale * self.bias
        return Affine(self.function, self.x, weight, bias, self.kind, self.version, self.groups)

    def per_channel(self, bias: Tensor) -> Tensor:
        """`bias` [channels] so that it broadcasts with the output."""
        return bias if self.kind == "linear" else bias.reshape(-1, *[1] * (self.x.ndim - 2))


def batch_norm(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Tensor, Tensor, Tensor]:
    """Input, scale and shift (per channel) of a batch normalization.

    Raises
    ------
    Unsupported
        If it takes its statistics from the batch, even in eval mode.
    """
    order = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    if func is torch.batch_norm:
        order = ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps")
    given = dict(zip(order, args, strict=False)) | dict(kwargs)
    mean, var = given.get("running_mean"), given.get("running_var")
    if given.get("training") or mean is None or var is None:
        raise Unsupported(
            "A batch normalization takes its statistics from the batch even in eval mode, so no row has a map of its own. "
            "Use running statistics (track_running_stats=True), or gradient."
        )
    scale = (var + given.get("eps", 1e-5)).rsqrt()
    if given.get("weight") is not None:
        scale = scale * given["weight"]
    shift = -mean * scale
    if given.get("bias") is not None:
        shift = shift + given["bias"]
    return given["input"], scale, shift


def channelwise(values: Tensor, like: Tensor) -> Tensor:
    """`values` [c] so that they broadcast with `like` [n, c, …]."""
    return values.reshape(-1, *[1] * (like.ndim - 2))


def pullback(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Value of a linear function at `x`, and the function that takes an output's multiplier to the input's."""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        out = function(leaf)
    return out.detach(), lambda m: torch.autograd.grad(out, leaf, m, retain_graph=True)[0]


def share(of: Tensor, total: Tensor) -> Tensor:
    """`of / total`, 0 where the total is."""
    return (of / total).where(total != 0, 0.0)


MAX_POOLS = {f"{kind}max_pool{d}d": getattr(F, f"{kind}max_pool{d}d") for kind in ("", "adaptive_") for d in (1, 2, 3)}
