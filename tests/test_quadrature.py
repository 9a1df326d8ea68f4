"""Fixed rules and adaptive nodes."""

import math

import pytest

from whylook.errors import UsageError
from whylook.quadrature import RULES, Node, adaptive, fixed


@pytest.mark.parametrize("steps", [1, 2, 5, 50])
@pytest.mark.parametrize("rule", RULES)
def test_weights_sum_to_one_and_linear_functions_are_exact(rule: str, steps: int) -> None:
    nodes, weights = fixed(rule, steps)
    assert math.isclose(sum(weights), 1)
    assert math.isclose(sum(w * (3 * t - 1) for t, w in zip(nodes, weights, strict=True)), 0.5)
    assert all(0 <= t <= 1 for t in nodes)
    assert (0.0 in nodes) == (rule == "trapezoid")  # only this one looks at the ends
    assert len(nodes) == steps + (rule == "trapezoid")


def test_gauss_legendre_is_exact_to_twice_its_steps() -> None:
    nodes, weights = fixed("gauss-legendre", 4)
    assert math.isclose(sum(w * t**7 for t, w in zip(nodes, weights, strict=True)), 1 / 8)


@pytest.mark.parametrize(("rule", "steps"), [("simpson", 4), ("midpoint", 0), ("midpoint", 2.0), ("midpoint", True)])
def test_other_rules_and_numbers_are_refused(rule: str, steps: object) -> None:
    with pytest.raises(UsageError):
        fixed(rule, steps)


def integrate(score, slope, tolerance=0.05, most=512):
    asked = []

    def measure(at):
        asked.extend(at)
        return [Node(t, score(t), slope(t)) for t in at]

    nodes, weights = adaptive(measure, score(0.0), score(1.0), tolerance=tolerance, most=most)
    assert sorted(asked) == nodes  # everything evaluated is used, and nothing twice
    assert math.isclose(sum(weights), 1)
    assert all(0 < t < 1 for t in nodes)
    return nodes, sum(w * slope(t) for t, w in zip(nodes, weights, strict=True))


def test_a_straight_line_needs_one_round() -> None:
    nodes, value = integrate(lambda t: 3 * t, lambda t: 3.0)
    assert len(nodes) == 16
    assert math.isclose(value, 3)


@pytest.mark.parametrize("tolerance", [0.05, 1e-3])
def test_nodes_go_where_the_score_jumps(tolerance: float) -> None:
    steep = 400.0  # a logistic that rises within a hundredth

    def score(t):
        return 1 / (1 + math.exp(-steep * (t - 0.731)))

    nodes, value = integrate(score, lambda t: steep * score(t) * (1 - score(t)), tolerance)
    assert abs(value - (score(1) - score(0))) <= tolerance
    assert sum(abs(t - 0.731) < 0.05 for t in nodes) > len(nodes) / 4  # a tenth of the way
    assert len(nodes) <= 128


def test_a_corner_at_the_very_beginning_is_found() -> None:
    nodes, value = integrate(lambda t: min(t, 0.003) / 0.003, lambda t: (t < 0.003) / 0.003)
    assert abs(value - 1) <= 0.05
    assert nodes[0] < 0.003


def test_misses_that_cancel_by_luck_are_not_taken_for_right() -> None:
    # Two jumps, one seen twice too high and one not at all: with 16 nodes the sum happens to be right.
    def slope(t):
        return 32.0 * (abs(t - 3 / 32) < 1 / 64) + 64.0 * (abs(t - 1 / 2) < 1 / 128)

    def score(t):
        first = min(max(t - (3 / 32 - 1 / 64), 0), 1 / 32)
        second = min(max(t - (1 / 2 - 1 / 128), 0), 1 / 64)
        return 32 * first + 64 * second

    plain = sum(slope((i + 0.5) / 16) for i in range(16)) / 16
    assert plain == score(1) == 2
    nodes, value = integrate(score, slope)
    assert len(nodes) > 16
    assert abs(value - 2) <= 0.1


def test_the_most_is_kept_to_and_what_is_not_finite_ends_it() -> None:
    nodes, _ = integrate(lambda t: math.sin(900 * t) + t, lambda t: 900 * math.cos(900 * t) + 1, most=40)
    assert len(nodes) == 40
    nodes, _ = integrate(lambda t: math.nan, lambda t: math.nan)
    assert len(nodes) == 16


def test_a_small_rest_of_large_ups_and_downs_does_not_go_on_forever() -> None:
    nodes, value = integrate(lambda t: math.sin(2 * math.pi * t), lambda t: 2 * math.pi * math.cos(2 * math.pi * t))
    assert len(nodes) < 100
    assert abs(value) <= 0.05 * 4 / 50
