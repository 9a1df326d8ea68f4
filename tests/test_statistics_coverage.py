"""How often a nominal 95 % interval holds the truth; `Estimate.coverage` quotes these figures."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from whylook.statistics import mean_interval

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray | None]]


def alone(draw: Callable[[np.random.Generator, int], np.ndarray]) -> Draw:
    return lambda rng, n: (draw(rng, n), None)


def patients(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """One to seven pictures each; what is the patient's own counts as much as what is the picture's."""
    label = np.repeat(np.arange(n), rng.integers(1, 8, n))
    return rng.normal(size=n)[label] + rng.normal(size=len(label)), label


NORMAL = alone(lambda rng, n: rng.normal(size=n))
HEAVY = alone(lambda rng, n: rng.standard_t(3, n))
EXPONENTIAL = alone(lambda rng, n: rng.exponential(size=n) - 1)
MOSTLY_ZERO = alone(lambda rng, n: rng.choice([-1.0, 0.0, 1.0], n, p=[0.05, 0.8, 0.15]) - 0.1)
FIFTH = alone(lambda rng, n: (rng.random(n) < 0.2) * rng.normal(1, 1, n) - 0.2)
TENTH = alone(lambda rng, n: (rng.random(n) < 0.1) * rng.exponential(1, n) - 0.1)
LOG_NORMAL = alone(lambda rng, n: rng.lognormal(0, 0.7, n) - math.exp(0.245))


def coverage(draw: Draw, n: int, runs: int) -> float:
    rng, inside = np.random.default_rng(n), 0
    for run in range(runs):
        values, groups = draw(rng, n)
        estimate = mean_interval(values, groups, resamples=499, seed=run)
        inside += estimate.low <= 0 <= estimate.high
    return inside / runs


@pytest.mark.parametrize("n", [30, 60])
@pytest.mark.parametrize(
    "draw", [NORMAL, HEAVY, EXPONENTIAL, MOSTLY_ZERO, patients], ids=["normal", "heavy", "exponential", "zero", "groups"]
)  # fmt: skip
def test_from_thirty_units_on_95_percent_is_93_to_97(draw: Draw, n: int) -> None:
    # ± 1.5 % beyond that is what 600 runs leave open
    assert 0.93 - 0.015 <= coverage(draw, n, 600) <= 0.97 + 0.015


def test_below_thirty_units_what_is_said() -> None:
    assert coverage(NORMAL, 8, 600) == pytest.approx(0.95, abs=0.02)
    assert coverage(patients, 12, 600) == pytest.approx(0.94, abs=0.03)
    assert coverage(EXPONENTIAL, 8, 600) == pytest.approx(0.90, abs=0.025)
    assert coverage(MOSTLY_ZERO, 8, 600) < 0.9
    assert coverage(LOG_NORMAL, 30, 600) == pytest.approx(0.915, abs=0.025)


def test_where_few_units_differ_what_is_said() -> None:
    assert coverage(FIFTH, 30, 600) == pytest.approx(0.90, abs=0.03)
    assert coverage(TENTH, 30, 600) < 0.8
