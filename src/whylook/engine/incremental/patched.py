"""A batch of maps that differ from one clean map in a rectangle each, and go through a network as such."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

from whylook.engine.incremental.regions import Region, Starts

MOST = 0.9  # share of a map from which on all of it is computed


class Run:
    """What all batches of one picture share: what operations make of clean maps, by operation and arguments."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[Any, list[Tensor]]] = {}
        self._used: set[tuple[Any, ...]] = set()
        self._call: tuple[tuple[Any, ...], list[Tensor]] = ((), [])

    def start(self) -> None:
        """Begin a batch; what the last one had no use for, such as of weights that are made anew each time, is dropped."""
        self._known = {key: self._known[key] for key in self._used}
        self._used = set()

    def enter(self, func: Any, args: Any, kwargs: Any) -> None:
        """Note the operation that is followed now, by its clean arguments."""
        leaves, how = tree_flatten((args, kwargs))  # `how` tells lists of other lengths apart: ([2], []) and ([], [2])
        leaves = [leaf.clean if isinstance(leaf, Patched) else leaf for leaf in leaves]
        key = (func, str(how), *(_state(v) if isinstance(v, Tensor) else (type(v), v) for v in leaves))
        self._call = (key, [leaf for leaf in leaves if isinstance(leaf, Tensor)])  # kept, so that no id is used again

    def clean(self, make: Callable[[], Any]) -> Any:
        """What the operation makes of its clean arguments, computed the first time."""
        key, kept = self._call
        if key not in self._known:
            self._known[key] = (make(), kept)
        self._used.add(key)
        return self._known[key][0]


@dataclass(eq=False)
class Held:
    """What a `Patched` holds, and those that share its memory with it."""

    run: Run
    clean: Tensor
    crops: Tensor
    region: Region
    dense: Tensor | None = None


def _state(tensor: Tensor) -> tuple[int, int]:
    """Which tensor it is, and how often it was written to; those made under `inference_mode` do not count that."""
    return id(tensor), -1 if tensor.is_inference() else tensor._version


class Patched(torch.Tensor):
    """Looks like a tensor [b, c, h, w], and holds one clean map [1, c, h, w] and a crop [b, c, h', w'] for each row.

    Operations that have a rule (`whylook.engine.incremental.rules`) work on crops; for any other it becomes the dense tensor
    that it stands for, and stays that where the result may share its memory.
    """

    held: Held

    @staticmethod
    def __new__(cls, run: Run, clean: Tensor, crops: Tensor, region: Region) -> Patched:
        """Make one; `region` has a rectangle for each row."""
        return cls.of(Held(run, clean, crops, region))

    @classmethod
    def of(cls, held: Held) -> Patched:
        """Make one that shares what it holds with others, so that each sees what is done in place to another."""
        clean = held.clean
        shape = (held.crops.shape[0], *clean.shape[1:])
        made: Patched = torch.Tensor._make_wrapper_subclass(cls, shape, dtype=clean.dtype, device=clean.device)
        made.held = held
        return made

    @property
    def run(self) -> Run:
        """What all batches of one picture share."""
        return self.held.run

    @property
    def clean(self) -> Tensor:
        """The map [1, c, h, w] without any change."""
        return self.held.clean

    @property
    def crops(self) -> Tensor:
        """What has changed, [b, c, h', w']."""
        return self.held.crops

    @property
    def region(self) -> Region:
        """Where the crops lie."""
        return self.held.region

    @property
    def dense(self) -> Tensor | None:
        """The tensor [b, c, h, w], once this has become one."""
        return self.held.dense

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def become(self, other: Tensor) -> None:
        """Take over the value of `other`, after an operation in place."""
        mine = self.held
        if isinstance(other, Patched) and other.dense is None:
            mine.clean, mine.crops, mine.region, mine.dense = other.clean, other.crops, other.region, None
        else:
            mine.dense = other.dense if isinstance(other, Patched) else other

    def full(self) -> Tensor:
        """The tensor [b, c, h, w] that this stands for."""
        if self.dense is not None:
            return self.dense
        rows, columns = self.region
        if (rows.length, columns.length) == (rows.size, columns.size):
            return self.crops
        out = self.clean.expand(self.shape).clone(memory_format=torch.preserve_format)
        _paste(out, self.crops, rows.starts, columns.starts)
        return out

    def part(self, tops: Starts, lefts: Starts, size: tuple[int, int], pad: Pad | None = None) -> Tensor:
        """Rectangles [b, c, *size] of it that begin at `tops` and `lefts` of the padded map."""
        source = self.clean if pad is None else pad(self.clean)
        top, left = (0, 0) if pad is None else pad.before
        out = self.crops.new_empty((len(tops), self.clean.shape[1], *size)).to(memory_format=layout(self.crops))
        for i, (y, x) in enumerate(zip(tops.tolist(), lefts.tolist(), strict=True)):
            out[i] = source[0, :, y : y + size[0], x : x + size[1]]
        rows, columns = self.region
        _paste(out, self.crops, rows.starts + top - tops, columns.starts + left - lefts)
        return out

    def within(self, region: Region) -> Tensor:
        """Its crops of a region that holds its own."""
        if region.same(self.region):
            return self.crops
        return self.part(region.rows.starts, region.columns.starts, (region.rows.length, region.columns.length))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override] # PyTorch's own stub lacks the operation
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Follow the rule of an operation, or run it on dense tensors."""
        from whylook.engine.incremental.rules import RULES

        kwargs = kwargs or {}
        name = func._schema.name.partition("::")[2]
        in_place = func._schema.is_mutable
        rule = RULES.get(name.removesuffix("_"))
        if rule is not None and not (in_place and not name.endswith("_")):
            opened = tree_map(_open, args)
            crops = next((v for v in tree_leaves(opened) if isinstance(v, Patched)), None)
            if crops is not None:
                crops.run.enter(func, opened, kwargs)
            result = rule(func if not in_place else _pure(func), *opened, **kwargs)
            if result is not NotImplemented:
                if in_place:
                    args[0].become(result)
                    return args[0]
                return result
        return _densely(func, args, kwargs)


@dataclass(frozen=True)
class Pad:
    """Padding of the last two axes with one value."""

    before: tuple[int, int]
    after: tuple[int, int]
    value: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        """The padded map."""
        (top, left), (bottom, right) = self.before, self.after
        if not any((*self.before, *self.after)):
            return x
        return torch.nn.functional.pad(x, (left, right, top, bottom), value=self.value)


def layout(x: Tensor) -> torch.memory_format:
    """Whether channels come last in memory."""
    last = x.ndim == 4 and x.stride(1) == 1 and x.shape[1] > 1
    return torch.channels_last if last else torch.contiguous_format


def _open(value: Any) -> Any:
    """A `Patched` that has become dense is seen as what it is."""
    return value.dense if isinstance(value, Patched) and value.dense is not None else value


def _pure(func: Any) -> Any:
    """The operation that returns what one in place writes."""
    packet = getattr(torch.ops.aten, func._schema.name.partition("::")[2].removesuffix("_"))
    return getattr(packet, func._overloadname)


def _densely(func: Any, args: Any, kwargs: Any) -> Any:
    shares = any(a.alias_info is not None for a in func._schema.arguments)

    def dense(value: Any) -> Any:
        if not isinstance(value, Patched):
            return value
        whole = value.full()
        if shares:  # what is written through the result must be seen here, too, and in no copy that shares the crops
            whole = whole.clone() if whole is value.crops else whole
            value.held.dense = whole
        return whole

    result = func(*tree_map(dense, args), **tree_map(dense, kwargs))
    written = [i for i, a in enumerate(func._schema.arguments) if a.alias_info is not None and a.alias_info.is_write]
    if written and len(func._schema.returns) == 1 and written[0] < len(args) and isinstance(args[written[0]], Patched):
        return args[written[0]]
    return result


def _paste(into: Tensor, crops: Tensor, tops: Starts, lefts: Starts) -> None:
    """Write `crops` [b, c, h, w] into `into` at one place for each row; what lies outside is cut off."""
    places = np.stack([tops, lefts], 1)
    h, w = crops.shape[2:]
    for place in np.unique(places, axis=0):
        which = np.flatnonzero((places == place).all(1))
        (y, x), (height, width) = place.tolist(), into.shape[2:]
        y0, x0, y1, x1 = max(y, 0), max(x, 0), min(y + h, height), min(x + w, width)
        if y0 >= y1 or x0 >= x1:
            continue
        inside = crops[:, :, y0 - y : y1 - y, x0 - x : x1 - x]
        if len(which) == len(places):
            into[:, :, y0:y1, x0:x1] = inside
        else:
            for i in which.tolist():
                into[i, :, y0:y1, x0:x1] = inside[i]


def all_patched(values: Sequence[Any]) -> bool:
    """Whether all of these still have crops, and of maps of one size."""
    return all(isinstance(v, Patched) for v in values) and len({v.clean.shape[2:] for v in values}) == 1
