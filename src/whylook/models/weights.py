"""Files of weights: reading them without running what is in them, and telling whether they fit a network."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from whylook.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")
# Where training scripts put the state dict; averaged weights first, as timm does it.
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "network", "net", "weights")
_PREFIXES = ("module.", "model.", "_orig_mod.", "network.", "net.", "backbone.", "encoder.")
_SAVE = "torch.save(model.state_dict(), 'weights.pth')"

# In-place functions that only write values.
_INITIAL = frozenset({"normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_", "xavier_normal_",
    "xavier_uniform_", "orthogonal_", "constant_", "ones_", "zeros_", "zero_", "fill_", "erfinv_", "mul_", "add_",
    "clamp_", "copy_"})  # fmt: skip
_FINGERPRINTS: WeakKeyDictionary[nn.Module, tuple[object, str]] = WeakKeyDictionary()
_HASHING = Lock()


@dataclass(frozen=True)
class Weights:
    """What a file of weights holds.

    Parameters
    ----------
    state : tensors by name.
    metadata : what a safetensors file says of itself.
    notes : what was unwrapped.
    """

    state: dict[str, Tensor]
    metadata: Mapping[str, str]
    notes: tuple[str, ...] = ()


def read(path: Path) -> Weights:
    """Read a state dict from a safetensors file, or from a PyTorch file with weights only; no code in it is run.

    Raises
    ------
    ModelError
        If it is not there, damaged, or holds more than weights.
    """
    try:
        if not path.exists():
            raise ModelError(f"The checkpoint {path} is not there.")
        if path.is_dir():
            raise ModelError(f"The checkpoint {path} is a folder; give the file in it.")
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise ModelError(f"The checkpoint {path} cannot be opened: {error.strerror}.") from error
    if not head:
        raise ModelError(f"The checkpoint {path} is empty.")
    if head.startswith(b"version https://git-lfs"):
        raise ModelError(f"The checkpoint {path} is a Git LFS pointer; fetch the file itself with `git lfs pull`.")
    if path.suffix.lower() == ".onnx":
        raise ModelError(f"{path} is an ONNX file, which needs no architecture: give it as the model, -m {path}.")
    if head.startswith(b"\x89HDF"):
        raise ModelError(f"The checkpoint {path} is a Keras (HDF5) file, which does not hold a PyTorch state dict.")
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        return _safetensors(path)
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return _torch(path)
    raise ModelError(f"The checkpoint {path} is neither a safetensors file nor a PyTorch file ({_SAVE}).")


def _safetensors(path: Path) -> Weights:
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
        return Weights(load_file(path), metadata)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"The checkpoint {path} is damaged, or not a safetensors file: {error}.") from error


def _torch(path: Path) -> Weights:
    import argparse
    import pickle

    import torch

    # timm's training script stores its arguments beside the weights; a Namespace runs no code
    allowed = getattr(torch.serialization, "safe_globals", lambda _: nullcontext())  # since PyTorch 2.5
    try:
        with allowed([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is raised
            try:
                stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError as error:
                if "mmap can only be used" not in str(error):
                    raise
                stored = torch.load(path, map_location="cpu", weights_only=True)  # the format before PyTorch 1.6
    except pickle.UnpicklingError as error:
        raise ModelError(_refusal(path, str(error))) from error
    except Exception as error:
        if "TorchScript" in str(error):
            raise ModelError(
                f"The checkpoint {path} is a TorchScript program, which may run any code; save its weights instead: "
                "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')."
            ) from error
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise ModelError(f"The checkpoint {path} is damaged, or not a PyTorch file: {reason}.") from error
    state, notes = _unwrapped(stored)
    if not state:
        kind = type(stored).__name__
        if isinstance(stored, Mapping):
            kind = f"a dict of {', '.join(map(str, list(stored)[:5])) or 'nothing'}"
        raise ModelError(f"The checkpoint {path} holds no state dict but {kind}; save one with {_SAVE}.")
    return Weights(state, {}, notes)


def _refusal(path: Path, message: str) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", message) or re.search(r"[Uu]nsupported class ([\w.]+)", message)
    what = found.group(1) if found else "Python objects"
    if what.rpartition(".")[2][:1].isupper() or "torch.nn" in message:
        return (
            f"The checkpoint {path} holds a pickled {what}, not only weights; loading it could run any code, so it is "
            f"refused. Where you trust it, load it and save a state dict: {_SAVE}."
        )
    return (
        f"The checkpoint {path} holds {what} beside its weights; loading that could run any code, so it is refused. "
        "Where you trust it, load it and save only the state dict: torch.save(checkpoint['state_dict'], 'weights.pth')."
    )


def _unwrapped(stored: Any) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    import torch

    notes: list[str] = []
    while isinstance(stored, Mapping):
        tensors = {str(k): v for k, v in stored.items() if isinstance(v, torch.Tensor)}
        inner = next((k for k in _WRAPPERS if isinstance(stored.get(k), Mapping)), None)
        if inner is None:
            return tensors, tuple(notes)
        notes.append(f"The weights are those under {inner!r} in the file.")
        stored = stored[inner]
    return {}, ()


def fitted(weights: Weights, wanted: Mapping[str, Tensor], *, what: str, network: Any = None) -> Weights:
    """Bring the names of a state dict to those of a network, and check that every tensor fits.

    Parameters
    ----------
    weights : as read.
    wanted : the network's own state dict; only names and shapes are looked at.
    what : the file and the architecture, for messages.
    network : whose `pretrained_cfg` names the classifier and the first convolution, if it has one.

    Raises
    ------
    ModelError
        With the first few names that are missing, unexpected or of another shape, and how to remedy it.
    """
    state, notes = dict(weights.state), list(weights.notes)
    while True:
        stripped = {p: {k[len(p) :]: v for k, v in state.items() if k.startswith(p)} for p in _PREFIXES}
        hits = {p: len(stripped[p].keys() & wanted.keys()) for p in _PREFIXES}
        whole = [p for p in _PREFIXES if len(stripped[p]) == len(state) and not any(k.startswith(p) for k in wanted)]
        best = whole[0] if state and whole else max(_PREFIXES, key=lambda p: hits[p])
        if not (state and whole) and hits[best] <= len(state.keys() & wanted.keys()):
            break
        left = [k for k in state if not k.startswith(best)]
        state = stripped[best]
        notes.append(f"The prefix {best!r} was taken off the names in the file.")
        if left:
            notes.append(f"{_count(left, 'tensor')} outside {best!r} left aside: {_few(left)}.")
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in wanted and not k.endswith("num_batches_tracked")]
    shapes = [k for k in wanted if k in state and wanted[k].shape != state[k].shape]
    remedy = _remedy(shapes, state, wanted, network)
    if missing or unexpected:
        parts = [f"{_count(keys, 'tensor')} {word} ({_few(keys)})" for keys, word in
                 ((missing, "missing"), (unexpected, "unexpected")) if keys]  # fmt: skip
        advice = remedy or "is it another architecture, or another --arch-option?"
        raise ModelError(f"{what} do not fit: {' and '.join(parts)} of {len(wanted)}; {advice}")
    if shapes:
        first = shapes[0]
        raise ModelError(
            f"{what} do not fit: {_count(shapes, 'tensor')} of another shape ({_few(shapes)}; {first} is "
            f"{_shape(state[first])} in the file, {_shape(wanted[first])} in the network); "
            f"{remedy or 'is it another architecture, or another --arch-option?'}"
        )
    kinds = sorted({str(v.dtype).removeprefix("torch.") for k, v in state.items() if v.dtype != wanted[k].dtype}
                   if state.keys() <= wanted.keys() else set())  # fmt: skip
    if kinds:
        notes.append(f"Weights stored as {' and '.join(kinds)} are run as float32.")
    return Weights({k: v for k, v in state.items() if k in wanted}, weights.metadata, tuple(notes))


def _remedy(shapes: list[str], state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], network: Any) -> str:
    """The option that makes the head or the first convolution fit, where that is what is wrong."""
    config = getattr(network, "pretrained_cfg", None) or {}
    heads = config.get("classifier") or ""
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    weights = [k for k in wanted if wanted[k].ndim >= 2]
    names = {f"{h}.weight" for h in heads if h} or set(weights[-1:])
    advice = []
    for name in shapes:
        have, want = tuple(state[name].shape), tuple(wanted[name].shape)
        if name in names and have[1:] == want[1:]:
            advice.append(f"--num-classes {have[0]}")
        elif weights and name == weights[0] and len(have) == 4 and have[:1] + have[2:] == want[:1] + want[2:]:
            advice.append(f"--in-chans {have[1]}")
    return f"give {' and '.join(dict.fromkeys(advice))}." if advice else ""


def _count(names: list[str], noun: str) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"


def outline(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a network without memory for its tensors where it can be, for its names and shapes; else as it is."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Unset(TorchFunctionMode):
        """Leaves initial values out, which mean nothing there and cost most of the time."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            written = args[0] if args else kwargs.get("tensor")  # as torch.nn.init hands it on
            if getattr(func, "__name__", "") in _INITIAL and getattr(written, "is_meta", False):
                return written
            return func(*args, **kwargs)

    try:
        with torch.device("meta"), Unset():
            return build()
    except Exception:  # noqa: BLE001 - whatever a constructor computes may fail on the meta device
        return build()


def fill(build: Callable[[], nn.Module], state: Mapping[str, Tensor], shell: nn.Module | None = None) -> nn.Module:
    """Build a network in eval mode with the tensors of `state`, which fit it, as its weights.

    Initial values are neither computed nor overwritten where the network can be built on the meta device (`shell`, from
    `outline`). The tensors are copied out of the file, which may change later, into aligned memory: kernels round
    differently where it is not.
    """
    import torch

    network = shell if shell is not None else outline(build)
    own = network.state_dict(keep_vars=True)
    cast = {k: v.to(own[k].dtype, copy=True, memory_format=torch.contiguous_format) for k, v in state.items()}
    if own.keys() <= cast.keys():
        network.load_state_dict(cast, assign=True)
        if not _left_on_meta(network):
            return network.eval()
    network = build()  # it keeps tensors that are not in its state dict
    network.load_state_dict(cast, strict=False)  # the names were checked; counters of batches may lack
    return network.eval()


def _left_on_meta(network: nn.Module) -> bool:
    """Whether a tensor of a module, or one in a list or mapping that a module keeps, has no memory yet."""
    import torch

    def inside(value: Any) -> bool:
        if isinstance(value, torch.Tensor):
            return value.is_meta
        if isinstance(value, dict):
            return any(map(inside, value.values()))
        return isinstance(value, list | tuple) and any(map(inside, value))

    apart = vars(torch.nn.Module()).keys() - {"_parameters", "_buffers"}  # modules, which are all visited, and hooks
    return any(inside(value) for m in network.modules() for name, value in vars(m).items() if name not in apart)


def current_fingerprint(network: nn.Module) -> str:
    """The fingerprint of a network's weights as they are now; hashed again only where one of them was written to.

    What is written through `.data` raises no version counter, and isn't seen.
    """
    stamp = tuple(
        (name, t.data_ptr(), t.dtype, t.device, None if t.is_inference() else t._version)
        for name, t in network.state_dict(keep_vars=True).items()
        if hasattr(t, "data_ptr")
    )
    with _HASHING:
        known = _FINGERPRINTS.get(network)
        if known is None or known[0] != stamp:
            known = _FINGERPRINTS[network] = (stamp, fingerprint(network))
        return known[1]


def fingerprint(network: nn.Module) -> str:
    """First 12 hex digits of a SHA-256 over every name, type, shape and byte of the state dict, as it is run.

    All bytes count, in pieces of 16 MiB that are hashed side by side: about 0.5 s for the 528 MB of a VGG-16. The same
    weights have the same fingerprint, whatever file they came from and on whatever device they are.
    """
    import torch

    size = 1 << 24

    def pieces() -> Iterator[tuple[bytes, Any]]:
        for name, tensor in network.state_dict().items():
            if isinstance(tensor, torch.Tensor):
                data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
                yield f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), data[:size]
                for start in range(size, len(data), size):
                    yield b"", data[start : start + size]

    def leaf(piece: tuple[bytes, Any]) -> bytes:
        return hashlib.sha256(piece[0] + b"\0" + hashlib.sha256(piece[1]).digest()).digest()

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return hashlib.sha256(b"".join(pool.map(leaf, pieces()))).hexdigest()[:12]
