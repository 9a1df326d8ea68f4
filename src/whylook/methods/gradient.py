"""Gradients of the score by the input: plain, times the input, and averaged over noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from whylook.errors import UsageError
from whylook.methods.method import Needs, method

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.probe import Inputs, Noise

_COPIES = 64  # noisy copies that exist at once


@method(
    "gradient",
    title="Gradient",
    needs=Needs(gradient=True),
    space="pixels",
    signed=False,
    paper="arXiv:1312.6034",
    formula="max over channels of |∂S/∂x|",
    cost="1 forward, 1 backward",
    limits="Noisy, because it sees only an infinitely small step; vanishes where the score saturates. "
    "In the space of the normalized input: a channel with a small standard deviation weighs less.",
    prefer="As the first look, and as the reference that other maps are compared with.",
)
def gradient(g: Tensor) -> Tensor:
    """How strongly the score reacts to a small change of each pixel.

    Parameters
    ----------
    g : [n, c, *spatial], gradient of the score by the normalized input.

    Returns
    -------
    [n, *spatial], 0 or more, in score units per unit of normalized input; where the input has no channels ([n, d]),
    the absolute value.
    """
    return g.abs().amax(1) if g.ndim > 2 else g.abs()


@method(
    "input-x-gradient",
    title="Input × gradient",
    needs=Needs(gradient=True),
    space="input",
    signed=True,
    channels="sum",
    paper="arXiv:1605.01713",
    formula="x · ∂S/∂x",
    cost="1 forward, 1 backward",
    limits="Zero wherever the normalized input is zero, whatever the network does there: "
    "its baseline is the training set's mean color, not black.",
    prefer="Where the score is near linear in the input; exact for a linear model.",
)
def input_x_gradient(x: Tensor, g: Tensor) -> Tensor:
    """First-order share of each input value in the score, measured from zero in normalized space.

    Parameters
    ----------
    x, g : [n, …], the normalized input and the gradient of the score by it.

    Returns
    -------
    [n, …], signed, in score units.
    """
    return x * g


@method(
    "smoothgrad",
    title="SmoothGrad",
    needs=Needs(probe=True),
    space="input",
    signed=False,
    channels="abs-max",
    paper="arXiv:1706.03825",
    formula="mean of ∂S/∂x over x + noise · (max x − min x) · N(0, 1)",
    cost="`samples` forwards and backwards",
    limits="Shows the average reaction to noisy versions of the picture, which the network may never have been trained "
    "on; the noise level decides how smooth it looks.",
    prefer="Where the plain gradient is too noisy to read.",
)
def smoothgrad(
    x: Inputs, gradients: Callable[[Inputs], Inputs], *, samples: int = 25, noise: float = 0.15, rng: Noise
) -> Inputs:
    """Gradient averaged over noisy copies of the input.

    Parameters
    ----------
    x : [1, …], one row of the input (or a tuple, for several inputs).
    gradients : batch [b, …] -> [k, b, …].
    samples : number of noisy copies, 1 or more.
    noise : standard deviation as a fraction of the row's range (max − min), 0 or more; the paper uses 0.1 to 0.2.

    Returns
    -------
    [k, …], signed, in score units per unit of normalized input.
    """
    return _mean(_noisy("smoothgrad", x, gradients, samples, noise, rng), samples)


@method(
    "smoothgrad-squared",
    title="SmoothGrad²",
    needs=Needs(probe=True),
    space="input",
    signed=False,
    channels="abs-max",
    paper="arXiv:1806.10758",
    formula="mean of (∂S/∂x)² over x + noise · (max x − min x) · N(0, 1)",
    cost="`samples` forwards and backwards",
    limits="As SmoothGrad's; squares let few strong pixels stand out and say nothing of the direction.",
    prefer="For a ranking of pixels by strength: with ROAR, its paper's test, it beat the plain average.",
)
def smoothgrad_squared(
    x: Inputs, gradients: Callable[[Inputs], Inputs], *, samples: int = 25, noise: float = 0.15, rng: Noise
) -> Inputs:
    """Squared gradient averaged over noisy copies of the input.

    Parameters
    ----------
    x, gradients, samples, noise : as for `smoothgrad`.

    Returns
    -------
    [k, …], 0 or more, in squared score units per unit of normalized input.
    """
    from whylook.engine.probe import each

    blocks = _noisy("smoothgrad-squared", x, gradients, samples, noise, rng)
    return _mean((each(lambda g: g.square(), block) for block in blocks), samples)


@method(
    "vargrad",
    title="VarGrad",
    needs=Needs(probe=True),
    space="input",
    signed=False,
    channels="abs-max",
    paper="arXiv:1810.03307",
    formula="variance of ∂S/∂x over x + noise · (max x − min x) · N(0, 1)",
    cost="`samples` forwards and backwards",
    limits="Shows where the gradient changes, not where it is large: zero for a linear model, whatever it uses.",
    prefer="To see where the score is curved around this picture; beside SmoothGrad, never alone.",
)
def vargrad(
    x: Inputs, gradients: Callable[[Inputs], Inputs], *, samples: int = 25, noise: float = 0.15, rng: Noise
) -> Inputs:
    """Variance of the gradient over noisy copies of the input.

    Parameters
    ----------
    x, gradients, samples, noise : as for `smoothgrad`; the variance divides by `samples`, so it is 0 for one.

    Returns
    -------
    [k, …], 0 or more, in squared score units per unit of normalized input.
    """
    from whylook.engine.probe import each

    count, mean, spread = 0, None, None  # spread: sum of squared distances from the mean
    for block in _noisy("vargrad", x, gradients, samples, noise, rng):
        rows = len((block[0] if isinstance(block, tuple) else block)[0])
        there = each(lambda g: g.mean(1), block)
        around = each(lambda g, m: (g - m[:, None]).square().sum(1), block, there)
        if mean is None or spread is None:
            mean, spread = there, around
        else:  # Chan, Golub and LeVeque's way to join the moments of two sets
            share, weight = rows / (count + rows), count * rows / (count + rows)
            spread = each(lambda s, a, m, t, w=weight: s + a + w * (t - m).square(), spread, around, mean, there)
            mean = each(lambda m, t, w=share: m + w * (t - m), mean, there)
        count += rows
    assert spread is not None
    return each(lambda s: s / samples, spread)


def _noisy(
    name: str, x: Inputs, gradients: Callable[[Inputs], Inputs], samples: int, noise: float, rng: Noise
) -> Iterator[Inputs]:
    """Gradients [k, b, …] at noisy copies of one row, some at a time."""
    from whylook.engine.probe import each

    if samples < 1 or noise < 0:
        raise UsageError(f"{name} needs samples of 1 or more and noise of 0 or more, not {samples} and {noise}.")
    for start in range(0, samples, _COPIES):
        count = min(_COPIES, samples - start)
        yield gradients(each(lambda v, n=count: v + noise * (v.max() - v.min()) * rng.normal(n, v), x))


def _mean(blocks: Iterable[Inputs], samples: int) -> Inputs:
    """Mean [k, …] over the second axis of blocks [k, b, …], with `samples` in all."""
    from whylook.engine.probe import each

    total: Inputs | None = None
    for block in blocks:
        part = each(lambda g: g.sum(1), block)
        total = part if total is None else each(lambda a, b: a + b, total, part)
    assert total is not None
    return each(lambda t: t / samples, total)
