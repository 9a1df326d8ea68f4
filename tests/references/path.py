"""Path methods."""

from itertools import pairwise

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from references.common import input_jacobian, logit, replicates
from toys import Toy


def score(toy: Toy, x: Tensor, target: int) -> float:
    with torch.no_grad():
        return float(logit(toy, toy(x.clone()), target))


@replicates("integrated-gradients", tolerance=0.5)
def _(toy: Toy, x: Tensor, target: int, tolerance: float) -> np.ndarray:
    """The adaptive scheme once more, with a plain list of places and all gaps looked at anew."""
    known: dict[float, tuple[float, np.ndarray]] = {}

    def at(place: float) -> tuple[float, np.ndarray]:
        if place not in known:
            known[place] = (score(toy, place * x, target), x[0].numpy() * input_jacobian(toy, place * x, target))
        return known[place]

    places = [(2 * i + 1) / 32 for i in range(16)]
    first, last = score(toy, 0 * x, target), score(toy, x, target)
    while True:
        misses = []
        for left, right in pairwise([0.0, *places, 1.0]):
            rise = (last if right == 1 else at(right)[0]) - (first if left == 0 else at(left)[0])
            if left == 0:
                misses.append((rise - right * at(right)[1].sum(), right / 3))
            elif right == 1:
                misses.append((rise - (1 - left) * at(left)[1].sum(), 1 - (1 - left) / 3))
            else:
                slope = (at(left)[1].sum() + at(right)[1].sum()) / 2
                misses.append((rise - (right - left) * slope, (left + right) / 2))
        total = max(abs(sum(m for m, _ in misses)), np.sqrt(sum(m * m for m, _ in misses)))
        steps = [first, *(at(p)[0] for p in places), last]
        traveled = sum(abs(b - a) for a, b in pairwise(steps))
        if total <= tolerance * max(abs(last - first), traveled / 50) or len(places) >= 512:
            break
        places = sorted(
            places + [where for _, where in sorted(misses, key=lambda m: -abs(m[0]))[: min(16, 512 - len(places))]]
        )
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(places)), 1.0]
    return sum((b - a) * at(p)[1] for p, a, b in zip(places, edges[:-1], edges[1:], strict=True))


@replicates("blur-ig", steps=3)
def _(toy: Toy, x: Tensor, target: int, steps: int) -> np.ndarray:
    def blurred(sigma: float) -> np.ndarray:
        picture = x[0].numpy()
        return ndimage.gaussian_filter(picture, (0, sigma, sigma), mode="reflect", truncate=10) if sigma else picture

    strongest, out = 0.25 * 16, np.zeros(x.shape[1:])
    for i in range(steps):
        begin, middle, end = (strongest * (1 - (i + part) / steps) for part in (0, 0.5, 1))
        slope = input_jacobian(toy, torch.as_tensor(blurred(middle))[None], target)
        out += slope * (blurred(0.0 if i + 1 == steps else end) - blurred(begin))
    return out


@replicates("guided-ig", steps=4)
def _(toy: Toy, x: Tensor, target: int, steps: int) -> np.ndarray:
    """Value by value, as coordinates between baseline 0 and the input."""
    goal = x.flatten().tolist()
    share, point = [0.0] * len(goal), [0.0] * len(goal)
    whole = sum(map(abs, goal))
    for step in range(1, steps + 1):
        at = torch.tensor(point, dtype=torch.float64).view_as(x)
        slope = input_jacobian(toy, at, target).ravel().tolist()
        low, high = max(step / steps - 0.02, 0), min(step / steps + 0.02, 1)
        old = list(point)
        point = [p if g == 0 or p / g >= low else low * g for p, g in zip(point, goal, strict=True)]
        done = {i for i, g in enumerate(goal) if g == 0}
        while True:
            excess = sum(abs(g - p) for p, g in zip(point, goal, strict=True)) - whole * (1 - step / steps)
            open_ones = sorted((i for i in range(len(goal)) if i not in done), key=lambda i: abs(slope[i]))
            if excess < 1e-12 * whole or not open_ones:
                break
            last = int(0.25 * (len(goal) - 1))  # counted among all values, as if the finished ones had infinite slopes
            limit = abs(slope[open_ones[last]]) if last < len(open_ones) else np.inf
            movers = [i for i in open_ones if abs(slope[i]) <= limit]
            room = sum(abs(high * goal[i] - point[i]) for i in movers)
            part = excess / room if room else np.inf
            for i in movers:
                point[i] += min(part, 1) * (high * goal[i] - point[i])
            done |= set(movers)
            if part <= 1:
                break
        share = [s + (p - o) * d for s, p, o, d in zip(share, point, old, slope, strict=True)]
    return np.array(share).reshape(x.shape[1:])


def sampled(toy: Toy, x: Tensor, target: int, baseline: Tensor, samples: int, noise: float) -> np.ndarray:
    generator = torch.Generator().manual_seed(0)
    picks: list[int] = []
    while len(picks) < samples:
        picks += torch.randperm(len(baseline), generator=generator).tolist()
    part = torch.randperm(samples, generator=generator).tolist()
    places = [(p + float(torch.rand((), generator=generator))) / samples for p in part]
    out = np.zeros(x.shape[1:])
    for pick, place in zip(picks, places, strict=False):
        end = x
        if noise:
            end = x + noise * (x.max() - x.min()) * torch.randn(x.shape[1:], generator=generator).double()
        start = baseline[pick : pick + 1]
        out += (end - start)[0].numpy() * input_jacobian(toy, start + place * (end - start), target)
    return out / samples


BACKGROUND = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


@replicates("expected-gradients", samples=5, baseline=BACKGROUND)
def _(toy: Toy, x: Tensor, target: int, samples: int, baseline: Tensor) -> np.ndarray:
    return sampled(toy, x, target, baseline, samples, 0)


@replicates("gradient-shap", samples=3, baseline=BACKGROUND)
def _(toy: Toy, x: Tensor, target: int, samples: int, baseline: Tensor) -> np.ndarray:
    return sampled(toy, x, target, baseline, samples, 0.1)
