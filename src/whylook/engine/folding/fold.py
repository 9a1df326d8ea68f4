"""The table of other weights, and the mode that hands them out while the network runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import ref

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from whylook.engine.folding.calls import BATCH_NORM, METADATA, WEIGHTED, argument, tensors_in
from whylook.engine.folding.linear import as_linear, is_whole_kernel
from whylook.engine.folding.record import Norm, Weighted, norm_of


class MisfoldError(RuntimeError):
    """The network did not do what it did when it was recorded."""


@dataclass(frozen=True, eq=False)
class Entry:
    """What a call gets instead of its own weight and bias; `norm` is the batch norm that is then left out."""

    weight: Tensor
    bias: Tensor | None
    norm: Norm | None
    whole: bool


@dataclass(frozen=True, eq=False)
class Fold:
    """How a network is run faster.

    Parameters
    ----------
    entries : by the name of the weight.
    channels_last : whether inputs with four axes are laid out so.
    largest, total : bytes per row of the largest activation, and of all.
    precision : what convolutions and the linear layers of tokens compute in, or None for the network's own.
    """

    entries: Mapping[str, Entry]
    channels_last: bool
    largest: int
    total: int
    precision: torch.dtype | None = None

    def run(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
        """The network's output at `inputs`; run inside `guarded`.

        Raises
        ------
        MisfoldError
            If the network does something else than when it was recorded; then it has to be run as it is.
        """
        if self.channels_last:
            inputs = tuple(x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for x in inputs)
        if not self.entries and self.precision is None:
            return network(*inputs)
        names = {id(t): name for name, t in tensors_of(network).items()}
        mode = _Table(self.entries, names, coarse=self.precision is not None)
        autocast = torch.autocast(
            inputs[0].device.type, self.precision, self.precision is not None, cache_enabled=False
        )
        with autocast, mode:
            output = network(*inputs)
        if mode.pending:
            raise MisfoldError("an output of a folded layer did not reach its batch norm")
        return output


class _Table(TorchFunctionMode):
    """Hands out the entries; what a folded layer puts out may go to its batch norm and nowhere else.

    The network is given a stand-in for that output, with the same memory. Its batch norm turns it into the output
    itself, and whoever reads the stand-in before or afterwards is noticed.
    """

    def __init__(self, entries: Mapping[str, Entry], names: Mapping[int, str], *, coarse: bool) -> None:
        super().__init__()
        self._table = {i: entries[name] for i, name in names.items() if name in entries}
        self._names, self._coarse = names, coarse
        self.pending: dict[int, tuple[Tensor, Tensor, Norm]] = {}
        self._spent: dict[int, ref[Tensor]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if (self.pending or self._spent) and func not in METADATA:
            if func is BATCH_NORM and id(args[0]) in self.pending:
                stand_in, out, wanted = self.pending.pop(id(args[0]))
                if norm_of(args, kwargs, self._names) != wanted:
                    raise MisfoldError(f"another batch norm than {wanted.mean} reads a folded layer")
                self._spent[id(stand_in)] = ref(stand_in)
                return out
            if any(self._is_stand_in(t) for t in tensors_in((args, kwargs))):
                raise MisfoldError("a folded layer has another reader than its batch norm")
        if func is F.linear and self._coarse and argument(args, kwargs, 0, "input").ndim == 2:
            return self._head(args, kwargs)
        entry = self._table.get(id(argument(args, kwargs, 1, "weight"))) if func in WEIGHTED else None
        if entry is None:
            return func(*args, **kwargs)
        x = argument(args, kwargs, 0, "input")
        if entry.whole and is_whole_kernel(args, kwargs):
            out = as_linear(x, entry.weight, entry.bias)
        else:
            rest = {k: v for k, v in kwargs.items() if k not in ("input", "weight", "bias")}
            out = func(x, entry.weight, entry.bias, *args[3:], **rest)
        return self._handed_out(out, entry)

    def _is_stand_in(self, tensor: Tensor) -> bool:
        known = self._spent.get(id(tensor))
        return id(tensor) in self.pending or (known is not None and known() is tensor)

    def _handed_out(self, out: Tensor, entry: Entry) -> Tensor:
        if entry.norm is None:
            return out
        stand_in = out.detach()  # what goes on is `out`: an operation in place on a view would cost a copy
        self.pending[id(stand_in)] = (stand_in, out, entry.norm)
        return stand_in

    def _head(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
        """A linear layer of whole rows in its own precision: rounded logits would hide small differences of scores."""
        x, weight = argument(args, kwargs, 0, "input"), argument(args, kwargs, 1, "weight")
        found = self._table.get(id(weight))
        weight, bias = (found.weight, found.bias) if found else (weight, argument(args, kwargs, 2, "bias"))
        with torch.autocast(x.device.type, enabled=False):
            out = F.linear(x.to(weight.dtype), weight, bias)
        return out if found is None else self._handed_out(out, found)


def entry(
    tensors: Mapping[str, Tensor], name: str, call: Weighted, *, channels_last: bool, dtype: torch.dtype | None
) -> Entry:
    """Fold, lay out and convert one weight; what is not changed is shared with the network."""
    weight = tensors[name].detach()
    bias = None if call.bias is None else tensors[call.bias].detach()
    if call.norm is not None:
        weight, bias = _folded(tensors, weight, bias, call.norm)
    if channels_last and weight.ndim == 4 and not call.whole:
        weight = weight.contiguous(memory_format=torch.channels_last)
    if dtype is not None:
        weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
    return Entry(weight, bias, call.norm, call.whole)


def _folded(tensors: Mapping[str, Tensor], weight: Tensor, bias: Tensor | None, norm: Norm) -> tuple[Tensor, Tensor]:
    """Weight and bias of γ (W x + b − μ) / √(σ² + ε) + β as one layer; its scale in float64."""
    mean, var = tensors[norm.mean].detach().double(), tensors[norm.var].detach().double()
    scale = (var + norm.eps).rsqrt()
    if norm.gamma is not None:
        scale = scale * tensors[norm.gamma].detach().double()
    shift = -mean if bias is None else bias.double() - mean
    shift = shift * scale
    if norm.beta is not None:
        shift = shift + tensors[norm.beta].detach().double()
    per_output = scale.to(weight.dtype).view(-1, *[1] * (weight.ndim - 1))
    return weight * per_output, shift.to(weight.dtype)


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}
