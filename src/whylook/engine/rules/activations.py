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
    "Celu": "CELU", "Erf": "error function", "Sin": "sine", "Cos": "cosine",
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
    """Whether an activation, with these limits, is one that lets nothing below zero pass (or, if leaky, little).

    Limits may be tensors, if they are the same for all values in that respect.
    """
    name = plain(func)
    if name in RECTIFIERS:
        return True
    if name not in (plain_name.strip("_") for plain_name in CLIPPING):
        return False
    low, none, high = answers(func, args, kwargs, (-1.0, 0.0, 1e-3))
    return bool((low == 0).all() and (none == 0).all() and (high > 0).all())


def answers(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], values: tuple[float, ...]
) -> Tensor:
    """What an activation, with the limits it was called with, makes of some values, [values, …] for limits […]."""
    given = {k: v for k, v in kwargs.items() if k not in ("input", "inplace")}
    limits = [v for v in (*args[1:], *given.values()) if isinstance(v, Tensor)]
    like = sum(map(torch.zeros_like, limits), torch.zeros(()))
    with torch.no_grad():
        return torch.stack([func(torch.full_like(like, v), *args[1:], **given) for v in values])
