"""The low road: a module and a prepared tensor in, raw maps out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from whylook.baselines import of_row
from whylook.engine.blackbox import BlackBox
from whylook.engine.company import mixes_rows
from whylook.engine.probe import Inputs
from whylook.engine.request import Layers, Precision, Raw, Request
from whylook.engine.run import run
from whylook.engine.targets import Score, ScoreName, Targets, as_index, resolve
from whylook.errors import Unsupported, UsageError
from whylook.methods import METHODS
from whylook.parameters import check_seed


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
        maps are scaled to a largest absolute value of 1, brought to the finest grid and averaged (`whylook.engine.fusion`).
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
    check_seed(seed)
    network = module if isinstance(module, nn.Module) else _black_box(module)
    inputs = _check(network, x)
    wanted = None if targets is None else as_index(targets)
    request = Request(METHODS[method], parameters, layer, precision)
    results = [
        _made(network, rows, part, which, Score(score, against), seed)
        for rows, part, which in _together(network, inputs, request, wanted)
    ]
    for sentence in dict.fromkeys(w for result in results for row in result.warnings for w in row if w):
        warnings.warn(f"{method}: {sentence}", UserWarning, stacklevel=2)
    parts = [result.values if isinstance(result.values, tuple) else (result.values,) for result in results]
    values = tuple(column[0] if len(column) == 1 else torch.cat(column) for column in zip(*parts, strict=True))
    if wanted is None or wanted.ndim < 2:
        values = tuple(v[:, 0] for v in values)
    return values if isinstance(x, tuple) and request.method.space != "layer" else values[0]


def _together(
    network: nn.Module, inputs: tuple[Tensor, ...], request: Request, wanted: Tensor | None
) -> list[tuple[tuple[Tensor, ...], Request, Tensor | None]]:
    """What is run at once: all rows, or each by itself where the network would let the others change it."""
    n = inputs[0].shape[0]
    listed = wanted is not None and wanted.ndim > 0
    wrong = wanted is not None and listed and wanted.shape[0] != n  # which is said better further down
    if n == 1 or wrong or not mixes_rows(network, inputs):
        return [(inputs, request, wanted)]
    per_row = {"low", "high"} | ({"baseline"} if not request.method.background else set())
    return [
        (
            tuple(x[i : i + 1] for x in inputs),
            replace(request, parameters={
                name: of_row(value, i, inputs) if name in per_row else value for name, value in request.parameters.items()
            }),
            wanted[i : i + 1] if wanted is not None and listed else wanted,
        )
        for i in range(n)
    ]  # fmt: skip


def _made(
    network: nn.Module, inputs: tuple[Tensor, ...], request: Request, wanted: Tensor | None, score: Score, seed: int
) -> Raw:
    def choose(logits: Tensor, one_logit: bool) -> Tensor:
        return resolve(wanted, logits, one_logit)

    _, (result,) = run(network, inputs, [request], choose, score, seed=seed)
    if isinstance(result, Unsupported):
        raise result
    return result


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
        if t.device.type == "meta":
            raise UsageError("The input is on the meta device, which holds no values; give one on a real device.")
        # A sum that is a number holds none that is not, and is quicker; infinities of both signs have to be looked at.
        if bool(t.sum().isnan()) and bool(t.isnan().any()):
            raise UsageError("The input has values that are not numbers (NaN), so no map of it would mean anything.")
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
