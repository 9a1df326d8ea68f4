"""Finds the layer that a CAM is read from, and how its tensor is laid out, by asking the network with one forward."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from whylook.engine.guard import guarded
from whylook.engine.outputs import first_tensor, with_first
from whylook.engine.places import Place, settle
from whylook.engine.targets import class_logits
from whylook.errors import Unsupported, UsageError

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

    def raw(self, spatial: Tensor, like: Tensor) -> Tensor:
        """Bring [n, channels, *grid] to the module's own layout, the reverse of `spatial`.

        What lies beside the grid, the tokens before it, is `like`'s (an output of the module, of one row or n).
        """
        if self.layout == "nchw":
            return spatial
        spatial = spatial.movedim(1, -1)
        if self.layout == "nhwc":
            return spatial
        before = like[:, : self.prefix].expand(spatial.shape[0], -1, -1)
        return torch.cat([before, spatial.flatten(1, -2)], 1)


@dataclass(frozen=True, eq=False)
class _Seen:
    """One module's output in one forward, in order of completion."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    calls: int  # which call of the module this is, from 1


_FOUND: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], Layer]] = WeakKeyDictionary()

_SCRAMBLED: Place = (0, ())  # tokens that look elsewhere than any reading of them says
_TOKENS: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], Place | None]] = WeakKeyDictionary()


def find_layer(network: nn.Module, inputs: tuple[Tensor, ...], layer: str | nn.Module | None = None) -> Layer:
    """Find where to read a CAM.

    Without `layer`: the last module of the feature extractor whose output is spatial, at least 2 cells along each
    axis, reached by the gradient of the logits, and through which all that the logits know of the input has to pass.
    For tokens the last is not asked for: the class token of a transformer makes its last patch tokens useless, so there
    it is the normalization before the last attention, past which the token stream goes on.

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
        If the network, or the layer asked for, has no spatial output, or no single layer holds what the logits know.
    """
    kind = type(network).__name__
    if isinstance(network, torch.jit.ScriptModule):
        raise Unsupported(
            f"{kind} is compiled (TorchScript), so its layers cannot be read; give the module it was made of."
        )
    wanted = None if layer is None else _wanted(network, layer)
    found = _FOUND.setdefault(network, {})
    key = (wanted, *(tuple(x.shape[1:]) for x in inputs), *_options(network))
    known = found.get(key)
    if known is not None and _still_there(network, known):
        return known
    layer_found, lasting = _search(network, tuple(x[:1] for x in inputs), wanted)
    if layer_found.layout == "tokens":
        place = find_tokens(network, inputs, layer_found.prefix + math.prod(layer_found.grid))
        if place is not None:
            layer_found = replace(layer_found, prefix=place[0], grid=place[1])
    if lasting:
        found[key] = layer_found
    return layer_found


def forget(network: nn.Module) -> None:
    """Drop what was found in `network`, so that it is asked anew."""
    _FOUND.pop(network, None)
    _TOKENS.pop(network, None)


def _wanted(network: nn.Module, layer: str | nn.Module) -> str:
    if isinstance(layer, nn.Module):
        return _name_of(network, layer)
    if not isinstance(layer, str) or not layer:
        raise UsageError(f"layer={layer!r} is neither a module of the network nor a dotted name.")
    names: dict[int, str] = {id(m): n for n, m in network.named_modules()}
    try:
        return names[id(network.get_submodule(layer))]  # a module with two names is seen under its first
    except AttributeError:
        near = [n for n in names.values() if n and (layer in n or n in layer)][:4]
        hint = f"did you mean {', '.join(near)}?" if near else "print(network) shows the names."
        raise UsageError(f"The network has no layer {layer!r}; {hint}") from None


def _options(network: nn.Module) -> tuple[object, ...]:
    """The network's own plain settings (timm's `global_pool`, say): with others it may read another grid."""
    own = vars(network).items()
    return tuple((k, v) for k, v in own if k != "training" and k[0] != "_" and isinstance(v, bool | int | str))


def _still_there(network: nn.Module, layer: Layer) -> bool:
    try:
        return network.get_submodule(layer.name) is layer.module
    except AttributeError:
        return False


def _search(network: nn.Module, inputs: tuple[Tensor, ...], wanted: str | None) -> tuple[Layer, bool]:
    """The layer, and whether the answer holds for other weights of the same network."""
    _not_refused(network, "CAM")
    seen, classes = _watch(network, inputs)
    laid = _layouts(seen, _aspect(inputs), _prefix(network))
    if wanted is not None:
        return _asked(seen, laid, wanted), True
    parameters_after = [i for i, s in enumerate(seen) if any(True for _ in s.module.parameters(recurse=False))]
    last_parameters = max(parameters_after, default=-1)
    features: dict[str, tuple[Layer, _Seen]] = {}
    for i, (s, found) in enumerate(zip(seen, laid, strict=True)):
        if found is None or not s.name or min(found.grid) < 2 or isinstance(s.module, _NO_FEATURE):
            continue
        # A map with one channel per class and nothing learned behind it is the head's answer (SqueezeNet), not a feature.
        if found.layout == "nchw" and s.shape[1] == classes and i >= last_parameters:
            continue
        features.pop(s.name, None)  # of several calls the last counts, in its place
        features[s.name] = (found, s)
    if not features:
        raise Unsupported(
            f"{type(network).__name__} has no layer with a spatial output, so a CAM has no meaning here; "
            "use gradient, input-x-gradient or smoothgrad."
        )
    # The stream's width is that of its last block or normalization; keys and values of a pooling head are wider.
    widths = [s.shape[-1] for found, s in features.values() if found.layout == "tokens" and _may_stream(s.module)]
    candidates = [
        (found, s)
        for found, s in features.values()
        if found.layout != "tokens" or (widths and _is_stream(found, s, widths[-1], [f for f, _ in features.values()]))
    ]
    return _proven(network, inputs, candidates)


def find_tokens(network: nn.Module, inputs: tuple[Tensor, ...], count: int) -> Place | None:
    """How many of `count` tokens come before those of a grid, and the grid; None where no grid fits.

    Raises
    ------
    Unsupported
        If the network's tokens lie in another order than the grid's: known of its kind, or seen from where they look.
    """
    _not_refused(network, "map of the tokens")
    key = ("tokens", count, *(tuple(x.shape[1:]) for x in inputs), *_options(network))
    known = _TOKENS.setdefault(network, {})
    if key not in known:
        seen, _ = _watch(network, tuple(x[:1] for x in inputs))
        laid = [found for found in _layouts(seen, _aspect(inputs), _prefix(network)) if found is not None]
        grids = dict.fromkeys(found.grid for found in laid)
        places = [(f.prefix, f.grid) for f in reversed(laid) if f.layout == "tokens"]
        places = [place for place in places if place[0] + math.prod(place[1]) == count][:1]
        places += [p for p in _readings(count, grids, _aspect(inputs), _prefix(network)) if p not in places][:_READINGS]
        known[key] = (settle(network, inputs, count, places) or _SCRAMBLED) if places else None
    found = known[key]
    if found == _SCRAMBLED:
        raise Unsupported(
            f"The {count} tokens of {type(network).__name__} do not lie in the order of the picture's rows, behind any "
            "that have no place: where they look tells otherwise. A map of them would be scrambled; use gradient or "
            "smoothgrad."
        )
    return found


def _not_refused(network: nn.Module, what: str) -> None:
    for part in network.modules():
        for name, why in REFUSED.items():
            if type(part).__name__.startswith(name):
                kind = type(part).__name__
                raise Unsupported(f"A {what} of {kind} cannot be right: {why}. Use gradient or smoothgrad.")


def _aspect(inputs: tuple[Tensor, ...]) -> tuple[int, ...]:
    """Sides of the picture: the input with the most axes, wherever it stands among the arguments."""
    return max((tuple(x.shape[2:]) for x in inputs), key=len)


def _prefix(network: nn.Module) -> int | None:
    """What the network itself says of tokens that come before the grid's."""
    told = (vars(m).get("num_prefix_tokens") for m in network.modules())
    return next((n for n in told if isinstance(n, int)), None)


def _asked(seen: list[_Seen], laid: list[Layer | None], wanted: str) -> Layer:
    """The layer called `wanted`, or an error that says why it cannot be read."""
    calls = [(s, found) for s, found in zip(seen, laid, strict=True) if s.name == wanted]
    if not calls:
        raise UsageError(
            f"Layer {wanted!r} was not run, or puts out no tensor with one row per picture, so there is nothing to read there."
        )
    if len(calls) > 1:
        raise Unsupported(
            f"Layer {wanted!r} is run {len(calls)} times in one forward, so it has no one activation; "
            "name a block that contains one of the runs."
        )
    s, found = calls[0]
    if found is None:
        raise Unsupported(
            f"Layer {wanted!r} puts out shape {list(s.shape)}, which is not a spatial grid; choose an earlier layer."
        )
    return found


def _watch(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[list[_Seen], int]:
    """Shapes of all modules' outputs in order of completion, and the number of classes."""
    seen: list[_Seen] = []
    calls: dict[str, int] = {}
    handles = []

    def note(name: str) -> Any:
        def hook(module: nn.Module, _: object, output: object) -> None:
            tensor = first_tensor(output)
            calls[name] = calls.get(name, 0) + 1
            if tensor is not None and tensor.is_floating_point() and tensor.ndim >= 2 and tensor.shape[0] == 1:
                seen.append(_Seen(name, module, tuple(tensor.shape), calls[name]))

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


_NCHW = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.modules.pooling._MaxPoolNd,
         nn.modules.pooling._AvgPoolNd)  # fmt: skip


_NCL = (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.InstanceNorm1d, nn.GroupNorm, nn.MaxPool1d, nn.AvgPool1d)


def _evidence(s: _Seen, aspect: tuple[int, ...]) -> Literal["nchw", "nhwc"] | None:
    """The layout that a module of this kind always has, or None."""
    module, name = s.module, type(s.module).__name__.lower()
    if isinstance(module, _NCHW):
        return "nchw"
    if "2d" in name or "3d" in name:  # LayerNorm2d is a LayerNorm, but of the channels; an LSTM2d keeps them last
        other = len(s.shape) == len(aspect) + 2 and alike(s.shape[2:], aspect) < 0.5 <= alike(s.shape[1:-1], aspect)
        return None if other else "nchw"
    if isinstance(module, nn.LayerNorm):  # of all axes at once it tells nothing
        return "nhwc" if len(module.normalized_shape) == 1 else None
    return "nhwc" if isinstance(module, nn.Linear) else None


def _layouts(seen: list[_Seen], aspect: tuple[int, ...], prefix: int | None) -> list[Layer | None]:
    """How each output lies. Kinds of modules decide; what they do not decide goes by the latest alike, then by shape."""
    rank = len(aspect)
    latest: dict[tuple[int, ...], Literal["nchw", "nhwc"]] = {}
    grids: dict[tuple[int, ...], int] = {}  # spatial grids so far, and their channels
    out: list[Layer | None] = []
    for s in seen:
        found: Layer | None = None
        if rank and len(s.shape) == rank + 2:
            first, last = s.shape[2:], s.shape[1:-1]
            kind = _evidence(s, aspect)
            if kind == "nhwc" and alike(last, aspect) < 0.5:
                kind = None  # an attention's heads × tokens, not a picture
            if kind is not None:
                latest[s.shape] = kind
            kind = kind or latest.get(s.shape) or ("nchw" if alike(first, aspect) >= alike(last, aspect) else "nhwc")
            grid = first if kind == "nchw" else last
            found = Layer(s.name, s.module, kind, grid)
            if alike(grid, aspect) > 0.05:
                grids[grid] = s.shape[1 if kind == "nchw" else -1]
        elif len(s.shape) == 3 and rank >= 2:
            if _evidence(s, aspect) == "nhwc":
                latest[s.shape] = "nhwc"
            if not isinstance(s.module, _NCL):  # these put out channels first
                found = _tokens(s, grids, aspect, prefix, rows=s.shape in latest)
        out.append(found)
    return out


def _tokens(
    s: _Seen, grids: dict[tuple[int, ...], int], aspect: tuple[int, ...], prefix: int | None, *, rows: bool
) -> Layer | None:
    """The reading of [1, tokens, width] as a grid seen before (or a square one) behind a few other tokens."""
    tokens, width = s.shape[1:]
    if not rows and any(math.prod(grid) == width and channels == tokens for grid, channels in grids.items()):
        return None  # a flattened grid, channels first
    places = _readings(tokens, grids, aspect, prefix)
    return Layer(s.name, s.module, "tokens", places[0][1], places[0][0]) if places else None


_READINGS = 6  # of a token set that are compared with where the tokens look


def _readings(
    tokens: int, grids: Iterable[tuple[int, ...]], aspect: tuple[int, ...], prefix: int | None
) -> list[Place]:
    """Ways to read `tokens` as a grid behind a few other tokens, the likeliest first.

    Grids are those that other layers have, a square one, and those of the picture's own proportions.
    """
    known = list(grids)
    if len(aspect) == 2:
        side = math.isqrt(max(tokens - (prefix or 0), 0))
        known.append((side, side))
        for before in range(min(_PREFIX, tokens - 1) + 1):
            rows = round(math.sqrt((tokens - before) * aspect[0] / aspect[1]))
            grid = rows, (tokens - before) // max(rows, 1)
            if min(grid) > 1 and math.prod(grid) == tokens - before and alike(grid, aspect) > 0.98:
                known.append(grid)
    fits = [g for g in dict.fromkeys(known) if 0 <= tokens - math.prod(g) <= _PREFIX and alike(g, aspect) > 0.6]
    if prefix is not None and any(tokens - math.prod(g) == prefix for g in fits):
        fits = [g for g in fits if tokens - math.prod(g) == prefix]
    if tokens < 2:
        return []
    fits.sort(key=lambda g: (alike(g, aspect) > 0.9, math.prod(g), alike(g, aspect)), reverse=True)
    return [(tokens - math.prod(g), g) for g in fits]


_PREFIX = 16  # tokens that may come before those of a grid


def alike(grid: tuple[int, ...], aspect: tuple[int, ...]) -> float:
    """1 where every axis of `grid` is the same fraction of the input's, toward 0 where they differ."""
    if min(grid) < 1:
        return 0.0
    fractions = [g / a for g, a in zip(grid, aspect, strict=True)]
    return min(fractions) / max(fractions) if max(fractions) <= 1 else 0.0


def _is_stream(layer: Layer, s: _Seen, width: int, features: list[Layer]) -> bool:
    """Blocks and normalizations carry the token stream; what is inside an attention does not."""
    inside = any("attention" in type(f.module).__name__.lower() and s.name.startswith(f.name + ".") for f in features)
    return s.shape[-1] == width and not inside and _may_stream(layer.module)


def _may_stream(module: nn.Module) -> bool:
    return "norm" in type(module).__name__.lower() or any(True for _ in module.children())


_TRIES = 24


def _proven(
    network: nn.Module, inputs: tuple[Tensor, ...], candidates: list[tuple[Layer, _Seen]]
) -> tuple[Layer, bool]:
    """The last candidate that the logits read, and (unless of tokens) that nothing they know goes around.

    Each is asked by a cut: its output becomes a leaf, and the logits' gradients by it and by the input tell.
    """
    dead = None
    for layer, s in list(reversed(candidates))[:_TRIES]:
        read, around = _cut(network, inputs, layer, s.calls)
        if read is None and not around:
            dead = dead or layer  # nothing depends on anything: a head of zeros, as before training
        elif read is not None and (read > 0.5 if layer.layout == "tokens" else not around):
            return layer, True  # behind a class token's last attention no other is read; of a grid, maxima may be few
    if dead is not None:
        return dead, False  # whichever layer, the map is zero
    raise Unsupported(
        f"No single layer of {type(network).__name__} holds what its logits know of the input (branches run side by "
        "side, or the grid is not read), so no layer can be chosen; name one with layer=, or use gradient or smoothgrad."
    )


def _cut(network: nn.Module, inputs: tuple[Tensor, ...], layer: Layer, call: int) -> tuple[float | None, bool]:
    """Share of the grid that the logits read (None: no gradient at all), and whether the input reaches them around it."""
    leaf: list[Tensor] = []
    count = 0

    def hook(module: nn.Module, _: object, output: object) -> object:
        nonlocal count
        count += 1
        if count != call:
            return output
        tensor = first_tensor(output)
        assert tensor is not None  # it was seen to be one
        with torch.enable_grad():
            leaf.append(tensor.detach().requires_grad_())
            return with_first(output, leaf[0].clone())

    with guarded(network, inputs[0].device):
        handle = layer.module.register_forward_hook(hook)
        try:
            sources = [x.detach().clone().requires_grad_() for x in inputs]
            logits, _ = class_logits(network(*(x.clone() for x in sources)), 1)
        finally:
            handle.remove()
        top = logits[0, logits[0].argmax()]
        if not top.requires_grad or not leaf:
            return None, False
        grads = torch.autograd.grad(top, [leaf[0], *sources], allow_unused=True)
    at_layer, at_inputs = grads[0], grads[1:]
    around = any(g is not None and bool(g.any()) for g in at_inputs)
    if at_layer is None or not bool(at_layer.any()):
        return None, around
    return float((layer.spatial(at_layer).abs().sum(1) > 0).double().mean()), around


def _name_of(network: nn.Module, module: nn.Module) -> str:
    for name, candidate in network.named_modules():
        if candidate is module:
            return str(name)
    raise UsageError(
        f"The layer given ({type(module).__name__}) is not a part of this network; is it of another copy of it?"
    )
