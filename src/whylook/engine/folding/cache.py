"""One fold per network, made when it is first needed and made anew when a weight has changed."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks

from whylook.engine.folding.fold import Fold, MisfoldError, entry, tensors_of
from whylook.engine.folding.record import Recorder, Weighted
from whylook.engine.generators import preserved, seed_all
from whylook.engine.guard import modules_of
from whylook.engine.targets import class_logits

# How far the folded network's logits may be from its own, as a share of the largest.
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.1, torch.float16: 0.1}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True, eq=False)
class _Kept:
    key: tuple[object, ...]
    stamp: tuple[object, ...]
    sums: Tensor
    fold: Fold | None


_KEPT: WeakKeyDictionary[nn.Module, _Kept] = WeakKeyDictionary()
_LOCK = Lock()


def prepare(network: nn.Module, inputs: tuple[Tensor, ...], precision: torch.dtype | None = None) -> Fold | None:
    """Find out how `network` is run faster at inputs of this shape; run inside `guarded`.

    Costs two forwards of one row (of fixed noise) the first time; afterwards a look at the weights, whether they are
    still the same. The answer depends on the network and the inputs' shapes, never on their values.

    Parameters
    ----------
    network : the module; nothing is put on it.
    inputs : as they will be given, each [n, …].
    precision : `torch.bfloat16` to compute convolutions and linear layers in, or None.

    Returns
    -------
    Fold, or None where the network has to be run as it is: with hooks on its modules (they would see other values),
    compiled, with control flow that reads values, without weights, or where the folded logits differ.
    """
    if not _open(network):
        return None
    key = (precision, *((tuple(x.shape[1:]), x.dtype, x.device) for x in inputs), *map(id, modules_of(network)))
    tensors = tensors_of(network)
    if not tensors:  # nothing of its own to be replaced: a black box, or a function in a module
        return None
    stamp = tuple((name, t.data_ptr(), None if t.is_inference() else t._version) for name, t in tensors.items())
    with _LOCK, torch.no_grad():
        sums = _sums(tensors, inputs[0].device)
        kept = _KEPT.get(network)
        if kept is not None and kept.key == key and kept.stamp == stamp and torch.equal(kept.sums, sums):
            return kept.fold
        with preserved(inputs[0].device):
            fold = _made(network, inputs, tensors, precision)
        _KEPT[network] = _Kept(key, stamp, sums, fold)
        return fold


def _open(network: nn.Module) -> bool:
    """Whether calls inside the network can be seen and replaced without anybody noticing."""
    if any(vars(module_hooks).get(f"_global{name}") for name in _HOOKS):
        return False
    for m in modules_of(network):
        if isinstance(m, torch.jit.ScriptModule) or type(m).__name__ == "OptimizedModule":
            return False
        if getattr(m, "_compiled_call_impl", None) is not None or any(vars(m).get(name) for name in _HOOKS):
            return False
    return True


def _sums(tensors: dict[str, Tensor], device: torch.device) -> Tensor:
    """One number per tensor: a change through `.data` raises no version counter.

    Every place has a weight of its own, for the plain sum of a tensor stays the same when its values change places.
    """
    wanted = [t.detach() for t in tensors.values() if t.is_floating_point() and t.device == device and t.numel()]
    wanted = [t if t.dtype in (torch.float32, torch.float64) else t.float() for t in wanted]
    if not wanted:
        return torch.zeros(0)
    tables = [t.reshape(t.shape[0] if t.ndim > 1 else 1, -1) for t in wanted]
    longest = max(max(t.shape) for t in tables)
    weights = torch.rand(longest + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(device) + 0.5
    by_type = {dtype: weights.to(dtype) for dtype in {t.dtype for t in tables}}
    sums = []
    for t in tables:
        w = by_type[t.dtype]
        # Shifted, so that rows and columns do not weigh alike and a transposed table tells.
        rows = torch.mv(t, w[longest + 1 - t.shape[1] :])
        sums.append(torch.dot(rows, w[: t.shape[0]]))
    return torch.stack([s.double() for s in sums]).cpu()


def _made(
    network: nn.Module, inputs: tuple[Tensor, ...], tensors: dict[str, Tensor], precision: torch.dtype | None
) -> Fold | None:
    noise = torch.Generator().manual_seed(0)
    row = tuple(torch.randn(1, *x.shape[1:], generator=noise).to(x) for x in inputs)
    recorder = Recorder({id(t): name for name, t in tensors.items()})
    try:
        plain = _logits(lambda *x: _recorded(network, recorder, x), row)
    except Exception:  # noqa: BLE001 - whatever it is, the network as delivered will raise it, or not, by itself
        return None
    if recorder.reads_values:
        return None
    calls = recorder.calls()
    for channels_last in (True, False) if _helps(calls, inputs[0]) else (False,):
        needed = {
            name: call for name, call in calls.items()
            if call.norm or call.whole or (channels_last and call.axes == 4) or (precision is not None and call.axes > 2)
        }  # fmt: skip
        entries = {
            name: entry(tensors, name, call, channels_last=channels_last, dtype=precision if call.axes > 2 else None)
            for name, call in needed.items()
        }
        fold = Fold(entries, channels_last, recorder.largest, recorder.total, precision)
        try:
            again = _logits(lambda *x, fold=fold: fold.run(network, x), row)
        except (MisfoldError, RuntimeError):  # a `view` that channels-last tensors cannot give, say
            continue
        off = float((again - plain).abs().max()) if again.shape == plain.shape else float("inf")
        if off <= _TOLERANCE.get(precision or plain.dtype, 0.0) * float(plain.abs().max()):
            return fold
    return None


def _recorded(network: nn.Module, recorder: Recorder, row: tuple[Tensor, ...]) -> Any:
    with recorder:
        return network(*row)


def _logits(run: Any, row: tuple[Tensor, ...]) -> Tensor:
    seed_all(row[0].device, 0)  # dropout that is always on draws the same twice
    return class_logits(run(*(x.clone() for x in row)), 1)[0].detach().to(row[0].dtype)


def _helps(calls: dict[str, Weighted], x: Tensor) -> bool:
    """Whether channels-last is faster and as exact: not for plain stacks of large kernels such as VGG's."""
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    return any(c.axes == 4 and (c.norm is not None or c.grouped) for c in calls.values())
