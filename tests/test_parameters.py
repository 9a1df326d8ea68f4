"""Parameters of methods and metrics are checked by one function: names, kinds, and numbers of other libraries."""

import numpy as np
import pytest
import torch

import whylook
from toys import batch, build
from whylook.errors import UsageError
from whylook.methods import METHODS
from whylook.metrics import METRICS, Case, measure
from whylook.parameters import check_seed, complete


def function(x, *, steps=None, noise=0.1, shares=(0.5,), rule="a", kind=None, free=0) -> None:
    """Has one parameter of each kind."""


function.__annotations__ = {
    "steps": "int | None", "noise": "float", "shares": "Sequence[float]", "rule": "str", "kind": "Rule | None",
    "free": "Any",
}  # fmt: skip
DEFAULTS = {"steps": None, "noise": 0.1, "shares": (0.5,), "rule": "a", "kind": None, "free": 0}


def test_what_fits_is_taken_and_numbers_of_numpy_become_python_s() -> None:
    given = {"steps": np.int64(3), "noise": np.float32(0.25), "shares": [np.float64(0.5), 1], "free": "x"}
    own = complete("me", function, DEFAULTS, given)
    assert own == {**DEFAULTS, "steps": 3, "noise": 0.25, "shares": (0.5, 1), "free": "x"}
    assert [type(own[n]) for n in ("steps", "noise")] == [int, float]
    assert complete("me", function, DEFAULTS, {"steps": None, "kind": None, "noise": 1}) == {**DEFAULTS, "noise": 1}


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("steps", ["a", 1.5, True, [1, 2], float("inf"), object()], "a whole number"),
        ("noise", ["a", None, True, float("nan"), float("inf"), [0.1], 1j], "a finite number"),
        ("shares", ["a", None, 0.5, [], ["a"], [float("nan")]], "a list of finite numbers"),
        ("rule", [None, 3, "", ["a"]], "a name"),
        ("kind", [""], "a name"),
    ],
)
def test_what_is_of_another_kind_is_refused(name: str, values: list[object], kind: str) -> None:
    for value in values:
        with pytest.raises(UsageError, match=f"{name} of me must be {kind}"):
            complete("me", function, DEFAULTS, {name: value})


@pytest.mark.parametrize("value", ["abc", [1, 2], float("nan"), True])
def test_every_number_of_every_method_and_metric_is_checked(value: object) -> None:
    """Metrics took any value before, and parameters without a number as default ended in Python's own errors."""
    checked = 0
    for registry in (METHODS, METRICS):
        for entry in registry:
            for name, default in entry.parameters.items():
                if name in ("steps", "samples", "cells", "draws", "stages", "orders", "noise", "share", "radius"):
                    checked += 1
                    with pytest.raises(UsageError, match=f"{name} of {entry.name} must be"):
                        complete(entry.name, entry.function, entry.parameters, {name: value})
                    assert complete(entry.name, entry.function, entry.parameters, {name: default})[name] == default
    assert checked > 40


def test_metrics_and_methods_refuse_alike() -> None:
    with pytest.raises(UsageError, match="steps of deletion must be a whole number, not 'abc'"):
        measure("deletion", Case(np.ones((4, 4))), steps="abc")
    toy = build("plain")
    for bad in ({"steps": "abc"}, {"steps": [5, 6]}, {"steps": float("inf")}, {"rule": ""}):
        with pytest.raises(UsageError, match="of integrated-gradients must be"):
            whylook.attribute(toy, batch(toy), "integrated-gradients", 0, **bad)


def test_numbers_of_numpy_give_the_same_map() -> None:
    toy = build("plain")
    x = batch(toy, 1)
    plain = whylook.attribute(toy, x, "integrated-gradients", 0, steps=4, tolerance=0.5)
    theirs = whylook.attribute(toy, x, "integrated-gradients", 0, steps=np.int64(4), tolerance=np.float64(0.5))
    assert torch.equal(plain, theirs)


@pytest.mark.parametrize("name", ["seed", "layer", "score", "against"])
def test_what_is_given_once_for_all_methods_is_not_one_s_own(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is not smoothgrad's own: give it once for all methods"):
        METHODS["smoothgrad"].fill({name: 1})


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "a", None, True])
def test_a_seed_that_no_generator_takes_is_refused(seed: object) -> None:
    toy = build("plain")
    for ask in (
        lambda: check_seed(seed),
        lambda: whylook.attribute(toy, batch(toy), "smoothgrad", 0, seed=seed, samples=2),
        lambda: whylook.explain(np.zeros((64, 64), np.uint8), "phantom:vgg", "smoothgrad", seed=seed),
    ):
        with pytest.raises(UsageError, match="seed must be a whole number from 0"):
            ask()


def test_the_largest_seed_works() -> None:
    toy = build("plain")
    first, second = (whylook.attribute(toy, batch(toy, 1), "rise", 0, seed=s, samples=8) for s in (2**63 - 1, 0))
    assert not torch.equal(first, second)
