"""What modules keep beside their parameters, and whether it is still so."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import chain
from operator import is_, itemgetter
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from whylook.engine.blackbox import BlackBox

Attributes = dict[str, Any]

# What `nn.Module` gives every module to keep its hooks in: most of what there is, and no forward puts another there.
_HOOKS = frozenset(vars(nn.Module())) - {"training", "_parameters", "_buffers", "_modules"}


# By a network, of all its modules' mappings: how many names each holds, and which. It holds no module.
_READ: WeakKeyDictionary[nn.Module, tuple[list[int], list[_Reader]]] = WeakKeyDictionary()


class State:
    """Buffers, tensors that are none, and plain attributes of modules.

    A forward of a few milliseconds is guarded, too: what is looked at for every module is looked at once, in one go.

    Parameters
    ----------
    modules : whose state is noted now.
    values : whether tensors are copied, so that they can be restored.

    Attributes
    ----------
    modules : those whose attributes are noted, which are all but scripted ones.
    inference : whether tensors among them were made under `inference_mode`.
    """

    def __init__(self, modules: Sequence[nn.Module], *, values: bool = True) -> None:
        # A scripted module keeps its attributes elsewhere; a black box is ours, and learns what its function takes.
        apart = tuple(kind for kind in set(map(type, modules)) if issubclass(kind, torch.jit.ScriptModule | BlackBox))
        plain = [m for m in modules if not isinstance(m, apart)] if apart else modules
        self.modules = plain
        attributes = [m.__dict__ for m in plain]
        buffers = [own["_buffers"] for own in attributes]
        self._empty = [own for own in buffers if not own]
        self._own = [*attributes, *filter(None, buffers)]
        self._lengths = list(map(len, self._own))
        self._note(modules[0])
        tensors = [b for own in self._then[len(plain) :] for b in own if b is not None]
        if apart:
            tensors += [b for m in modules if isinstance(m, apart) for _, b in m._buffers.items() if b is not None]
        others = self._then[: len(plain)]
        if any(issubclass(kind, Tensor) for kind in set(map(type, chain.from_iterable(others)))):
            for then in others:
                tensors += [t for t in then if isinstance(t, Tensor) and not isinstance(t, nn.Parameter)]
        known = {id(t): t for t in tensors}.values()
        found = [t for t in known if not t.is_inference()]
        self.inference = len(found) < len(known)
        kinds: dict[tuple[torch.dtype, torch.device, bool], list[Tensor]] = {}
        for t in found:
            kinds.setdefault((t.dtype, t.device, t.ndim == 0), []).append(t)
        self._kinds = list(kinds.values())
        self._tensors = list(chain.from_iterable(self._kinds))
        self._versions = [t._version for t in self._tensors]
        self._shapes = [t.shape for t in self._tensors]
        self._values = list(map(_joined, self._kinds)) if values else []
        self._settled = False

    def _note(self, network: nn.Module) -> None:
        """Read what is held, by the names that there were the last time if they still are all that there are."""
        known = _READ.get(network)
        if known is not None and known[0] == self._lengths:
            self._readers = known[1]
            if (then := self._read()) is not None:
                self._then = then
                return
        self._readers = [_reader(tuple(own)) for own in self._own]
        self._then = [reader.values(own) for reader, own in zip(self._readers, self._own, strict=True)]
        _READ[network] = self._lengths, self._readers

    def _read(self) -> list[tuple[Any, ...]] | None:
        """What is held now; None where one of the names is not there, so that, of as many, another is."""
        try:
            return [reader.values(own) for reader, own in zip(self._readers, self._own, strict=True)]
        except KeyError:
            return None

    def named(self, names: Collection[str]) -> list[tuple[nn.Module, str]]:
        """Modules that have an attribute of one of these names, and its name."""
        having = {reader: found for reader in set(self._readers) if (found := [n for n in names if n in reader.all])}
        if not having:
            return []
        return [(m, n) for m, reader in zip(self.modules, self._readers, strict=False) for n in having.get(reader, ())]

    def stand_in(self, modules: Sequence[nn.Module]) -> None:
        """Put copies in the place of buffers made under `inference_mode`, which autograd may not save."""
        if not self.inference:
            return
        for module in modules:
            for name, buffer in module._buffers.items():
                if buffer is not None and buffer.is_inference():
                    module._buffers[name] = buffer.clone()

    @property
    def changed(self) -> bool:
        """Whether anything is not as it was, as far as versions of tensors tell."""
        return [t._version for t in self._tensors] != self._versions or not self._alike()

    def settle(self) -> None:
        """Say that nothing had `changed` and nothing is run any more: then only values are compared in the end."""
        self._settled = True

    def restore(self) -> None:
        """Put everything back."""
        if not self._settled and not self._alike():
            for own in self._empty:
                own.clear()
            for own, reader, then in zip(self._own, self._readers, self._then, strict=True):
                _bring(own, reader, then)
        if [t._version for t in self._tensors] != self._versions or not self._as_before():
            values = (
                t for joined, own in zip(self._values, self._split(), strict=True) for t in torch.split(joined, own)
            )
            for tensor, shape, value in zip(self._tensors, self._shapes, values, strict=True):
                if tensor.shape != shape or not torch.equal(tensor, value.view(shape)):
                    with torch.no_grad():
                        tensor.resize_(shape).copy_(value.view(shape))

    def _alike(self) -> bool:
        """Whether the same objects are held by the same names."""
        if any(self._empty) or list(map(len, self._own)) != self._lengths:
            return False
        now = self._read()
        if now is None:
            return False
        return all(map(is_, chain.from_iterable(now), chain.from_iterable(self._then)))

    def _as_before(self) -> bool:
        """Whether the values are, too: through `.data` no version is counted."""
        if [t.shape for t in self._tensors] != self._shapes:
            return False
        # On other devices than the CPU a look at all values would take long.
        return all(
            torch.equal(_joined(now), then)
            for now, then in zip(self._kinds, self._values, strict=True)
            if then.device.type == "cpu"
        )

    def _split(self) -> list[list[int]]:
        """How many values each tensor had, by kind."""
        sizes = iter(self._shapes)
        return [[next(sizes).numel() for _ in own] for own in self._kinds]


class _Reader:
    """Reads those of a module's attributes, or of its buffers, that are noted.

    Parameters
    ----------
    names : of all of them.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.all, self.names = names, tuple(name for name in names if name not in _HOOKS)
        self.values = self._several if len(self.names) < 2 else itemgetter(*self.names)

    def _several(self, own: Attributes) -> tuple[Any, ...]:
        return tuple(own[name] for name in self.names)


_reader = lru_cache(maxsize=4096)(_Reader)  # modules of one kind have the same names


def _joined(tensors: list[Tensor]) -> Tensor:
    """The values of tensors of one kind, one after another; those of no axis, such as counters, have a kind of their own."""
    with torch.no_grad():
        if tensors[0].ndim == 0:
            return torch.stack(tensors)
        return torch.cat([t if t.ndim == 1 else t.reshape(-1) for t in tensors])


def _bring(own: Attributes, reader: _Reader, then: Sequence[Any]) -> None:
    """Make the mapping hold what it held; another thread may be reading it."""
    own.update(zip(reader.names, then, strict=True))
    for name in [n for n in own if n not in reader.all]:
        del own[name]
