"""Work done ahead keeps its order, its errors and its bounds."""

import threading
import time
import warnings

import pytest
import torch
from torch import nn

import whylook
from whylook.ahead import WORKERS, ahead, all_ahead
from whylook.preprocess import Preprocess


def test_results_come_in_order_whatever_takes_longest() -> None:
    def slow_first(i: int) -> int:
        time.sleep(0.05 if i == 0 else 0)
        return i * i

    assert list(ahead(slow_first, range(20))) == [i * i for i in range(20)]
    assert list(ahead(slow_first, [])) == []


def test_an_error_comes_where_its_item_would() -> None:
    def fail(i: int) -> int:
        if i == 3:
            raise ValueError("three")
        return i

    results = ahead(fail, range(9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_no_more_is_begun_than_fits_ahead_and_nothing_is_left_running() -> None:
    begun: list[int] = []
    results = ahead(begun.append, range(100))
    next(results)
    assert len(begun) <= 1 + 3 * WORKERS
    results.close()
    done = len(begun)
    time.sleep(0.02)
    assert len(begun) == done
    assert not any(t.name.startswith("whylook-ahead") for t in threading.enumerate())


def test_warning_filters_are_put_back() -> None:
    def quiet(i: int) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            time.sleep(0.001 * (i % 3))
            return i

    before = list(warnings.filters)
    assert all_ahead(quiet, range(30)) == list(range(30))
    assert list(warnings.filters) == before


def test_a_list_of_pictures_gives_what_each_gives_alone() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    model = whylook.load_model(network, preprocess=Preprocess(input_size=(32, 32)))
    pictures = [torch.rand(40, 50, 3, generator=torch.Generator().manual_seed(i)).numpy() for i in range(7)]
    together = whylook.explain(pictures, model, "grad-cam")
    for picture, one in zip(pictures, together, strict=True):
        alone = whylook.explain(picture, model, "grad-cam")
        assert (alone.maps[0].values == one.maps[0].values).all()
