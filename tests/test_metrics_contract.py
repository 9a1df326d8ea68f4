"""What every metric must pass, over the registry: a new metric is tested here without another edit."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from toys import Toy, batch, build
from whylook.engine.request import Request
from whylook.engine.targets import Score as Explained
from whylook.errors import UsageError
from whylook.geometry import Geometry
from whylook.methods import METHODS
from whylook.metrics import METRICS, Case, Metric, Score, measure, metric
from whylook.metrics.region import Region
from whylook.perturbed import Perturbed, perturbing
from whylook.remake import Remake

NAMES = METRICS.names()
TOYS = ("plain", "batch-norm", "in-place", "tokens", "flatten-head", "one-logit")
SIZE = (16, 16)
every_metric = pytest.mark.parametrize("name", NAMES)


def region() -> Region:
    labels = np.zeros(SIZE, int)
    labels[2:6, 3:9], labels[11:14, 10:14] = 1, 2
    return Region.of(labels, Geometry(SIZE, SIZE, (1.0, 1.0), (0.0, 0.0)))


def gradient_map(toy: Toy, x: torch.Tensor) -> Remake:
    return Remake.by(Request(METHODS["input-x-gradient"]), toy, x, 1, toy.classes, Explained())


@contextmanager
def case(toy: Toy, x: torch.Tensor, values: np.ndarray | None = None, seed: int = 0) -> Iterator[Case]:
    """A map of the toy with everything that a metric can ask for beside it."""
    remake = gradient_map(toy, x)
    other = np.random.default_rng(9).normal(size=(8, 8))
    with perturbing(toy, x, seed=seed) as board:
        yield Case(remake() if values is None else values, region(), other, Perturbed(board, 1), remake, seed)


def one(name: str, toy: Toy, x: torch.Tensor, values: np.ndarray | None = None, seed: int = 0) -> Score:
    with case(toy, x, values, seed) as given:
        return measure(name, given)


@every_metric
def test_facts_are_complete(name: str) -> None:
    asked: Metric = METRICS[name]
    assert asked.paper.startswith(("arXiv:", "doi:")) or asked.paper == "none"
    for fact in (asked.title, asked.summary, asked.formula, asked.cost, asked.limits):
        assert len(fact) > 2
    assert asked.better in ("higher", "lower", None)
    assert asked.range[0] < asked.range[1]
    assert isinstance(asked.chance, str) or asked.range[0] <= asked.chance <= asked.range[1]
    assert "Returns" in (asked.function.__doc__ or ""), "say range and meaning of what comes back"


@every_metric
@pytest.mark.parametrize("toy_name", TOYS)
def test_a_value_in_range_or_a_reason(name: str, toy_name: str) -> None:
    toy = build(toy_name)
    low, high = METRICS[name].range
    for row in range(2):
        found = one(name, toy, batch(toy, 2)[row : row + 1])
        assert (found.value is None) == (found.reason is not None)
        if found.value is None:
            assert name in ("deletion-gap", "insertion-gap"), found.reason  # a toy's score may rise without the picture
            continue
        assert low <= found.value <= high
        assert math.isfinite(found.value)
        if found.interval:
            assert found.interval[0] <= found.value + 1e-9
            assert found.value - 1e-9 <= found.interval[1]
        assert found.n is None or found.n >= 1
        assert len({len(c) for c in found.curves.values()}) <= 1
        assert all(isinstance(v, float) for v in found.facts.values())
        if isinstance(METRICS[name].chance, float) and found.chance is not None:
            assert found.chance == METRICS[name].chance


@every_metric
def test_maps_that_say_nothing_are_no_error(name: str) -> None:
    toy = build("plain")
    x = batch(toy, 1)
    for values in (np.zeros(SIZE), np.ones(SIZE), -np.ones((4, 4)), np.ones((1, 1))):
        found = one(name, toy, x, values)
        assert (found.value is None) == (found.reason is not None)
    for bad in (np.nan, np.inf, -np.inf):
        values = np.ones(SIZE)
        values[3, 3] = bad
        assert one(name, toy, x, values).reason == "the map is not finite"
    with pytest.raises(UsageError, match="two axes"):
        one(name, toy, x, np.ones((3, 16, 16)))


@every_metric
def test_what_is_missing_is_named(name: str) -> None:
    alone = measure(name, Case(np.random.default_rng(0).random(SIZE)))
    if METRICS[name].needs == "map":
        assert alone.value is not None
    else:
        assert alone.value is None
        assert alone.reason


@every_metric
def test_same_seed_same_score_and_company_changes_no_bit(name: str) -> None:
    toy = build("batch-norm").float()
    x = batch(toy, 1).float()
    alone = one(name, toy, x, seed=3)
    assert one(name, toy, x, seed=3) == alone
    torch.manual_seed(1)
    expected_next = torch.rand(2)
    torch.manual_seed(1)
    with case(toy, x, seed=3) as given:
        for other in reversed(NAMES):
            if other != name:
                measure(other, given)
        assert measure(name, given) == alone
    assert torch.equal(torch.rand(2), expected_next)


@pytest.mark.parametrize("name", [n for n in NAMES if METRICS[n].seeded and n != "random-target"])
def test_the_seed_matters_where_numbers_are_drawn(name: str) -> None:
    toy = build("flatten-head")
    x = batch(toy, 1)
    flat = None if METRICS[name].needs == "remake" else np.ones(SIZE)  # all ties: the order is drawn
    assert len({one(name, toy, x, flat, seed=s).value for s in range(4)}) > 1


@every_metric
def test_the_network_is_bit_identical_afterwards(name: str) -> None:
    toy = build("batch-norm").train()
    for p in toy.parameters():
        p.grad = torch.ones_like(p)
    before = copy.deepcopy(toy.state_dict())
    flags = [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in toy.modules()]
    one(name, toy, batch(toy, 1))
    assert [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in toy.modules()] == flags
    assert all(torch.equal(v, before[k]) for k, v in toy.state_dict().items())
    assert all(p.requires_grad and bool((p.grad == 1).all()) for p in toy.parameters())


@every_metric
def test_works_where_gradients_are_off(name: str) -> None:
    toy = build("plain")
    x = batch(toy, 1)
    expected = one(name, toy, x)
    with torch.no_grad():
        assert one(name, toy, x) == expected
    with torch.inference_mode():
        assert one(name, toy, x) == expected


@every_metric
@pytest.mark.parametrize("factor", [2.0**-80, 2.0**9])
def test_the_scale_of_the_map_does_not_matter_unless_it_is_said(name: str, factor: float) -> None:
    for toy_name in TOYS:  # on some a score rises where the picture is filled in, which leaves no gap
        toy = build(toy_name)
        x = batch(toy, 1)
        values = gradient_map(toy, x)()
        plain, scaled = (one(name, toy, x, v) for v in (values, values * factor))
        if plain.value is not None:
            break
    assert plain.value is not None
    if METRICS[name].scale_free:
        assert scaled.value == pytest.approx(plain.value, rel=1e-6, abs=1e-9)
    else:
        assert scaled.value != pytest.approx(plain.value, rel=1e-6)


@every_metric
def test_unknown_parameters_are_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has no parameter 'colour'"):
        measure(name, Case(np.ones(SIZE)), colour=3)


def test_unknown_metrics_get_a_hint() -> None:
    with pytest.raises(UsageError, match="did you mean enrichment"):
        measure("enrichmnt", Case(np.ones(SIZE)))


def test_a_metric_that_asks_for_what_it_does_not_need_is_refused() -> None:
    facts = {"title": "T", "better": None, "range": (0, 1), "chance": 0.0, "paper": "none",
             "formula": "f", "cost": "c", "limits": "l"}  # fmt: skip
    with pytest.raises(TypeError, match="coverage"):
        metric("greedy", **facts)(lambda values, coverage: 0.0)
    with pytest.raises(ValueError, match="twice"):
        metric("mass", **facts)(lambda values: 0.0)
