"""Attention and normalizations made linear: their weights and their spread are held constant (arXiv:2202.07304)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from whylook.engine.rules.operations import pullback
from whylook.engine.rules.rule import Pull, live, replaced

_HEADS = ("query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight", "in_proj_bias", "bias_k", "bias_v",
          "add_zero_attn", "dropout_p", "out_proj_weight", "out_proj_bias", "training", "key_padding_mask", "need_weights",
          "attn_mask", "use_separate_proj_weight")  # fmt: skip


def frozen_attention(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Scaled dot product attention through its values alone."""
    order = ("query", "key", "value")
    given = dict(zip(order, args, strict=False)) | {k: v for k, v in kwargs.items() if k in order}
    rest = {k: v for k, v in kwargs.items() if k not in order}
    return func(given["query"].detach(), given["key"].detach(), given["value"], *args[3:], **rest)


def open_heads(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor | None], tuple[Tensor, Tensor | None], Tensor | None] | None:
    """Take PyTorch's multi-head attention apart.

    Returns
    -------
    Its weights [n, heads, l, s], held constant; its values' input [s, n, e]; weight and bias of the projection to values
    and of the projection of the output; and what it returns beside its output. None for forms that are not known.
    """
    given = dict(zip(_HEADS, args, strict=False)) | dict(kwargs)
    odd = any(given.get(n) is not None for n in ("bias_k", "bias_v")) or given.get("add_zero_attn")
    if odd or given.get("use_separate_proj_weight") or given["query"].ndim != 3 or given.get("training"):
        return None
    asked = {"need_weights": True, "average_attn_weights": False}
    with torch.no_grad():
        _, weights = func(**(given | asked))
    wanted = None
    if given.get("need_weights", True):
        wanted = weights.mean(1) if given.get("average_attn_weights", True) else weights
    e = given["embed_dim_to_check"]
    bias = given.get("in_proj_bias")
    into = given["in_proj_weight"][2 * e :], None if bias is None else bias[2 * e :]
    return weights, given["value"], into, (given["out_proj_weight"], given.get("out_proj_bias")), wanted


def frozen_norm(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Layer, group or root-mean-square normalization, its spread held constant."""
    name = func.__name__
    kind = {"layer_norm": "normalized_shape", "rms_norm": "normalized_shape", "group_norm": "num_groups"}[name]
    order = ("input", kind, "weight", *(() if name == "rms_norm" else ("bias",)), "eps")
    given = dict(zip(order, args, strict=False)) | dict(kwargs)
    x, weight = given["input"], given.get("weight")
    if not live(x):
        return NotImplemented
    groups = x.shape[1] if name != "group_norm" else given[kind]
    axes = 1 if name == "group_norm" else len(given[kind])

    def grouped(t: Tensor) -> Tensor:
        return t.reshape(len(t), groups, -1) if name == "group_norm" else t.flatten(-axes)

    def centered(t: Tensor) -> Tensor:
        return t if name == "rms_norm" else t - t.mean(-1, keepdim=True)

    eps = given.get("eps")
    eps = (torch.finfo(x.dtype).eps if name == "rms_norm" else 1e-5) if eps is None else eps
    spread = (centered(grouped(x.detach())).square().mean(-1, keepdim=True) + eps).rsqrt()
    if weight is not None and name == "group_norm":
        weight = weight.reshape(-1, *[1] * (x.ndim - 2))

    def linear(t: Tensor) -> Tensor:
        scaled = (centered(grouped(t)) * spread).reshape(t.shape)
        return scaled if weight is None else scaled * weight

    def build() -> tuple[Tensor, Pull]:
        value = func(**(given | {"input": x.detach()}))
        _, back = pullback(linear, x)
        return value, lambda m: (back(m),)

    return replaced("norm", build, x)
