"""Integrals over [0, 1] from few evaluations: fixed rules, and nodes that go where the integral is not yet right."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from whylook.errors import UsageError

Rule = Literal["gauss-legendre", "midpoint", "trapezoid"]
RULES: tuple[Rule, ...] = ("gauss-legendre", "midpoint", "trapezoid")


def fixed(rule: Rule, steps: int) -> tuple[list[float], list[float]]:
    """Nodes in [0, 1] and their weights, which sum to 1.

    Parameters
    ----------
    rule : `gauss-legendre`, `midpoint`, or `trapezoid` (which has one node more than steps: both ends).
    steps : 1 or more.

    Raises
    ------
    UsageError
        For another rule or number.
    """
    if rule not in RULES:
        raise UsageError(f"There is no rule {rule!r}; there are {', '.join(RULES)}.")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise UsageError(f"steps must be a whole number, 1 or more, not {steps!r}.")
    if rule == "midpoint":
        return [(i + 0.5) / steps for i in range(steps)], [1 / steps] * steps
    if rule == "trapezoid":
        ends = [0.5 / steps]
        return [i / steps for i in range(steps + 1)], ends + [1 / steps] * (steps - 1) + ends
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return ((nodes + 1) / 2).tolist(), (weights / 2).tolist()


class Node(NamedTuple):
    """A place in [0, 1] where the integral's antiderivative (`score`) and its derivative (`slope`) are known."""

    at: float
    score: float
    slope: float


def adaptive(
    measure: Callable[[list[float]], Sequence[Node]],
    first: float,
    last: float,
    *,
    tolerance: float,
    most: int,
    together: int = 16,
    rounding: float = 0.0,
) -> tuple[list[float], list[float]]:
    """Nodes inside (0, 1), and weights that sum to 1, whose weighted slopes add up to `last - first`.

    The nodes start in the middles of equal segments. In each gap between two of them the trapezoid estimate from their
    slopes is compared with the true difference of their scores (before the first and behind the last node, that node's
    slope alone), and the gaps that miss most get another node, until the sum over all gaps is right, and would be if the
    misses did not cancel by luck (the root of their sum of squares is as small). Every evaluation is used in the end, and
    the ends themselves are not evaluated: a gradient can have a kink there.

    Parameters
    ----------
    measure : gives a `Node` for each of the places asked for.
    first, last : the score at 0 and at 1.
    tolerance : stop where the weighted slopes miss `last - first` by no more than this share of it. Where it is less
        than a 50th of all that the score goes up and down on the way, of that 50th.
    most : stop after so many evaluations, in tolerance or not.
    rounding : what scores may differ by and still be the same; a smaller miss is none.
    together : evaluations per round; constant, so that a result depends on nothing but the function.
    """
    nodes = sorted(measure([(i + 0.5) / together for i in range(together)]))
    while True:
        gaps = _gaps(nodes, first, last)
        traveled = sum(abs(b - a) for a, b in pairwise([first, *(n.score for n in nodes), last]))
        enough = max(tolerance * max(abs(last - first), traveled / 50), rounding)
        missing = max(abs(sum(miss for miss, _ in gaps)), math.hypot(*(miss for miss, _ in gaps)))
        room = min(together, most - len(nodes))
        if missing <= enough or room < 1 or math.isnan(missing):
            return [n.at for n in nodes], _weights(nodes)
        worst = sorted(range(len(gaps)), key=lambda i: (-abs(gaps[i][0]), i))[:room]
        for node in measure(sorted(gaps[i][1] for i in worst)):
            insort(nodes, node)


def _gaps(nodes: Sequence[Node], first: float, last: float) -> list[tuple[float, float]]:
    """For each gap by how much its estimate misses, and where a node would divide it."""
    head, tail = nodes[0], nodes[-1]
    gaps = [(head.score - first - head.slope * head.at, head.at / 3)]
    for a, b in pairwise(nodes):
        gaps.append((b.score - a.score - (a.slope + b.slope) / 2 * (b.at - a.at), (a.at + b.at) / 2))
    rest = 1 - tail.at
    return [*gaps, (last - tail.score - tail.slope * rest, 1 - rest / 3)]


def _weights(nodes: Sequence[Node]) -> list[float]:
    """Half of the gap on either side; at the ends all of it."""
    edges = [0.0, *((a.at + b.at) / 2 for a, b in pairwise(nodes)), 1.0]
    return [b - a for a, b in pairwise(edges)]
