"""How operations work on crops: one small rule for each kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from whylook.engine.incremental.patched import MOST, Pad, Patched, all_patched
from whylook.engine.incremental.regions import Region, Window, union

RULES: dict[str, Callable[..., Any]] = {}


def rule(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a rule `f(operation, *arguments)` for operations of PyTorch's ATen; NotImplemented: run them densely."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


@rule(
    "relu", "relu6", "hardtanh", "leaky_relu", "elu", "celu", "selu", "silu", "mish", "gelu", "hardswish", "hardsigmoid",
    "sigmoid", "tanh", "softplus", "log_sigmoid", "clamp", "clamp_min", "clamp_max", "neg", "abs", "exp", "sqrt", "pow",
    "square", "threshold",
)  # fmt: skip
def elementwise(operation: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Element by element, with numbers only beside the map."""
    if not isinstance(x, Patched) or any(isinstance(a, Tensor) for a in (*args, *kwargs.values())):
        return NotImplemented
    return mapped(lambda v: operation(v, *args, **kwargs), x)


@rule("detach", "alias", "lift_fresh")
def shared(operation: Any, x: Any) -> Any:
    """The same memory under another name."""
    return Patched.of(x.held) if isinstance(x, Patched) else NotImplemented


@rule("clone", "contiguous")
def copied(operation: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """The same values; crops are never written to, so they can be shared."""
    if not isinstance(x, Patched):
        return NotImplemented
    if kwargs.get("memory_format") in (None, torch.preserve_format):
        return Patched(x.run, x.clean, x.crops, x.region)
    return mapped(lambda v: operation(v, *args, **kwargs), x)


@rule("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm", "miopen_batch_norm")
def batch_norm(operation: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Normalize each channel by what was learned; the statistics of the batch itself are no business of crops."""
    training = next((a for a in args if isinstance(a, bool)), True)
    if not isinstance(x, Patched) or training:
        return NotImplemented
    empty = x.clean.new_empty(0)
    return (mapped(lambda v: operation(v, *args, **kwargs)[0], x), empty, empty.clone())


@rule("_native_batch_norm_legit_no_training")
def batch_norm_in_eval(operation: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """The same, as newer versions of PyTorch call it."""
    empty = x.clean.new_empty(0)
    return (mapped(lambda v: operation(v, *args, **kwargs)[0], x), empty, empty.clone())


@rule("add", "sub", "mul", "div", "maximum", "minimum")
def paired(operation: Any, a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
    """Two maps element by element, or a map and what is the same at every place."""
    if all_patched((a, b)) and a.clean.shape == b.clean.shape:
        return together(lambda u, v: operation(u, v, *args, **kwargs), a, b)
    x, other, swapped = (a, b, False) if isinstance(a, Patched) else (b, a, True)
    if isinstance(other, Patched) or (isinstance(other, Tensor) and not everywhere(other)):
        return NotImplemented
    return mapped(
        lambda v: operation(other, v, *args, **kwargs) if swapped else operation(v, other, *args, **kwargs), x
    )


@rule("cat")
def concatenated(operation: Any, maps: Any, dim: int = 0) -> Any:
    """Maps beside one another along the channels."""
    if dim not in (1, -3) or not all_patched(maps):
        return NotImplemented
    return together(lambda *parts: operation(list(parts), dim), *maps)


@rule("constant_pad_nd")
def padded(operation: Any, x: Any, pad: list[int], value: float = 0) -> Any:
    """More of a constant around the map."""
    if not isinstance(x, Patched) or len(pad) > 4 or min(pad) < 0:
        return NotImplemented
    left, _, top, _ = [*pad, 0, 0][:4]
    clean = x.run.clean(lambda: operation(x.clean, pad, value))
    rows, columns = x.region
    region = Region(rows.shifted(top, clean.shape[2]), columns.shifted(left, clean.shape[3]))
    return Patched(x.run, clean, x.crops, region)


@rule("convolution")
def convolution(
    operation: Any, x: Any, weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int],
    dilation: list[int], transposed: bool, output_padding: list[int], groups: int,
) -> Any:  # fmt: skip
    """A convolution in two dimensions."""
    if not isinstance(x, Patched) or transposed or weight.ndim != 4:
        return NotImplemented

    def apply(v: Tensor, around: list[int]) -> Tensor:
        made: Tensor = operation(v, weight, bias, stride, around, dilation, False, output_padding, groups)
        return made

    windows = [Window(*w) for w in zip(weight.shape[2:], stride, padding, dilation, strict=True)]
    if all(w == (1, 1, 0, 1) for w in windows):
        return mapped(lambda v: apply(v, padding), x)
    return slid(x, windows, lambda v: apply(v, padding), lambda v: apply(v, [0, 0]))


@rule("max_pool2d_with_indices")
def max_pool(
    operation: Any, x: Any, kernel: list[int], stride: Any = (), padding: Any = (0,), dilation: Any = (1,),
    ceil_mode: bool = False,
) -> Any:  # fmt: skip
    """The maximum over windows; the indices are not given."""
    if not isinstance(x, Patched):
        return NotImplemented
    kernel, stride, padding, dilation = (_two(v) for v in (kernel, stride or kernel, padding, dilation))
    windows = [Window(*w) for w in zip(kernel, stride, padding, dilation, strict=True)]
    made = slid(
        x,
        windows,
        lambda v: operation(v, kernel, stride, padding, dilation, ceil_mode)[0],
        lambda v: operation(v, kernel, stride, [0, 0], dilation, False)[0],
        outside=-math.inf,
    )
    return made, torch.empty(0, dtype=torch.long)


@rule("avg_pool2d")
def avg_pool(
    operation: Any, x: Any, kernel: list[int], stride: Any = (), padding: Any = (0,), ceil_mode: bool = False,
    count_include_pad: bool = True, divisor: int | None = None,
) -> Any:  # fmt: skip
    """The mean over windows, where all of them have the same number of elements."""
    padding = _two(padding)
    if not isinstance(x, Patched) or ceil_mode or (any(padding) and not count_include_pad and divisor is None):
        return NotImplemented
    kernel, stride = _two(kernel), _two(stride or kernel)
    windows = [Window(*w, 1) for w in zip(kernel, stride, padding, strict=True)]
    return slid(
        x,
        windows,
        lambda v: operation(v, kernel, stride, padding, False, True, divisor),
        lambda v: operation(v, kernel, stride, [0, 0], False, True, divisor),
    )


def mapped(function: Callable[[Tensor], Tensor], x: Patched) -> Patched:
    """Apply what works place by place to the clean map and to the crops."""
    return Patched(x.run, x.run.clean(lambda: function(x.clean)), function(x.crops), x.region)


def together(function: Callable[..., Tensor], *maps: Patched) -> Tensor:
    """Apply what works place by place on several maps."""
    first = maps[0]
    clean = first.run.clean(lambda: function(*(m.clean for m in maps)))
    region = Region(*(reduce(union, (m.region[i] for m in maps)) for i in (0, 1)))
    return Patched(first.run, clean, function(*(m.within(region) for m in maps)), region)


def slid(
    x: Patched,
    windows: list[Window],
    whole: Callable[[Tensor], Tensor],
    inside: Callable[[Tensor], Tensor],
    outside: float = 0.0,
) -> Tensor:
    """Apply what works on sliding windows.

    Parameters
    ----------
    x : the maps.
    windows : along rows and columns.
    whole : the operation on a whole map, with its padding.
    inside : the operation without padding.
    outside : the value of the padding.
    """
    clean = x.run.clean(lambda: whole(x.clean))
    sizes = clean.shape[2:]
    spans = [x.region[i].through(windows[i], sizes[i]) for i in (0, 1)]
    region = Region(*spans)
    if region.share >= MOST:
        return whole(x.full())
    (tops, height), (lefts, width) = (span.needed(w) for span, w in zip(spans, windows, strict=True))
    # Behind the map as far as the last window reaches: with ceil_mode that is more than the padding.
    after = [
        max(0, (size - 1) * w.stride + w.reach - w.padding - n)
        for size, w, n in zip(sizes, windows, x.clean.shape[2:], strict=True)
    ]
    pad = Pad((windows[0].padding, windows[1].padding), (after[0], after[1]), outside)
    return Patched(x.run, clean, inside(x.part(tops, lefts, (height, width), pad)), region)


def everywhere(value: Tensor) -> bool:
    """Whether a tensor beside maps [b, c, h, w] is the same for every row and place."""
    shape = (1,) * max(0, 4 - value.ndim) + tuple(value.shape)
    return value.ndim <= 4 and shape[0] == shape[2] == shape[3] == 1


def _two(value: Any) -> list[int]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values * 2 if len(values) == 1 else values
