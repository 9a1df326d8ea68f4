"""The low road, and the engine under the high one: a module and a prepared tensor in, raw maps out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from whylook import baselines
from whylook.blackbox import BlackBox, refusal
from whylook.errors import Unsupported, UsageError
from whylook.fusion import fuse
from whylook.head import Head
from whylook.layers import Layer, find_layer, forget
from whylook.methods import METHODS, Method, Noted
from whylook.probe import Inputs, Noise, Probe, probing
from whylook.rules import make
from whylook.targets import Score, ScoreName, Targets, as_index, class_logits, resolve
from whylook.trace import (
    SEVERED,
    NotRunError,
    RuleTrace,
    Trace,
    depends,
    trace,
    trace_attention,
    trace_rules,
)

Precision = Literal["bfloat16"] | None
Layers = str | nn.Module | Sequence[str | nn.Module] | None


_GUESS = 64  # evaluations of a method that finds out how many it takes, for progress


@dataclass(frozen=True, eq=False)
class Request:
    """One method with its parameters; `layer` (one, or several) only for methods that read one."""

    method: Method
    parameters: Mapping[str, Any] = field(default_factory=dict)
    layer: Layers = None
    precision: Precision = None

    def __post_init__(self) -> None:
        if self.precision is not None:
            check_precision(self.method, self.precision)
        if self.layer is not None and not self.method.needs.layer:
            raise UsageError(f"{self.method.name} reads no layer, so layer={self.layer!r} has no meaning for it.")
        if isinstance(self.layer, list | tuple) and not self.layer:
            raise UsageError("layer is an empty list; leave it out to read the last spatial layer.")
        object.__setattr__(self, "parameters", self.method.fill(self.parameters))
        for name in ("baseline", "low", "high"):
            if self.parameters.get(name) is not None:
                baselines.check(self.parameters[name])

    @property
    def wanted(self) -> tuple[str | nn.Module | None, ...]:
        """The layers asked for; None for the one that is found."""
        if isinstance(self.layer, list | tuple):
            return tuple(self.layer)
        return (cast("str | nn.Module | None", self.layer),)

    @property
    def evaluations(self) -> int:
        """Evaluations it will report to `progress`, per row: its `samples` or `steps`; where these adapt, a guess."""
        if not self.method.needs.probe or not {"samples", "steps", "window"} & set(self.parameters):
            return 0
        return int(self.parameters.get("samples") or self.parameters.get("steps") or _GUESS)


@dataclass(frozen=True, eq=False)
class Raw:
    """One request's result.

    Parameters
    ----------
    values : a tensor [n, k, …], or a tuple of such.
    layers : those read, none or one or several.
    forwards, backwards, seconds : what it cost by itself.
    facts : by name, numbers [n, k] that belong to the maps.
    warnings : n lists of k sentences or None.
    extent : what the map's cells cover, where that is not the input (see `Noted`).
    """

    values: Inputs
    layers: tuple[Layer, ...]
    forwards: int
    backwards: int
    seconds: float = 0.0
    facts: Mapping[str, Tensor] = field(default_factory=dict)
    warnings: Sequence[Sequence[str | None]] = ()
    extent: Any = None


def attribute(
    module: nn.Module | Callable[..., Any],
    x: Tensor | tuple[Tensor, ...],
    method: str,
    targets: Targets = None,
    *,
    layer: Layers = None,
    score: ScoreName = "logit",
    against: int | None = None,
    seed: int = 0,
    precision: Precision = None,
    **parameters: Any,
) -> Inputs:
    """Compute raw attribution maps of a prepared input; no preprocessing, no scaling, the network untouched.

    Parameters
    ----------
    module : a classifier with outputs [n, classes] or [n]; run in eval mode and put back. Or any function
        `images -> scores` of a tensor (or array) [b, …] to one [b, classes] or [b], for methods that need only scores.
    x : floating-point tensor [n, …], or a tuple of them for a network with several inputs.
    method : a name from `whylook methods`.
    targets : a class index for all rows, one per row, or several per row (a list of lists); None: each row's top
        class, or the logit itself for a one-logit head, whose classes are 0 (its negative) and 1.
    layer : for CAMs, a module of the network or its dotted name; None finds the last spatial one. Of a list of them the
        maps are scaled to a largest absolute value of 1, brought to the finest grid and averaged (`whylook.fusion`).
    score : `logit`, `probability` or `margin` (log-odds of the class).
    against : a second class; the score is then the difference of the two logits.
    seed : of the method's random numbers; the same for every row, so a row does not depend on its place in the batch.
    precision : `bfloat16` runs convolutions and linear layers of methods that need only scores (`rise`, `score-cam`, …)
        in it: about three significant digits, faster where the processor has instructions for it. None: as delivered.
    **parameters : the method's own, such as `samples` or `noise`.

    Returns
    -------
    Tensor of `x`'s dtype and on its device: the shape of `x` for input-space methods (`gradient`: [n, *spatial]),
    [n, *grid] for CAMs; with several targets per row one more axis after the first. A tuple for a tuple.

    Raises
    ------
    UsageError
        (a `ValueError`) For an unknown method, parameter, layer or class; the valid ones are named.
    Unsupported
        If the method has no meaning for this network.
    """
    network = module if isinstance(module, nn.Module) else _black_box(module)
    inputs = _check(network, x)
    wanted = None if targets is None else as_index(targets)
    request = Request(METHODS[method], parameters, layer, precision)
    _, results = run(
        network,
        inputs,
        [request],
        lambda logits, one_logit: resolve(wanted, logits, one_logit),
        Score(score, against),
        seed=seed,
    )
    result = results[0]
    if isinstance(result, Unsupported):
        raise result
    for sentence in dict.fromkeys(w for row in result.warnings for w in row if w):
        warnings.warn(f"{method}: {sentence}", UserWarning, stacklevel=2)
    values = result.values if isinstance(result.values, tuple) else (result.values,)
    if wanted is None or wanted.ndim < 2:
        values = tuple(v[:, 0] for v in values)
    return values if isinstance(x, tuple) and request.method.space != "layer" else values[0]


def run(
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    requests: Sequence[Request],
    choose: Callable[[Tensor, bool], Tensor],
    score: Score,
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> tuple[Trace, list[Raw | Unsupported]]:
    """Fulfill all requests on one batch: one shared pass for what gradients and layers give, probes for the rest.

    Parameters
    ----------
    network, inputs : the module and its inputs, each [n, …].
    requests : what is asked for.
    choose : from logits [n, classes] and whether they come from one logit to targets [n, k].
    score : what is explained.
    seed : of methods' and the network's own randomness.
    progress : called with the number of evaluations done, for methods that probe.

    Returns
    -------
    The shared pass, and for each request, in order, its result or the reason why it cannot be had.
    """
    try:
        shared, layers, refused = _shared(network, inputs, requests, choose, score, seed)
        doubtful = any(not bool(g.any()) for g in shared.gradients.values())
    except NotRunError:
        doubtful = True
    if doubtful:  # the layer may have been found when the network was set another way: ask anew, once
        forget(network)
        shared, layers, refused = _shared(network, inputs, requests, choose, score, seed)
    ruled = _ruled(network, inputs, [r for r in requests if r not in refused], shared.targets, score, seed)
    results: list[Raw | Unsupported] = []
    for request in requests:
        read: tuple[Layer | None, ...] = layers.get(request, (None,))
        try:
            if request in refused:
                raise refused[request]
            if score.against is not None and not request.method.class_specific:
                raise Unsupported(_SAME_FOR_ALL.format(request.method.title))
            if request.method.needs.probe:
                parts = [
                    _probe(network, inputs, request, layer, shared.targets, score, seed, progress) for layer in read
                ]
            elif request.method.needs.attention:
                parts = [_from_attention(network, inputs, request, shared.targets, score, seed)]
            elif request in ruled:
                parts = [_from_rules(request, shared, layer, ruled[request]) for layer in read]
            elif shared.severed and request not in layers:
                raise Unsupported(SEVERED)
            else:
                parts = [_from_trace(inputs, request, shared, layer) for layer in read]
            results.append(_fused(parts))
        except Unsupported as why:
            results.append(why)
    return shared, results


_SAME_FOR_ALL = (
    "{} gives the same map for every class, so it cannot tell why one rather than another; "
    "use a method that knows its target, such as grad-cam."
)


def _shared(
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    requests: Sequence[Request],
    choose: Callable[[Tensor, bool], Tensor],
    score: Score,
    seed: int,
) -> tuple[Trace, dict[Request, tuple[Layer, ...]], dict[Request, Unsupported]]:
    """The shared pass, the layers that each request reads, and the requests for which there is none."""
    layers: dict[Request, tuple[Layer, ...]] = {}
    refused: dict[Request, Unsupported] = {}
    for request in requests:
        if isinstance(network, BlackBox) and not request.method.black_box:
            refused[request] = refusal(request.method.name, tuple(m.name for m in METHODS if m.black_box))
        elif request.method.needs.layer:
            try:
                found = [find_layer(network, inputs, wanted) for wanted in request.wanted]
                layers[request] = tuple({layer.name: layer for layer in found}.values())
            except Unsupported as why:
                refused[request] = why
    shared = trace(
        network,
        inputs,
        choose,
        score,
        layers=list({layer.name: layer for read in layers.values() for layer in read}.values()),
        layer_gradients=any("G" in r.method.arguments for r in layers),
        input_gradient=any(r.method.needs.gradient for r in requests if r not in refused),
        seed=seed,
    )
    return shared, layers, refused


def _from_trace(inputs: tuple[Tensor, ...], request: Request, shared: Trace, layer: Layer | None) -> Raw:
    classes = range(shared.targets.shape[1])
    call, parameters = request.method.function, request.parameters
    backwards = len(classes) if {"g", "G"} & set(request.method.arguments) else 0
    if layer is not None:
        A = shared.activations[layer.name]
        given = [{"A": A, "G": shared.gradients[layer.name][k] if backwards else None} for k in classes]
        maps = [call(*(g[a] for a in request.method.arguments), **parameters) for g in given]
        return Raw(torch.stack(maps, 1), (layer,), 1, backwards)
    per_input = []
    for x, gradients in zip(inputs, shared.input_gradients, strict=True):
        maps = [
            call(*({"x": x, "g": gradients[k]}[a] for a in request.method.arguments), **parameters) for k in classes
        ]
        per_input.append(torch.stack(maps, 1))
    return Raw(tuple(per_input), (), 1, backwards)


def _fused(parts: Sequence[Raw]) -> Raw:
    """One result from those of the layers that a request reads."""
    if len(parts) == 1:
        return parts[0]
    shared = parts[0].seconds == 0  # made from the shared pass, which is counted once
    columns = zip(*(p.values if isinstance(p.values, tuple) else (p.values,) for p in parts), strict=True)
    fused = tuple(fuse(column) for column in columns)
    return Raw(
        values=fused if isinstance(parts[0].values, tuple) else fused[0],
        layers=tuple(layer for part in parts for layer in part.layers),
        forwards=parts[0].forwards if shared else sum(part.forwards for part in parts),
        backwards=parts[0].backwards if shared else sum(part.backwards for part in parts),
        seconds=sum(part.seconds for part in parts),
    )


def _ruled(
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    requests: Sequence[Request],
    targets: Tensor,
    score: Score,
    seed: int,
) -> dict[Request, RuleTrace | Unsupported]:
    """The passes under rules; requests with the same rules share one."""
    passes: dict[tuple[str, str], RuleTrace | Unsupported] = {}
    found: dict[Request, RuleTrace | Unsupported] = {}
    for request in requests:
        name = request.method.needs.rules
        if name is None:
            continue
        key = (name, str({k: id(v) if hasattr(v, "__array__") else v for k, v in request.parameters.items()}))
        if key not in passes:
            rules = make(name, request.parameters)
            try:
                rules.check_score(score, request.method.title)
                passes[key] = trace_rules(network, inputs, targets, score, rules, seed=seed)
            except Unsupported as why:
                passes[key] = why
        found[request] = passes[key]
    return found


def _from_rules(request: Request, shared: Trace, layer: Layer | None, seen: RuleTrace | Unsupported) -> Raw:
    if isinstance(seen, Unsupported):
        raise seen
    method, classes = request.method, range(shared.targets.shape[1])
    per_input = []
    for rows, multipliers in zip(seen.rows, seen.multipliers, strict=True):
        maps = []
        for k in classes:
            given: dict[str, Any] = {"X": rows, "M": multipliers[k], "bias": seen.bias[k], "S": seen.score[:, k]}
            if layer is not None:
                given |= {"A": shared.activations[layer.name], "G": shared.gradients[layer.name][k]}
            maps.append(method.function(*(given[a] for a in method.arguments), **request.parameters))
        per_input.append(torch.stack(maps, 1))
    passes = 1 + (layer is not None)
    return Raw(tuple(per_input), () if layer is None else (layer,), passes, passes * len(classes))


def _from_attention(
    network: nn.Module, inputs: tuple[Tensor, ...], request: Request, targets: Tensor, score: Score, seed: int
) -> Raw:
    """A pass of its own: in company the others' maps must come from the network's own, fused attention."""
    method, start = request.method, perf_counter()
    layerwise, full = (name in method.arguments for name in ("layerwise_gradients", "attention_gradients"))
    seen = trace_attention(network, inputs, targets, score, gradients=full, layerwise=layerwise, seed=seed)
    maps = []
    for k in range(targets.shape[1]):
        given: dict[str, Any] = {
            "attention": seen.attention,
            "attention_gradients": seen.attention_gradients[k] if full else None,
            "layerwise_gradients": seen.layerwise_gradients[k] if layerwise else None,
            "readers": seen.readers,
        }
        maps.append(seen.on_grid(method.function(*(given[a] for a in method.arguments), **request.parameters)))
    layers = len(seen.attention)
    backwards = 1 + targets.shape[1] * (full + layers * layerwise)
    # Layer by layer, the head is run on all but the last, and twice more to see that nothing goes around the last.
    forwards = 1 + (layers + 1) * (layerwise and layers > 1)
    return Raw(torch.stack(maps, 1), (), forwards, backwards, perf_counter() - start)


def _probe(
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    request: Request,
    layer: Layer | None,
    targets: Tensor,
    score: Score,
    seed: int,
    progress: Callable[[int], None] | None,
) -> Raw:
    method, start = request.method, perf_counter()
    rows: list[Noted] = []
    forwards = backwards = 0
    evaluates = bool({"scores", "gradients", "evaluate", "occluded"} & set(method.arguments))
    for i in range(inputs[0].shape[0]):
        row = tuple(x[i : i + 1].detach().clone() for x in inputs)
        # Each row by itself and with the same random numbers: a batch cannot change a map.
        told = _Told(progress, request.evaluations if layer is None else 0)
        with probing(
            network, targets[i : i + 1], score, inputs=row if evaluates else (), evaluations=request.evaluations,
            precision=None if request.precision is None else getattr(torch, request.precision),
            seed=seed, progress=told.add,
        ) as probe:  # fmt: skip
            given: dict[str, Any] = {"x": row if len(row) > 1 else row[0]}
            given |= {"scores": probe.scores, "gradients": probe.gradients, "occluded": probe.occluded}
            given["evaluate"] = probe.evaluate
            extra = {"rng": Noise(seed)} if method.seeded else {}
            counted: list[Probe | Head] = [probe]
            if layer is not None:
                head = Head(network, row, layer, targets[i : i + 1], score)
                given |= {"A": head.A, "head": head}
                counted.append(head)
            own = dict(request.parameters)
            if "baseline" in own and not method.background:
                own["baseline"] = baselines.of_row(own["baseline"], i, inputs)
            made = method.function(*(given[a] for a in method.arguments), **own, **extra)
            if probe.lost and depends(network, row, sorted(probe.lost), _logits(network, row)):
                raise Unsupported(SEVERED)
            rows.append(made if isinstance(made, Noted) else Noted(made))
        told.finish()
        forwards += sum(c.forwards for c in counted)
        backwards += sum(c.backwards for c in counted)
    maps = [row.values for row in rows]
    values: Inputs = (
        tuple(torch.stack(v) for v in zip(*maps, strict=True)) if isinstance(maps[0], tuple) else torch.stack(maps)
    )
    facts = {name: torch.stack([torch.as_tensor(row.facts[name]) for row in rows]) for name in rows[0].facts}
    said = [row.warnings for row in rows] if any(row.warnings for row in rows) else []
    read = () if layer is None else (layer,)
    return Raw(values, read, forwards, backwards, perf_counter() - start, facts, said, rows[0].extent)


class _Told:
    """Passes on no more progress than was announced, and what is missing of it at the end."""

    def __init__(self, progress: Callable[[int], None] | None, announced: int) -> None:
        self._progress, self._left = progress, announced

    def add(self, rows: int) -> None:
        rows = min(rows, self._left)
        if self._progress and rows:
            self._progress(rows)
        self._left -= rows

    def finish(self) -> None:
        self.add(self._left)


def takes_only_scores(method: Method) -> bool:
    """Whether a method runs the whole network forward and nothing else, so that bfloat16 is enough for it."""
    return bool({"scores", "occluded"} & set(method.arguments)) and not {"gradients", "evaluate"} & set(
        method.arguments
    )


def check_precision(method: Method, precision: Any) -> None:
    """Refuse what is not known, and gradients in bfloat16: too coarse to be shown."""
    if precision != "bfloat16":
        raise UsageError(f"precision={precision!r} is not known; it is bfloat16, or left out for the network's own.")
    if not takes_only_scores(method):
        names = ", ".join(m.name for m in METHODS if takes_only_scores(m))
        raise UsageError(f"{method.name} cannot be made in bfloat16, for it takes more than scores; {names} can.")


def _logits(network: nn.Module, row: tuple[Tensor, ...]) -> Tensor:
    """Logits [1, classes] of one row; run inside `guarded`."""
    with torch.no_grad():
        return class_logits(network(*(x.clone() for x in row)), 1)[0]


def _black_box(function: Any) -> BlackBox:
    if not callable(function) or isinstance(function, type):
        what = f"the class {function.__name__}" if isinstance(function, type) else f"a {type(function).__name__}"
        raise UsageError(f"attribute explains a torch.nn.Module or a function images -> scores, not {what}.")
    return BlackBox(function)


def _check(module: nn.Module, x: Any) -> tuple[Tensor, ...]:
    """The inputs as a tuple, or an error that says what is wrong with them."""
    inputs = x if isinstance(x, tuple) else (x,)
    for t in inputs:
        if not isinstance(t, Tensor):
            raise UsageError(f"The input is a {type(t).__name__}; attribute takes a tensor [n, …] or a tuple of them.")
        if not t.is_floating_point():
            raise UsageError(f"The input is {t.dtype}; gradients need a floating-point tensor: convert with .float().")
        if t.ndim < 2 or t.shape[0] == 0:
            raise UsageError(f"The input has shape {tuple(t.shape)}; it must be [n, …] with n at least 1.")
    if not inputs or len({t.shape[0] for t in inputs}) != 1:
        raise UsageError("The inputs must have the same number of rows, at least one.")
    first = next((p for p in module.parameters() if p.is_floating_point()), None)
    if first is not None and (first.dtype != inputs[0].dtype or first.device != inputs[0].device):
        raise UsageError(
            f"The input is {inputs[0].dtype} on {inputs[0].device} and the network {first.dtype} on {first.device}; "
            "bring one to the other with .to()."
        )
    return tuple(t.detach() for t in inputs)
