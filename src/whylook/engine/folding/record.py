"""One recorded forward: which batch norm follows which weight with nothing between, and how large activations are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import ref

from torch import Tensor
from torch.overrides import TorchFunctionMode

from whylook.engine.folding.calls import BATCH_NORM, CONVOLUTIONS, METADATA, READERS, WEIGHTED, argument, tensors_in
from whylook.engine.folding.linear import is_whole_kernel


@dataclass(frozen=True)
class Norm:
    """A batch norm in eval mode, by the names of its tensors."""

    mean: str
    var: str
    gamma: str | None
    beta: str | None
    eps: float


@dataclass(frozen=True)
class Weighted:
    """A call of a convolution or linear layer, by the names of its tensors."""

    bias: str | None
    norm: Norm | None
    axes: int  # of the weight
    grouped: bool
    whole: bool  # the kernel covers the whole map


class Recorder(TorchFunctionMode):
    """Records calls while it is entered; run one forward of one row inside.

    Parameters
    ----------
    names : of the network's parameters and buffers, by identity.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self._names = names
        self._uses: Counter[str] = Counter()
        self._calls: dict[str, Weighted] = {}
        self._outputs: dict[int, tuple[ref[Tensor], str]] = {}  # of weighted calls
        self._spoiled: set[str] = set()  # weights whose output has another reader than one batch norm
        self.reads_values = False
        self.largest = self.total = 0  # bytes of one call's output, of all

    def calls(self) -> dict[str, Weighted]:
        """What can be replaced, by the weight's name: called once, with tensors of the network's own."""
        kept = {n: c for n, c in self._calls.items() if self._uses[n] == 1}
        return {n: _without_norm(c) if n in self._spoiled else c for n, c in kept.items()}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in METADATA:
            return func(*args, **kwargs)
        self.reads_values = self.reads_values or func in READERS
        read = {name for t in tensors_in((args, kwargs)) if (name := self._made_by(t)) is not None}
        if func is BATCH_NORM and (name := self._made_by(args[0])) is not None:
            norm = norm_of(args, kwargs, self._names)
            if norm is not None and self._calls[name].norm is None and _fits(args[0], self._calls[name]):
                call = self._calls[name]
                self._calls[name] = Weighted(call.bias, norm, call.axes, call.grouped, call.whole)
                read.discard(name)
        self._spoiled |= read
        result = func(*args, **kwargs)
        for t in tensors_in(result):
            size = t.numel() * t.element_size()
            self.largest, self.total = max(self.largest, size), self.total + size
        if func in WEIGHTED and isinstance(result, Tensor):
            self._note(func, args, kwargs, result)
        return result

    def _note(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> None:
        weight, bias = argument(args, kwargs, 1, "weight"), argument(args, kwargs, 2, "bias")
        name = self._names.get(id(weight))
        if name is None:
            return
        self._uses[name] += 1
        if bias is not None and id(bias) not in self._names:
            self._uses[name] += 1  # a bias made on the way: not ours to replace
        grouped = func in CONVOLUTIONS and (argument(args, kwargs, 6, "groups") or 1) > 1
        whole = func in CONVOLUTIONS and is_whole_kernel(args, kwargs)
        self._calls[name] = Weighted(
            None if bias is None else self._names.get(id(bias)), None, weight.ndim, grouped, whole
        )
        self._outputs[id(result)] = (ref(result), name)

    def _made_by(self, tensor: Tensor) -> str | None:
        known = self._outputs.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None


def norm_of(args: tuple[Any, ...], kwargs: Mapping[str, Any], names: Mapping[int, str]) -> Norm | None:
    """The batch norm of a call, where it uses stored statistics and tensors of the network's own, by their `names`."""
    given = [argument(args, kwargs, i, n) for i, n in enumerate(("running_mean", "running_var", "weight", "bias"), 1)]
    mean, var, gamma, beta = (None if t is None else names.get(id(t)) for t in given)
    if argument(args, kwargs, 5, "training") or mean is None or var is None:
        return None
    if (given[2] is not None and gamma is None) or (given[3] is not None and beta is None):
        return None
    eps = argument(args, kwargs, 7, "eps")
    return Norm(mean, var, gamma, beta, 1e-5 if eps is None else float(eps))


def _fits(output: Tensor, call: Weighted) -> bool:
    """Whether axis 1, which a batch norm normalizes, is the axis of the weight's outputs: it is not for tokens."""
    return call.axes > 2 or output.ndim == 2


def _without_norm(call: Weighted) -> Weighted:
    return Weighted(call.bias, None, call.axes, call.grouped, call.whole)
