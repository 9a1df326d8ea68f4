"""Which operations are activations, and of which kind: the lists that several rules read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

# By the name PyTorch dispatches, without the underscore of the in-place variant.
RECTIFIERS = ("relu", "relu6", "leaky_relu", "prelu", "rrelu")
CLIPPING = ("hardtanh", "threshold", "_threshold", "clamp", "clip", "clamp_min")  # rectifiers with the right limits
SMOOTH = {
    "silu": "SiLU", "gelu": "GELU", "mish": "Mish", "hardswish": "Hardswish", "elu": "ELU", "selu": "SELU",
    "celu": "CELU", "softplus": "Softplus", "tanh": "Tanh", "softsign": "Softsign", "tanhshrink": "Tanhshrink",
    "hardshrink": "Hardshrink", "softshrink": "Softshrink", "logsigmoid": "LogSigmoid", "hardtanh": "Hardtanh",
}  # fmt: skip
GATES = {"sigmoid": "Sigmoid", "hardsigmoid": "Hardsigmoid"}
# The same as nodes of autograd's graph: what was not seen on its way there (inside a compiled module), or has no rule.
NATIVE_RECTIFIERS = ("Relu", "Hardtanh", "Threshold", "LeakyRelu", "PreluKernel", "RreluWithNoise")
NATIVE_SMOOTH = {
    "Silu": "SiLU", "Gelu": "GELU", "Mish": "Mish", "Hardswish": "Hardswish", "Elu": "ELU", "Softplus": "Softplus",
    "Tanh": "Tanh", "LogSigmoid": "LogSigmoid", "Hardshrink": "Hardshrink", "Softshrink": "Softshrink", "Glu": "GLU",
}  # fmt: skip
NEITHER = {
    "Softmax": "softmax", "NativeLayerNorm": "layer norm", "NativeGroupNorm": "group norm", "Sigmoid": "Sigmoid",
    "Hardsigmoid": "Hardsigmoid",
}  # fmt: skip
NATIVE_COMPARISONS = ("Where", "Maximum", "Minimum", "Abs", "Sgn", "Fmax", "Fmin")
COMPARISONS = (
    "gt",
    "ge",
    "lt",
    "le",
    "where",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "sign",
    "abs",
    "abs_",
    "heaviside",
)


def both(names: Any) -> tuple[str, ...]:
    """Names and those of their in-place variants."""
    return tuple(v for n in names for v in (n, n + "_"))


def plain(func: Callable[..., Any]) -> str:
    """Name of an operation without the underscores of variants."""
    return str(getattr(func, "__name__", "")).strip("_")


def rectifies(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether an activation, with these limits, is one that lets nothing below zero pass (or, if leaky, little)."""
    name = plain(func)
    if name in RECTIFIERS:
        return True
    if name not in (plain_name.strip("_") for plain_name in CLIPPING):
        return False
    if any(isinstance(a, Tensor) for a in (*args[1:], *(v for k, v in kwargs.items() if k != "input"))):
        return False
    given = {k: v for k, v in kwargs.items() if k != "input"}
    with torch.no_grad():
        low, none, high = func(torch.tensor([-1.0, 0.0, 1e-3]), *args[1:], **given).tolist()
    return bool(low == 0 and none == 0 and high > 0)
