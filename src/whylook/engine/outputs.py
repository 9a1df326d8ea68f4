"""The tensor among what a module puts out."""

from __future__ import annotations

from torch import Tensor


def first_tensor(output: object) -> Tensor | None:
    """Return the tensor, or the first one of a tuple or list, that a module put out."""
    if isinstance(output, list | tuple):
        output = output[0] if output else None
    return output if isinstance(output, Tensor) else None


def with_first(output: object, tensor: Tensor) -> object:
    """Return what a module put out, with its (first) tensor replaced."""
    if not isinstance(output, list | tuple):
        return tensor
    parts = [tensor, *output[1:]]
    make = getattr(type(output), "_make", type(output))  # a named tuple takes its fields one by one
    return make(parts)
