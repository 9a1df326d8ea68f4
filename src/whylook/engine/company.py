"""Whether the rows of a batch change one another, so that each has to be run by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from whylook.engine.blackbox import BlackBox
from whylook.engine.folding.calls import READERS
from whylook.engine.generators import drawn_from
from whylook.engine.guard import guarded, modules_of
from whylook.engine.targets import class_logits

_KNOWN: WeakKeyDictionary[nn.Module, tuple[tuple[object, ...], bool]] = WeakKeyDictionary()


def mixes_rows(network: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    """Whether what a network says of a row depends on the rows beside it, even in eval mode.

    It does with statistics of the batch, and may where the forward looks at values to decide what it does. Asked once
    per network and shape of input: of a row of noise, alone and beside another. A network that draws random numbers
    never says the same twice, and is not told by this.

    Parameters
    ----------
    network : the module; untouched afterwards.
    inputs : as they will be given, each [n, …]; their values do not matter. Without any only modules are looked at.
    """
    if isinstance(network, BlackBox):
        return False
    modules = modules_of(network)
    if any(_uses_batch_statistics(m) for m in modules):
        return True
    if not inputs:
        return False
    key = (*((tuple(x.shape[1:]), x.dtype, x.device) for x in inputs), *map(id, modules))
    known = _KNOWN.get(network)
    if known is None or known[0] != key:
        with guarded(network, inputs[0].device), torch.no_grad():
            known = (key, _asked(network, inputs))
        _KNOWN[network] = known
    return known[1]


def _asked(network: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    generator, reader = torch.Generator().manual_seed(0), _Reader()
    noise = [torch.randn(2, *x.shape[1:], generator=generator).to(x) for x in inputs]
    try:
        with reader:
            both = class_logits(network(*(x.clone() for x in noise)), 2)[0]
        if reader.reads:
            return True
        if drawn_from(inputs[0].device, 0):  # as `guarded` has seeded them
            return False
        alone = class_logits(network(*(x[:1].clone() for x in noise)), 1)[0]
    except Exception:  # noqa: BLE001 - it takes one row only, or no noise: nothing is known, and it speaks for itself
        return False
    bound = torch.finfo(both.dtype).eps ** 0.5 * both.abs().max()
    return bool(((both[:1] - alone).abs() > bound).any())


class _Reader(TorchFunctionMode):
    """Notes whether values of a tensor are brought to Python, where all rows together may decide what is run."""

    reads = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.reads = self.reads or func in READERS
        return func(*args, **(kwargs or {}))


def _uses_batch_statistics(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None
