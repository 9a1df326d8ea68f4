"""What modules keep beside their parameters, and whether it is still so."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn

from whylook.engine.blackbox import BlackBox

Attributes = dict[str, Any]


class State:
    """Buffers, tensors that are none, and plain attributes of modules.

    A forward of a few milliseconds is guarded, too: what is looked at for every module is looked at in one go.

    Parameters
    ----------
    modules : whose state is noted now.
    values : whether tensors are copied, so that they can be restored.
    """

    def __init__(self, modules: Sequence[nn.Module], *, values: bool = True) -> None:
        # A scripted module keeps its attributes elsewhere; a black box is ours, and learns what its function takes.
        plain = [m for m in modules if not isinstance(m, torch.jit.ScriptModule | BlackBox)]
        self._own = [*map(vars, plain), *(buffers for m in plain if (buffers := m._buffers))]
        self._then = list(map(dict, self._own))
        tensors = [b for m in modules for _, b in m._buffers.items() if b is not None]
        attributes = self._then[: len(plain)]
        if any(issubclass(kind, Tensor) for kind in set(map(type, chain.from_iterable(map(dict.values, attributes))))):
            for own in attributes:
                tensors += [t for t in own.values() if isinstance(t, Tensor) and not isinstance(t, nn.Parameter)]
        known = {id(t): t for t in tensors}.values()
        self._tensors = [t for t in known if not t.is_inference()]
        self.inference = len(self._tensors) < len(known)  # whether some were made under `inference_mode`
        self._versions = [t._version for t in self._tensors]
        self._values = _joined(self._tensors) if values else {}
        self._shapes = [t.shape for t in self._tensors]

    def stand_in(self, modules: Sequence[nn.Module]) -> None:
        """Put copies in the place of buffers made under `inference_mode`, which autograd may not save."""
        for module in modules:
            for name, buffer in module._buffers.items():
                if buffer is not None and buffer.is_inference():
                    module._buffers[name] = buffer.clone()

    @property
    def changed(self) -> bool:
        """Whether anything is not as it was, as far as versions of tensors tell."""
        return [t._version for t in self._tensors] != self._versions or not _alike(self._own, self._then)

    def restore(self) -> None:
        """Put everything back."""
        if not _alike(self._own, self._then):
            for now, then in zip(self._own, self._then, strict=True):
                _bring(now, then)
        if [t._version for t in self._tensors] != self._versions or not self._as_before():
            for tensor, value in zip(self._tensors, self._split(), strict=True):
                if tensor.shape != value.shape or not torch.equal(tensor, value):
                    with torch.no_grad():
                        tensor.resize_(value.shape).copy_(value)

    def _as_before(self) -> bool:
        """Whether the values are, too: through `.data` no version is counted."""
        if [t.shape for t in self._tensors] != self._shapes:
            return False
        # On other devices than the CPU a look at all values would take long.
        now = _joined([t for t in self._tensors if t.device.type == "cpu"])
        return all(torch.equal(value, self._values[kind]) for kind, value in now.items())

    def _split(self) -> list[Tensor]:
        """The values that were noted, one tensor each."""
        read = dict.fromkeys(self._values, 0)
        found = []
        for tensor, shape in zip(self._tensors, self._shapes, strict=True):
            kind = tensor.dtype, tensor.device
            begin, read[kind] = read[kind], read[kind] + shape.numel()
            found.append(self._values[kind][begin : read[kind]].view(shape))
        return found


def _joined(tensors: Sequence[Tensor]) -> dict[tuple[torch.dtype, torch.device], Tensor]:
    """The values of all tensors of a kind, one after another, by kind."""
    kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    with torch.no_grad():
        return {kind: torch.cat([t.reshape(-1) for t in own]) for kind, own in kinds.items()}


def _alike(now: Sequence[Attributes], then: Sequence[Attributes]) -> bool:
    """Whether mappings hold the same objects by the same names."""
    if list(map(len, now)) != list(map(len, then)):
        return False
    # A name that is new comes last, so with as many values, all the same, only the last name can be another.
    if [next(reversed(m), None) for m in now] != [next(reversed(m), None) for m in then]:
        return False
    values = (chain.from_iterable(m.values() for m in side) for side in (now, then))
    return all(map(is_, *values))


def _bring(now: Attributes, then: Attributes) -> None:
    """Make the first mapping hold what the second does; another thread may be reading it."""
    now.update(then)
    for name in [n for n in now if n not in then]:
        del now[name]
