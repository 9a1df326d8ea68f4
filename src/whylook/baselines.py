"""What stands for "nothing there": the input that a map is measured against, from numbers, tensors, names and pictures.

Every method with a parameter `baseline` takes the same values:

- a number: each value of the normalized input, so that 0 is the mean color of the training set;
- a tensor (or array): [n, …] one per row, [1, …] or […] one for all, or what broadcasts to these;
- `mean`, `min`, `max`: each channel's mean, smallest or largest value in the picture, as one color; `blur`: the picture,
  Gaussian-blurred by a tenth of its shorter side (its edges mirrored). All are made of the input alone;
- `black`, `white`, `noise` (uniform in all that a picture can be, seeded), a picture's path or an `Image`: these need to
  know how pictures are prepared, so they are for `explain`, which knows;
- a list (or tuple) of these: one map each, averaged. For a network with several inputs a tuple is one per input.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whylook.errors import UsageError
from whylook.image import Image, load_image

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.engine.probe import Inputs
    from whylook.preprocess import Preprocess

OF_THE_INPUT = ("mean", "min", "max", "blur")
OF_THE_PREPARATION = ("black", "white", "noise")
BLUR = 0.1  # standard deviation of the `blur` baseline, as a share of the picture's shorter side


def check(baseline: Any) -> None:
    """Refuse a baseline that cannot be right whatever the network and the picture.

    Raises
    ------
    UsageError
        If it is of an unknown kind, not finite, an empty list, or neither a name nor a picture's path.
    """
    if isinstance(baseline, list | tuple):
        if not baseline:
            raise UsageError("baseline is an empty list; give at least one.")
        for one in baseline:
            check(one)
        return
    if isinstance(baseline, str | Path):
        # Path.is_file raises for what is too long to be a file's name.
        if baseline not in (*OF_THE_INPUT, *OF_THE_PREPARATION) and not os.path.isfile(baseline):  # noqa: PTH113
            raise UsageError(
                f"baseline={str(baseline)!r} is neither a picture's path nor one of "
                f"{', '.join((*OF_THE_PREPARATION, *OF_THE_INPUT))}."
            )
    elif isinstance(baseline, int | float) and not isinstance(baseline, bool):
        if not math.isfinite(baseline):
            raise UsageError(f"baseline={baseline!r} is not a finite number.")
    elif not isinstance(baseline, Image) and not hasattr(baseline, "__array__"):
        raise UsageError(f"baseline={baseline!r} is not a number, a tensor, a name, a picture or a list of these.")


def one_like(baseline: Any, x: Inputs) -> Inputs:
    """Bring one baseline to the shape, dtype and device of `x`.

    Parameters
    ----------
    baseline : see the module; for several inputs a tuple with one per input, or one value for all of them.
    x : [n, …], or a tuple of such.

    Returns
    -------
    As `x`.

    Raises
    ------
    UsageError
        If the shape does not fit, values are not finite, several baselines are given where one is meant, or a name
        needs to know how pictures are prepared.
    """
    if not isinstance(x, tuple):
        return _fitted(baseline, x)
    if not isinstance(baseline, tuple):
        return tuple(_fitted(baseline, t) for t in x)
    if len(baseline) != len(x):
        raise UsageError(f"baseline has {len(baseline)} entries for {len(x)} inputs; a tuple is one per input.")
    return tuple(_fitted(b, t) for b, t in zip(baseline, x, strict=True))


def all_like(baseline: Any, x: Inputs) -> list[Inputs]:
    """Bring one or several baselines to the shape of `x`; several are a list, or a tuple where `x` is one tensor."""
    check(baseline)
    several = isinstance(baseline, list) or (isinstance(baseline, tuple) and not isinstance(x, tuple))
    return [one_like(b, x) for b in (baseline if several else [baseline])]


def rows_like(baseline: Any, x: Inputs) -> Inputs:
    """Bring a set of baselines to rows [m, …] of the shape, dtype and device of `x` [1, …] (or a tuple of such).

    Parameters
    ----------
    baseline : a tensor [m, …], anything else that is one baseline, or a list of these, one below the other.
    x : one row, or a tuple of one row each.
    """
    import torch

    check(baseline)
    if isinstance(x, tuple):
        per_input = baseline if isinstance(baseline, tuple) else (baseline,) * len(x)
        if len(per_input) != len(x):
            raise UsageError(f"baseline has {len(per_input)} entries for {len(x)} inputs; a tuple is one per input.")
        parts = [_rows_of(b, t) for b, t in zip(per_input, x, strict=True)]
        most = max(len(p) for p in parts)
        if any(len(p) not in (1, most) for p in parts):
            raise UsageError(f"The inputs' baselines have {[len(p) for p in parts]} rows; give equally many.")
        return tuple(p.expand(most, *p.shape[1:]) for p in parts)
    several = baseline if isinstance(baseline, list | tuple) else [baseline]
    return torch.cat([_rows_of(b, x) for b in several])


def of_row(baseline: Any, row: int, x: tuple[Tensor, ...]) -> Any:
    """What is left of `baseline` for one row of `x`: of tensors with one entry per row, that row's.

    Parameters
    ----------
    baseline : as the caller gave it.
    row : 0 to n - 1.
    x : the whole batch, each input [n, …].
    """
    if isinstance(baseline, list):
        return [of_row(b, row, x) for b in baseline]
    if isinstance(baseline, tuple):
        per_input = x if len(x) > 1 and len(x) == len(baseline) else (x[0],) * len(baseline)
        return tuple(of_row(b, row, (t,)) for b, t in zip(baseline, per_input, strict=True))
    if hasattr(baseline, "__array__") and baseline.ndim == x[0].ndim and len(baseline) == len(x[0]):
        return baseline[row : row + 1]
    return baseline


def prepared(baseline: Any, preprocess: Preprocess, x: Tensor, seed: int = 0) -> Any:
    """Replace names and pictures in `baseline` by tensors [1, c, h, w] in the space of `x`; the rest stays.

    Parameters
    ----------
    baseline : see the module.
    preprocess : how pictures become inputs of this network.
    x : [1, c, h, w], the picture as input.
    seed : of `noise`.
    """
    import torch

    if isinstance(baseline, list | tuple):
        return [prepared(b, preprocess, x, seed) for b in baseline]
    if isinstance(baseline, Image):
        return preprocess.apply(baseline)[None].to(x)
    if not isinstance(baseline, str | Path) or baseline in OF_THE_INPUT:
        return baseline
    if baseline not in OF_THE_PREPARATION:
        return preprocess.apply(load_image(baseline))[None].to(x)
    shape = x.shape[1:]
    if baseline == "noise":
        unit = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    else:
        unit = torch.full(shape, 0.0 if baseline == "black" else 1.0)
    return preprocess.normalize(unit)[None].to(x)


def draws(baseline: Any) -> bool:
    """Whether random numbers go into `baseline`."""
    return (
        baseline == "noise"
        if isinstance(baseline, str)
        else (isinstance(baseline, list | tuple) and any(draws(b) for b in baseline))
    )


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Blur [n, c, *spatial] along its spatial axes by a Gaussian of standard deviation `sigma` (in cells, 0 or more).

    The picture goes on mirrored beyond its edges, so that a picture of one color stays as it is.
    """
    if sigma == 0:
        return x
    axes = tuple(range(2, x.ndim))
    low, high = x.amin(axes, keepdim=True), x.amax(axes, keepdim=True)
    for axis in axes:
        x = (x.movedim(axis, -1) @ _mirrored_gaussian(x.shape[axis], sigma).to(x)).movedim(-1, axis)
    return x.clamp(low, high)  # rounding must not take a picture of one color away from it: its map would be noise


def _mirrored_gaussian(size: int, sigma: float) -> Tensor:
    """Return the symmetric matrix [size, size], float64, that blurs a row whose mirror images go on forever."""
    import torch

    # A Gaussian this wide leaves less than 1e-30 of the slowest wave: any wider one is the same mean.
    sigma = min(sigma, 4.0 * size)
    reach = math.ceil(6 * sigma) + size
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = (-((offsets / sigma) ** 2) / 2).exp()
    weights = weights / weights.sum()
    # Beyond the edge, position j shows what is at its mirror image: … 1 0 | 0 1 … size-1 | size-1 size-2 …
    places = torch.arange(size)[:, None] + offsets.long()
    places = places.remainder(2 * size)
    places = torch.where(places < size, places, 2 * size - 1 - places)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, places, weights.expand(size, -1)).T


def _fitted(baseline: Any, x: Tensor) -> Tensor:
    import torch

    check(baseline)
    if isinstance(baseline, int | float):
        return torch.full_like(x, baseline)
    if isinstance(baseline, str) and baseline in OF_THE_INPUT:
        if x.ndim < 3:
            raise UsageError(f"baseline={baseline!r} is made of a picture [n, c, h, w]; the input is {list(x.shape)}.")
        # Row by row, so that a batch changes no bit.
        return torch.cat([_of_the_input(baseline, row) for row in torch.split(x, 1)])
    if isinstance(baseline, str | Path | Image):
        raise UsageError(
            f"baseline={getattr(baseline, 'name', str(baseline))!r} can be made only where it is known how pictures are "
            "prepared: give it to explain, or give attribute the prepared tensor."
        )
    if isinstance(baseline, list | tuple):
        raise UsageError(f"{len(baseline)} baselines are given where one is meant; give one.")
    values = torch.as_tensor(baseline).to(x)
    if values.ndim > x.ndim or not _broadcasts(tuple(values.shape), tuple(x.shape)):
        raise UsageError(
            f"baseline has shape {list(values.shape)}, the input {list(x.shape)}; give one row, one per row, or a number."
        )
    if not bool(values.isfinite().all()):
        raise UsageError("baseline has values that are not finite.")
    return values.expand_as(x).clone()


def _rows_of(baseline: Any, x: Tensor) -> Tensor:
    if isinstance(baseline, list | tuple):
        import torch

        return torch.cat([_rows_of(b, x) for b in baseline])
    rows = len(baseline) if hasattr(baseline, "__array__") and baseline.ndim == x.ndim else 1
    return _fitted(baseline, x.expand(rows, *x.shape[1:]))


def _of_the_input(name: str, x: Tensor) -> Tensor:
    if name == "blur":
        return blurred(x, BLUR * min(x.shape[2:]))
    axes = tuple(range(2, x.ndim))
    low, high = x.amin(axes, keepdim=True), x.amax(axes, keepdim=True)
    # Rounding must not take the mean of one color away from it.
    made = x.mean(axes, keepdim=True).clamp(low, high) if name == "mean" else low if name == "min" else high
    return made.expand_as(x)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    # A missing batch axis may be left out, but a row's own axes may not slip into its place.
    return all(a in (1, b) for a, b in zip(reversed(shape), reversed(to), strict=False))
