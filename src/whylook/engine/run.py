"""Fulfills requests on one batch: the shared pass, passes of their own, probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from whylook import baselines
from whylook.engine.attention.trace import trace_attention
from whylook.engine.blackbox import BlackBox, refusal
from whylook.engine.fusion import fuse
from whylook.engine.head import Head
from whylook.engine.layers import Layer, find_layer, forget
from whylook.engine.probe import Inputs, Noise, Probe, probing
from whylook.engine.request import Raw, Request
from whylook.engine.rules import make
from whylook.engine.rules.trace import RuleTrace, trace_rules
from whylook.engine.targets import Score, class_logits
from whylook.engine.trace import NOT_A_NUMBER, SEVERED, UNSTEADY, NotRunError, Trace, depends, trace
from whylook.errors import Unsupported
from whylook.methods import METHODS, Noted


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
            results.append(_said(_fused(parts), shared))
        except Unsupported as why:
            results.append(why)
    return shared, results


_SAME_FOR_ALL = (
    "{} gives the same map for every class, so it cannot tell why one rather than another; "
    "use a method that knows its target, such as grad-cam."
)


def _said(raw: Raw, shared: Trace) -> Raw:
    """The result with what the shared pass has noticed of the network among its warnings."""
    n, k = shared.targets.shape
    undefined = shared.logits.isnan().any(1).tolist()
    if not shared.unsteady and not any(undefined):
        return raw
    told = raw.warnings or [[None] * k for _ in range(n)]
    of_row = [[NOT_A_NUMBER] * u + [UNSTEADY] * shared.unsteady for u in undefined]
    joined = [
        [" ".join([*([own] if own else []), *more]) or None for own in row]
        for row, more in zip(told, of_row, strict=True)
    ]
    return replace(raw, warnings=joined)


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
    passes: dict[tuple[Any, ...], RuleTrace | Unsupported] = {}
    found: dict[Request, RuleTrace | Unsupported] = {}
    for request in requests:
        name = request.method.needs.rules
        if name is None:
            continue
        # A tensor, or a list of them, is the same only if it is the same object: printed, two may look alike.
        plain = str | int | float | None
        key = (name, *((k, v if isinstance(v, plain) else id(v)) for k, v in request.parameters.items()))
        if key not in passes:
            rules = make(name, request.parameters)
            try:
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
            given: dict[str, Any] = {"X": rows, "M": multipliers[k], "bias": seen.bias[k]}
            if layer is not None:
                given |= {"A": shared.activations[layer.name], "G": shared.gradients[layer.name][k]}
            maps.append(method.function(*(given[a] for a in method.arguments), **request.parameters))
        per_input.append(torch.stack(maps, 1))
    passes = 1 + (layer is not None)
    return Raw(
        values=tuple(per_input),
        layers=() if layer is None else (layer,),
        forwards=passes,
        backwards=passes * len(classes),
        facts=seen.facts,
        warnings=seen.warnings,
    )


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


def _logits(network: nn.Module, row: tuple[Tensor, ...]) -> Tensor:
    """Logits [1, classes] of one row; run inside `guarded`."""
    with torch.no_grad():
        return class_logits(network(*(x.clone() for x in row)), 1)[0]
