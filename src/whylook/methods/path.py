"""Gradients integrated along a path from a baseline to the input; the shares add up to the difference of the scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from whylook.errors import Unsupported, UsageError
from whylook.methods.method import Needs, Noted, method

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.probe import Inputs, Noise
    from whylook.quadrature import Rule

    Gradients = Callable[[Inputs], Inputs]
    Evaluate = Callable[[Inputs, int], tuple[Tensor, Inputs]]

MOST = 512  # evaluations per target and baseline that adaptive segments may take
STEPS = 50  # of a rule that is given without them
_NOT_FINITE = (
    "The score or its gradient is not finite at the baseline, at the input or on the way between them, so the shares mean "
    "nothing; take a baseline that the network can take."
)
_KEPT = 2**29  # bytes of gradients that may be kept while segments adapt


@method(
    "integrated-gradients",
    title="Integrated Gradients",
    needs=Needs(probe=True),
    space="input",
    signed=True,
    channels="sum",
    paper="arXiv:1703.01365",
    formula="(x − b) · ∫₀¹ ∂S/∂x at b + α (x − b) dα",
    cost="`steps` forwards and backwards, and 2 forwards, for each baseline; without `steps` 16 to 512, as many as the "
    "completeness residual takes",
    limits="Says nothing of where the input equals the baseline: black parts are dark in the map of a black baseline, "
    "whatever the network makes of them.",
    prefer="Where the score saturates and a single gradient vanishes; where shares must add up.",
)
def integrated_gradients(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    gradients: Gradients,
    evaluate: Evaluate,
    *,
    baseline: Any = 0,
    steps: int | None = None,
    rule: Rule | None = None,
    tolerance: float = 0.05,
) -> Noted:
    """Share of each input value in the difference between the score of the input and that of the baseline.

    Parameters
    ----------
    x : [1, …], one row of the input (or a tuple, for several inputs).
    scores : batch [b, …] -> [b, k].
    gradients : batch [b, …] -> [k, b, …].
    evaluate : batch [b, …] and the number of a target -> its scores [b] and gradients [b, …].
    baseline : where the path begins, see `whylook.baselines`; several give the mean of their maps.
    steps : of a fixed rule. Without it (and without `rule`) segments adapt, for each target by itself: nodes are added
        where the slopes along the path do not explain how the score changes, until the shares add up.
    rule : `midpoint` (where `steps` is given), `gauss-legendre` or `trapezoid`; without `steps` it takes 50.
    tolerance : how much of the score's difference the shares may miss; above 0. A map that misses more says so.

    Returns
    -------
    Maps [k, …], signed, in score units. Facts: `residual`, the sum of the shares less the difference of the scores;
    `relative_residual`, its size as a share of that difference; `evaluations`.
    """
    from whylook.baselines import all_like
    from whylook.engine.probe import each
    from whylook.quadrature import fixed

    _check_tolerance(tolerance)
    adapts = steps is None and rule is None
    starts = all_like(baseline, x)
    ends = [scores(_rows(start, x)).cpu().double() for start in starts]
    evaluations = [0] * ends[0].shape[1]
    exhausted = [False] * len(evaluations)
    maps: list[Inputs] = []
    for start, end in zip(starts, ends, strict=True):
        if adapts:
            average, taken = _adapted(start, x, evaluate, end, tolerance)
            exhausted = [was or n >= MOST for was, n in zip(exhausted, taken, strict=True)]
        else:
            nodes, weights = fixed("midpoint" if rule is None else rule, STEPS if steps is None else steps)
            taken = [len(nodes)] * len(evaluations)
            average = _average(lambda at, start=start: gradients(_points(start, x, at)), nodes, weights, x)  # type: ignore[misc]
        evaluations = [a + b for a, b in zip(evaluations, taken, strict=True)]
        maps.append(each(lambda g, a, b: g * (b - a), average, start, x))
    if not adapts:
        return _noted(_mean(maps), ends, evaluations, tolerance, "take more steps, or leave them out to adapt")
    ended = f"{MOST} evaluations did not bring it down"
    canceled = "the score moves up and down on the way and comes back to near where it was"
    remedies = [ended if out else canceled for out in exhausted]
    return _noted(_mean(maps), ends, evaluations, tolerance, remedies)


def _adapted(start: Inputs, x: Inputs, evaluate: Evaluate, ends: Tensor, tolerance: float) -> tuple[Inputs, list[int]]:
    """Mean gradients [k, …] along a line, and the evaluations that each took; every target by itself.

    Targets could share evaluations, but then a map would depend on which others are asked for.
    """
    from whylook.quadrature import adaptive

    averages, taken = [], []
    for k, (first, last) in enumerate(ends.T.tolist()):
        line = _Line(start, x, evaluate, k)
        rounding = _rounding(x, first, last)
        nodes, weights = adaptive(line.measure, first, last, tolerance=tolerance, most=MOST, rounding=rounding)
        averages.append(line.average(nodes, weights))
        taken.append(len(nodes))
    return _stacked(averages), taken


@method(
    "blur-ig",
    title="Blur IG",
    needs=Needs(probe=True),
    space="input",
    signed=True,
    channels="sum",
    paper="arXiv:2004.03383",
    formula="∫ ∂S/∂L · ∂L/∂σ dσ from strong to no blur, L the picture blurred by a Gaussian of deviation σ",
    cost="`steps` forwards and backwards, and 2 forwards",
    limits="A picture's mean color is left out, and what a blur does not change gets nothing: the inside of even areas.",
    prefer="Where any color as baseline would be a lie: the path only takes detail away.",
)
def blur_ig(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    gradients: Gradients,
    *,
    steps: int = 50,
    blur: float = 0.25,
    tolerance: float = 0.05,
) -> Noted:
    """Share of each input value in what the score gains while the picture comes out of a blur.

    The blur mirrors the picture at its edges (the paper leaves that open), so no frame comes in. Each step counts the
    gradient in its middle times how the picture changes from its beginning to its end.

    Parameters
    ----------
    x : [1, c, *spatial], one row of the input (or a tuple, for several inputs).
    scores, gradients : as for `integrated_gradients`.
    steps : equal in the deviation of the blur, 1 or more.
    blur : deviation of the strongest blur, as a share of the picture's shorter side; above 0.
    tolerance : as for `integrated_gradients`.

    Returns
    -------
    As `integrated_gradients`; the shares add up to the difference from the blurred picture's score.
    """
    from itertools import accumulate

    import torch

    from whylook.baselines import blurred
    from whylook.engine.probe import chunk_rows, each
    from whylook.quadrature import fixed

    _check_tolerance(tolerance)
    if not blur > 0:
        raise UsageError(f"blur must be above 0, not {blur}.")
    if any(t.ndim < 3 for t in (x if isinstance(x, tuple) else (x,))):
        raise Unsupported("blur-ig blurs along spatial axes, which this input does not have; use integrated-gradients.")

    def pictures(at: Sequence[float]) -> Inputs:
        return each(lambda t: torch.cat([blurred(t, (1 - a) * blur * min(t.shape[2:])) for a in at]), x)

    middles, weights = fixed("midpoint", steps)
    edges = [0.0, *list(accumulate(weights))[:-1], 1.0]
    rows, total = chunk_rows(x), None
    for i in range(0, steps, rows):
        on_edges = pictures(edges[i : i + rows + 1])
        part = each(lambda g, e: (g * e.diff(dim=0)).sum(1), gradients(pictures(middles[i : i + rows])), on_edges)
        total = part if total is None else each(torch.add, total, part)
    assert total is not None
    ends = scores(_rows(pictures([0.0]), x)).cpu().double()
    return _noted(total, [ends], [steps] * ends.shape[1], tolerance, "take more steps")


@method(
    "guided-ig",
    title="Guided IG",
    needs=Needs(probe=True),
    space="input",
    signed=True,
    channels="sum",
    paper="arXiv:2106.09788",
    formula="Σ_t ∂S/∂x at x_t · (x_{t+1} − x_t), moving first what the score reacts to least",
    cost="`steps` forwards and backwards, one after another, and 2 forwards, for each baseline",
    limits="The path depends on the network, so two networks that compute the same need not get the same map; one step "
    "at a time, it is slow.",
    prefer="Where Integrated Gradients is noisy, because its straight path crosses steep places that have to do with "
    "nothing in the picture.",
)
def guided_ig(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    evaluate: Evaluate,
    *,
    baseline: Any = 0,
    steps: int = 200,
    fraction: float = 0.25,
    stray: float = 0.02,
    tolerance: float = 0.05,
) -> Noted:
    """Gradients integrated along a path that puts off whatever the score reacts to strongly.

    At each step the input values with the smallest gradients move on until the point is 1/`steps` closer to the input
    (sum of absolute differences). No value may be further than `stray` ahead of or behind the straight line.

    Parameters
    ----------
    x, scores, evaluate : as for `integrated_gradients`.
    baseline : where the path begins, see `whylook.baselines`; several give the mean of their maps.
    steps : how many times the point moves, 1 or more.
    fraction : share of the values that move together, those with the smallest gradients; in (0, 1].
    stray : in [0, 1]; 0 is the straight line, 1 lets the path go anywhere between baseline and input.
    tolerance : as for `integrated_gradients`.

    Returns
    -------
    As `integrated_gradients`.
    """
    from whylook.baselines import all_like
    from whylook.engine.probe import each

    _check_tolerance(tolerance)
    if steps < 1 or not 0 < fraction <= 1 or not 0 <= stray <= 1:
        raise UsageError(
            "guided-ig needs steps of 1 or more, fraction in (0, 1] and stray in [0, 1], "
            f"not {steps}, {fraction} and {stray}."
        )
    starts = all_like(baseline, x)
    ends = [scores(_rows(start, x)).cpu().double() for start in starts]
    targets = range(ends[0].shape[1])
    maps = []
    for start in starts:
        of_start = []
        for k in targets:
            gradient = lambda point, k=k: _flat(evaluate(_shaped(point, x), k)[1])  # noqa: E731
            shares = _guided(_flat(start), _flat(x), gradient, steps, fraction, stray)
            of_start.append(each(lambda v: v[0], _shaped(shares, x)))
        maps.append(_stacked(of_start))
    return _noted(_mean(maps), ends, [steps * len(starts) for _ in targets], tolerance, "take more steps")


def _guided(
    start: Tensor, end: Tensor, gradient: Callable[[Tensor], Tensor], steps: int, fraction: float, stray: float
) -> Tensor:
    """Shares [d] of the values of `end` [d] in the way there from `start` [d]."""
    import torch

    whole = (end - start).abs().sum()
    tiny = 8 * torch.finfo(end.dtype).eps * whole
    rank = 1 + int(fraction * (end.numel() - 1))
    point, shares = start.clone(), torch.zeros_like(end)
    progress = torch.zeros_like(end)  # of each value, 0 at the start and 1 at the end
    still = end == start
    for step in range(1, steps + 1):
        slope = gradient(point)
        size = slope.abs()
        least, most = max(step / steps - stray, 0.0), min(step / steps + stray, 1.0)
        before = point.clone()
        progress = progress.clamp(min=least)
        arrived = still | (progress >= most)
        while True:
            point = torch.where(arrived & (most == 1.0), end, start + progress * (end - start))
            ahead = (end - point).abs().sum() - whole * (1 - step / steps)
            waiting = size.where(~arrived, torch.inf)
            chosen = ~arrived & (waiting <= waiting.kthvalue(rank).values)
            room = ((most - progress) * (end - start).abs() * chosen).sum()
            if not ahead > tiny or not bool(chosen.any()):
                break
            part = float(ahead / room) if room > 0 else math.inf
            if part <= 1:
                progress = torch.where(chosen, progress + part * (most - progress), progress)
                point = start + progress * (end - start)
                break
            progress = torch.where(chosen, torch.full_like(progress, most), progress)
            arrived = arrived | chosen
        shares += (point - before) * slope
    return shares


def _flat(inputs: Inputs) -> Tensor:
    """All values of one row, [d]."""
    return _cat([t.flatten() for t in (inputs if isinstance(inputs, tuple) else (inputs,))])


def _shaped(flat: Tensor, like: Inputs) -> Inputs:
    """Undo `_flat`."""
    if not isinstance(like, tuple):
        return flat.view_as(like)
    import torch

    parts = torch.split(flat, [t.numel() for t in like])
    return tuple(part.view_as(t) for part, t in zip(parts, like, strict=True))


@method(
    "expected-gradients",
    title="Expected Gradients",
    needs=Needs(probe=True),
    space="input",
    signed=True,
    channels="sum",
    background=True,
    paper="arXiv:1906.10670",
    formula="mean of (x − b) · ∂S/∂x at b + α (x − b), over baselines b and α in (0, 1)",
    cost="`samples` forwards and backwards, and a forward per baseline used and one more",
    limits="Sampled: shares add up on average only. As good as the baselines, which should be pictures like those that "
    "the network knows.",
    prefer="Where no single baseline means nothing: give a sample of other pictures.",
)
def expected_gradients(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    gradients: Gradients,
    *,
    baseline: Any = 0,
    samples: int = 50,
    rng: Noise,
) -> Noted:
    """Integrated gradients, averaged over baselines by sampling both the baseline and the place on the path.

    Places are drawn one from each of `samples` equal parts of the path, and baselines in turn, in random order: as the
    paper's independent draws on average, but closer to it.

    Parameters
    ----------
    x, scores, gradients : as for `integrated_gradients`.
    baseline : the background: a tensor [m, …], or what else `whylook.baselines` knows.
    samples : pairs of a baseline and a place on its path, 1 or more.

    Returns
    -------
    As `integrated_gradients`; the shares add up to the difference from the mean score of the baselines that were used.
    """
    return _expected(x, scores, gradients, baseline, samples, 0.0, rng)


@method(
    "gradient-shap",
    title="GradientSHAP",
    needs=Needs(probe=True),
    space="input",
    signed=True,
    channels="sum",
    background=True,
    paper="arXiv:1705.07874",
    formula="mean of (z − b) · ∂S/∂x at b + α (z − b), z = x + noise · (max x − min x) · N(0, 1)",
    cost="`samples` forwards and backwards, and a forward per baseline used and one more",
    limits="As Expected Gradients, and the noise blurs the map; approximates SHAP values only where the score is near "
    "linear and inputs are independent.",
    prefer="Over Expected Gradients where single gradients are noisy.",
)
def gradient_shap(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    gradients: Gradients,
    *,
    baseline: Any = 0,
    samples: int = 50,
    noise: float = 0.1,
    rng: Noise,
) -> Noted:
    """Expected gradients of noisy copies of the input.

    Parameters
    ----------
    x, scores, gradients, baseline, samples : as for `expected_gradients`.
    noise : standard deviation as a fraction of the row's range (max − min), 0 or more; 0 is Expected Gradients.

    Returns
    -------
    As `expected_gradients`.
    """
    return _expected(x, scores, gradients, baseline, samples, noise, rng)


def _expected(
    x: Inputs,
    scores: Callable[[Inputs], Tensor],
    gradients: Gradients,
    baseline: Any,
    samples: int,
    noise: float,
    rng: Noise,
) -> Noted:
    import torch

    from whylook.baselines import rows_like
    from whylook.engine.probe import chunk_rows, each

    if samples < 1 or noise < 0:
        raise UsageError(f"samples must be 1 or more and noise 0 or more, not {samples} and {noise}.")
    background = rows_like(baseline, x)
    count = len(background[0] if isinstance(background, tuple) else background)
    picks = [i for _ in range(-(-samples // count)) for i in rng.order(count)][:samples]
    places = [
        (i + u) / samples for i, u in zip(rng.order(samples), rng.uniform(samples, 1)[:, 0].tolist(), strict=True)
    ]
    rows, total = chunk_rows(x), None
    for i in range(0, samples, rows):
        starts = each(lambda b, i=i: b[picks[i : i + rows]], background)
        ends = x
        if noise:
            ends = each(lambda t, b: t + noise * (t.max() - t.min()) * rng.normal(len(b), t), x, starts)
        points = each(lambda b, z, i=i: b + _column(places[i : i + rows], b) * (z - b), starts, ends)
        part = each(lambda g, b, z: (g * (z - b)).sum(1), gradients(points), starts, ends)
        total = part if total is None else each(torch.add, total, part)
    assert total is not None
    used = scores(each(lambda b: b[sorted(set(picks))], background)).cpu().double()
    often = torch.tensor([picks.count(i) / samples for i in sorted(set(picks))], dtype=torch.float64)
    pair = torch.stack([often @ used, scores(x).cpu().double()[0]])
    values = each(lambda t: t / samples, total)
    return _noted(values, [pair], [samples] * pair.shape[1])


class _Line:
    """Evaluations of one target along a straight line."""

    def __init__(self, start: Inputs, x: Inputs, evaluate: Evaluate, target: int) -> None:
        self._start, self._x, self._evaluate, self._target = start, x, evaluate, target
        size = sum(t.numel() * t.element_size() for t in (x if isinstance(x, tuple) else (x,)))
        self._keep = MOST * size <= _KEPT  # otherwise gradients are made again when the weights are known
        self._kept: dict[float, Inputs] = {}

    def measure(self, at: list[float]) -> list[Any]:
        from whylook.engine.probe import each
        from whylook.quadrature import Node

        values, gradients = self._evaluate(_points(self._start, self._x, at), self._target)
        slopes = _sums(each(lambda g, a, b: g * (b - a), gradients, self._start, self._x))
        if self._keep:
            self._kept |= {place: each(lambda g, i=i: g[i : i + 1], gradients) for i, place in enumerate(at)}
        return [Node(*of) for of in zip(at, values.tolist(), slopes.tolist(), strict=True)]

    def average(self, nodes: Sequence[float], weights: Sequence[float]) -> Inputs:
        """Weighted mean of the gradients, […]."""
        from whylook.engine.probe import each

        def gradients(at: Sequence[float]) -> Inputs:
            if self._keep:
                made = each(lambda *of: _cat(of), *(self._kept[place] for place in at))
            else:
                made = self._evaluate(_points(self._start, self._x, at), self._target)[1]
            return each(lambda g: g[None], made)

        return each(lambda g: g[0], _average(gradients, nodes, weights, self._x))


def _average(
    gradients: Callable[[Sequence[float]], Inputs], nodes: Sequence[float], weights: Sequence[float], x: Inputs
) -> Inputs:
    """Weighted mean [k, …] of the gradients [k, b, …] at `nodes`, a few nodes at a time."""
    from whylook.engine.probe import chunk_rows, each

    rows = chunk_rows(x)
    total: Inputs | None = None
    for i in range(0, len(nodes), rows):
        shares = weights[i : i + rows]
        part = each(lambda g, w=shares: (g * _column(w, g[0])).sum(1), gradients(nodes[i : i + rows]))
        total = part if total is None else each(lambda a, b: a + b, total, part)
    assert total is not None
    return total


def _points(start: Inputs, x: Inputs, at: Sequence[float]) -> Inputs:
    """Inputs [b, …] on the line from `start` [1, …] to `x` [1, …]."""
    from whylook.engine.probe import each

    return each(lambda a, b: a + _column(at, a) * (b - a), start, x)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    """Numbers as [b, 1, …], of the rank, dtype and device of `like`."""
    import torch

    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, *[1] * (like.ndim - 1))


def _rows(*of: Inputs) -> Inputs:
    """Rows one below the other."""
    from whylook.engine.probe import each

    return each(lambda *rows: _cat(rows), *of)


def _cat(rows: Sequence[Tensor]) -> Tensor:
    import torch

    return torch.cat(list(rows))


def _stacked(maps: Sequence[Inputs]) -> Inputs:
    """One more axis in front."""
    import torch

    from whylook.engine.probe import each

    return each(lambda *of: torch.stack(of), *maps)


def _mean(maps: Sequence[Inputs]) -> Inputs:
    from whylook.engine.probe import each

    return each(lambda *of: sum(of[1:], of[0]) / len(of), *maps)


def _sums(values: Inputs) -> Tensor:
    """Sum of each entry of the first axis, over all inputs."""
    parts = values if isinstance(values, tuple) else (values,)
    return sum((v.flatten(1).sum(1) for v in parts[1:]), parts[0].flatten(1).sum(1))


def _rounding(x: Inputs, *scores: float) -> float:
    """What two scores of such sizes may differ by and still be the same, computed in the dtype of `x`."""
    import torch

    dtype = (x[0] if isinstance(x, tuple) else x).dtype
    return 32 * float(torch.finfo(dtype).eps) * max(map(abs, scores))


def _check_tolerance(tolerance: float) -> None:
    if not tolerance > 0:
        raise UsageError(f"tolerance must be above 0, not {tolerance}.")


def _noted(
    values: Inputs,
    ends: Sequence[Tensor],
    evaluations: Sequence[int],
    tolerance: float = math.inf,
    why: str | Sequence[str] = "",
) -> Noted:
    """Maps [k, …] with what their sums miss.

    Parameters
    ----------
    values : the maps.
    ends : for each baseline the scores [2, k] of the baseline and of the input.
    evaluations : per target.
    tolerance : relative residual above which a map carries a warning.
    why : what the warning ends with, for all or per target.
    """
    import torch

    deltas = (sum((e[1] - e[0] for e in ends[1:]), ends[0][1] - ends[0][0]) / len(ends)).tolist()
    sums = _sums(values).tolist()
    residuals = [total - delta for total, delta in zip(sums, deltas, strict=True)]
    relative = [0.0 if r == 0 else abs(r / d) if d else math.inf for r, d in zip(residuals, deltas, strict=True)]
    sizes = torch.cat(list(ends)).abs().amax(0).tolist()
    reasons = [why] * len(deltas) if isinstance(why, str) else why
    warnings: list[str | None] = []
    for total, delta, miss, size, reason in zip(sums, deltas, relative, sizes, reasons, strict=True):
        if not math.isfinite(total) or not math.isfinite(delta):
            warnings.append(_NOT_FINITE)
        elif miss > tolerance and abs(total - delta) > _rounding(values, size):
            warnings.append(
                f"The shares add up to {total:.3g}, but the score differs from the baseline's by {delta:.3g}: a residual of "
                f"{f'{miss:.1%} of' if miss < 10 else 'more than ten times'} that, above {tolerance:.1%}; {reason}."
            )
        else:
            warnings.append(None)
    facts = {"residual": residuals, "relative_residual": relative, "evaluations": evaluations}
    numbers = {name: torch.tensor(of, dtype=torch.float64) for name, of in facts.items()}
    return Noted(values, numbers, warnings if any(warnings) else ())
