"""Finds the layer that a CAM is read from, and how its tensor is laid out, by asking the network with one forward."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from whylook.errors import Unsupported, UsageError
from whylook.guard import guarded
from whylook.targets import class_logits

Layout = Literal["nchw", "nhwc", "tokens"]

# Their last tokens do not lie in raster order, or no single grid holds what the head reads: a CAM would be scrambled.
REFUSED = {
    "Hiera": "its tokens lie in the order of nested windows, not of the picture's rows",
    "CoaT": "its head reads the class tokens of three grids at once",
    "CrossVit": "its head reads two token grids of different patch sizes",
    "TNT": "its head reads the class token of an outer transformer over inner ones",
    "Perceiver": "its latents have no place in the picture",
}
_NO_FEATURE = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.Identity, nn.Softmax,
               nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
               nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Layer:
    """A module whose output lies on a spatial grid.

    Parameters
    ----------
    name : dotted name in the network.
    module : the module.
    layout : `nchw`, `nhwc` (any number of spatial axes) or `tokens`.
    grid : the spatial shape.
    prefix : for tokens, how many (class, register, distillation) come before the grid's.
    """

    name: str
    module: nn.Module
    layout: Layout
    grid: tuple[int, ...]
    prefix: int = 0

    def spatial(self, tensor: Tensor) -> Tensor:
        """Bring the module's output, or its gradient, to [n, channels, *grid]."""
        if self.layout == "nchw":
            return tensor
        if self.layout == "tokens":
            tensor = tensor[:, self.prefix :].reshape(tensor.shape[0], *self.grid, tensor.shape[2])
        return tensor.movedim(-1, 1)


@dataclass(frozen=True, eq=False)
class _Seen:
    """One module's output in one forward, in order of completion."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]


_FOUND: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], Layer]] = WeakKeyDictionary()


def find_layer(network: nn.Module, inputs: tuple[Tensor, ...], layer: str | nn.Module | None = None) -> Layer:
    """Find where to read a CAM.

    Without `layer`: the last module of the feature extractor whose output is spatial, at least 2 cells along each
    axis, and reached by the gradient of the logits (the class token of a transformer makes its last patch tokens
    useless, so there it is the normalization before the last attention).

    Parameters
    ----------
    network : the module.
    inputs : its inputs, each [n, …]; only the first row is used.
    layer : a module of the network or its dotted name, to use that one.

    Returns
    -------
    Layer

    Raises
    ------
    UsageError
        If `layer` is not in the network or was not run.
    Unsupported
        If the network, or the layer asked for, has no spatial output.
    """
    kind = type(network).__name__
    if isinstance(network, torch.jit.ScriptModule):
        raise Unsupported(
            f"{kind} is compiled (TorchScript), so its layers cannot be read; give the module it was made of."
        )
    for name, why in REFUSED.items():
        if kind.startswith(name):
            raise Unsupported(f"A CAM of {kind} cannot be right: {why}. Use gradient or smoothgrad.")
    wanted = _name_of(network, layer) if isinstance(layer, nn.Module) else layer
    if wanted is not None and wanted not in dict(network.named_modules()):
        near = [n for n, _ in network.named_modules() if n and (wanted in n or n in wanted)][:4]
        hint = f"did you mean {', '.join(near)}?" if near else "print(network) shows the names."
        raise UsageError(f"The network has no layer {wanted!r}; {hint}")
    found = _FOUND.setdefault(network, {})
    key = (wanted, *(tuple(x.shape[1:]) for x in inputs))
    known = found.get(key)
    if known is not None and _still_there(network, known):
        return known
    layer_found, lasting = _search(network, tuple(x[:1] for x in inputs), wanted)
    if lasting:
        found[key] = layer_found
    return layer_found


def _still_there(network: nn.Module, layer: Layer) -> bool:
    try:
        return network.get_submodule(layer.name) is layer.module
    except AttributeError:
        return False


def _search(network: nn.Module, inputs: tuple[Tensor, ...], wanted: str | None) -> tuple[Layer, bool]:
    """The layer, and whether the answer holds for other weights of the same network."""
    seen, classes = _watch(network, inputs)
    aspect = inputs[0].shape[2:]
    num_prefix = int(getattr(network, "num_prefix_tokens", -1))
    layers = [found for s in seen if (found := _layout(s, seen, aspect, num_prefix)) is not None]
    if wanted is not None:
        asked = [found for found in layers if found.name == wanted]
        if asked:
            return asked[-1], True
        shapes = [s.shape for s in seen if s.name == wanted]
        if not shapes:
            raise UsageError(f"Layer {wanted!r} was not run, or returns no tensor, so there is nothing to read there.")
        raise Unsupported(
            f"Layer {wanted!r} puts out shape {list(shapes[-1])}, which is not a spatial grid; choose an earlier layer."
        )
    width = {
        s.name: s.shape[1 if found.layout == "nchw" else -1] for s in seen for found in layers if found.name == s.name
    }
    # Maps with one channel per class belong to the head (SqueezeNet's last convolution), not to the features.
    features = [
        f for f in layers
        if min(f.grid) > 1 and f.name and not isinstance(f.module, _NO_FEATURE)
        and not (f.layout == "nchw" and width[f.name] == classes)
    ]  # fmt: skip
    if not features:
        raise Unsupported(
            f"{type(network).__name__} has no layer with a spatial output, so a CAM has no meaning here; "
            "use gradient, input-x-gradient or smoothgrad."
        )
    # A head that reads a class token may not read the grid that was put out last; elsewhere it does.
    class_token = any("cls" in n or "class_token" in n for n, _ in network.named_parameters())
    if features[-1].layout != "tokens" and not class_token:
        return features[-1], True
    return _reached(network, inputs, [f for f in features if f.layout != "tokens" or _is_stream(f, features, width)])


def _watch(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[list[_Seen], int]:
    """Shapes of all modules' outputs in order of completion, and the number of classes."""
    seen: list[_Seen] = []
    handles = []

    def note(name: str) -> object:
        def hook(module: nn.Module, _: object, output: object) -> None:
            tensor = first_tensor(output)
            if tensor is not None and tensor.is_floating_point() and tensor.ndim >= 2 and tensor.shape[0] == 1:
                seen.append(_Seen(name, module, tuple(tensor.shape)))

        return hook

    with guarded(network, inputs[0].device), torch.no_grad():
        try:
            readable = [(n, m) for n, m in network.named_modules() if not isinstance(m, torch.jit.ScriptModule)]
            handles = [m.register_forward_hook(note(n)) for n, m in readable]
            logits, _ = class_logits(network(*(x.clone() for x in inputs)), 1)
        finally:
            for handle in handles:
                handle.remove()
    return seen, logits.shape[1]


def _layout(s: _Seen, seen: list[_Seen], aspect: tuple[int, ...], num_prefix: int) -> Layer | None:
    """How the output of `s` lies, judged by shapes: a grid shrinks the input's axes alike, channels do not."""
    rank = len(aspect)
    if rank and len(s.shape) == rank + 2:
        first, last = s.shape[2:], s.shape[1:-1]
        if _alike(first, aspect) >= _alike(last, aspect):
            return Layer(s.name, s.module, "nchw", first)
        return Layer(s.name, s.module, "nhwc", last)
    if len(s.shape) == 3 and rank == 2:
        tokens = s.shape[1]
        grids = {t.shape[2:] for t in seen if len(t.shape) == 4} | {t.shape[1:3] for t in seen if len(t.shape) == 4}
        side = math.isqrt(max(tokens - max(num_prefix, 0), 0))
        grids.add((side, side))
        fits = [g for g in grids if 0 <= tokens - math.prod(g) <= 16 and _alike(g, aspect) > 0.6]
        if num_prefix >= 0 and any(tokens - math.prod(g) == num_prefix for g in fits):
            fits = [g for g in fits if tokens - math.prod(g) == num_prefix]
        if fits and tokens > 1:
            grid = max(fits, key=math.prod)
            return Layer(s.name, s.module, "tokens", (grid[0], grid[1]), tokens - math.prod(grid))
    return None


def _alike(grid: tuple[int, ...], aspect: tuple[int, ...]) -> float:
    """1 where every axis of `grid` is the same fraction of the input's, toward 0 where they differ."""
    if min(grid) < 1:
        return 0.0
    fractions = [g / a for g, a in zip(grid, aspect, strict=True)]
    return min(fractions) / max(fractions) if max(fractions) <= 1 else 0.0


def _is_stream(layer: Layer, features: list[Layer], width: dict[str, int]) -> bool:
    """Blocks and normalizations carry the token stream; what is inside an attention does not."""
    inside = any(
        "attention" in type(f.module).__name__.lower() and layer.name.startswith(f.name + ".") for f in features
    )
    leaf = not any(True for _ in layer.module.children())
    norm = "norm" in type(layer.module).__name__.lower()
    return width[layer.name] == width[features[-1].name] and not inside and (norm or not leaf)


def _reached(network: nn.Module, inputs: tuple[Tensor, ...], layers: list[Layer]) -> tuple[Layer, bool]:
    """The last of `layers` at which the logits depend on most of the grid; where they depend on none, the last."""
    outputs: dict[str, Tensor] = {}
    handles = []

    def keep(name: str) -> object:
        def hook(module: nn.Module, _: object, output: object) -> None:
            tensor = first_tensor(output)
            if tensor is not None and tensor.requires_grad:
                outputs[name] = tensor

        return hook

    with guarded(network, inputs[0].device):
        try:
            handles = [f.module.register_forward_hook(keep(f.name)) for f in layers]  # type: ignore[arg-type]
            logits, _ = class_logits(network(*(x.detach().clone().requires_grad_() for x in inputs)), 1)
        finally:
            for handle in handles:
                handle.remove()
        order = [f for f in layers if f.name in outputs]
        grads = torch.autograd.grad(logits[0, logits[0].argmax()], [outputs[f.name] for f in order], allow_unused=True)
    for layer, grad in reversed(list(zip(order, grads, strict=True))):
        if grad is not None and bool((layer.spatial(grad).abs().sum(1) > 0).double().mean() > 0.5):
            return layer, True
    if order and all(grad is None or not bool(grad.any()) for grad in grads):
        return order[-1], False  # a head of zeros (as before training): whichever layer, the map is zero
    raise Unsupported(
        f"No token grid of {type(network).__name__} influences its logits, so a CAM has no meaning here; "
        "use gradient or smoothgrad, or name a layer."
    )


def first_tensor(output: object) -> Tensor | None:
    """Return the tensor, or the first one of a tuple or list, that a module put out."""
    if isinstance(output, list | tuple):
        output = output[0] if output else None
    return output if isinstance(output, Tensor) else None


def _name_of(network: nn.Module, module: nn.Module) -> str:
    for name, candidate in network.named_modules():
        if candidate is module:
            return str(name)
    raise UsageError(
        f"The layer given ({type(module).__name__}) is not a part of this network; is it of another copy of it?"
    )
