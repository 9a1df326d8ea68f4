"""Where the trust card's thresholds come from: exact on made-up rows, written down, and up to date."""

from pathlib import Path

import numpy as np
import pytest

from whylook.phantom.calibrate import same
from whylook.phantom.page import BEGIN, END
from whylook.phantom.thresholds import derive, frozen, kind, markdown, passes, rates, supported
from whylook.trustcard.verdicts import STATISTICS
from whylook.trustcard.verdicts import frozen as shipped


def row(what: str, number: int, value: float, *, similar: float = 0.2, dense: float = 8.0) -> dict:
    """One measured map whose every statistic is `value`."""
    return {
        "kind": what, "method": "gradient", "network": f"net {number % 10}", "seed": number % 5,
        "cells": 4096, "drops": [0.2, 4.0, -0.1], "enrichment": {c: [dense, value] for c in ("lesion", "marker", "catheter")},
        "statistics": {**dict.fromkeys(STATISTICS, value), "learned": similar},
    }  # fmt: skip


@pytest.fixture
def rows() -> list[dict]:
    blind = [row("random", i, i / 100, similar=1.0) for i in range(100)]
    untrained = [row("untrained", i, i / 100) for i in range(100)]
    return blind + untrained + [row("map", i, 1 + i / 100, similar=i / 200) for i in range(100)]


def test_one_blind_map_in_twenty_passes(rows: list[dict]) -> None:
    limits = derive(rows)
    blind = [r for r in rows if r["kind"] == "random"]
    for question in ("dependence", "stability", "agreement", "place"):
        assert sum(passes(r, question, limits) for r in blind) == 4, limits  # of 100, and a fifth would be over
    untrained = [r for r in rows if r["kind"] == "untrained"]
    assert sum(passes(r, "reliance", limits) for r in untrained) == 4
    assert limits["learned"] == pytest.approx((95 / 200 + 1) / 2, abs=0.01)  # halfway to the explainers at 1
    assert not any(supported(r, limits) for r in blind)
    assert all(supported(r, limits) for r in rows if r["kind"] == "map")


def test_coarse_maps_have_a_threshold_of_their_own(rows: list[dict]) -> None:
    coarse = [{**row("random", i, i / 200), "cells": 16} for i in range(100)]
    limits = derive(rows + coarse)
    assert limits["dependence:16"] == pytest.approx(limits["dependence"] / 2, abs=0.01)
    assert "dependence:64" not in limits  # no map of that grain was measured
    maps = [{**r, "statistics": {**r["statistics"], "dependence": 0.6}} for r in coarse[:1]]
    assert passes(maps[0], "dependence", limits)
    assert not passes({**maps[0], "cells": 17}, "dependence", limits)


def test_what_a_map_is_called_rests_on_the_counterfactual_drop() -> None:
    assert kind(row("map", 0, 1.0, dense=3.0)) == "right"
    assert kind(row("map", 0, 1.0, dense=2.9)) == "between"
    assert kind(row("map", 0, 1.0, dense=1.0)) == "wrong"
    assert kind({**row("map", 0, 1.0), "drops": [0.9, 0.1, 0.0]}) == "unclear"
    assert kind(row("sobel", 0, 1.0)) == "sobel"


def test_a_map_is_judged_without_its_own_training_seed(rows: list[dict]) -> None:
    # All blind maps of seed 3 score high: thresholds laid with them would hold them back, without them they pass.
    shifted = [
        {**r, "statistics": {**r["statistics"], "dependence": 9.0}} if r["kind"] == "random" and r["seed"] == 3 else r
        for r in rows
    ]
    assert rates(shifted)["questions"]["dependence"]["blind"]["supported"] >= 0.2
    assert rates(rows)["questions"]["dependence"]["blind"]["supported"] <= 0.06


def test_rates_have_intervals_that_do_not_vanish_at_none(rows: list[dict]) -> None:
    found = rates(rows)["card"]["random"]
    assert (found["supported"], found["maps"], found["networks"]) == (0, 100, 10)
    assert found["low"] == 0
    assert 0.2 < found["high"] < 0.35  # ten networks, not a hundred maps


def test_the_frozen_file_holds_what_it_promises() -> None:
    found = shipped()
    assert found["made"]["networks"] >= 40
    assert len(found["made"]["seeds"]) == 5
    card = found["rates"]["card"]
    assert found["rates"]["blind"]["supported"] < 0.05
    assert card["sobel"]["supported"] == card["center"]["supported"] == card["random"]["supported"] == 0
    assert card["random weights"]["high"] < 0.12  # of those that could be assessed
    assert found["rates"]["untrained"]["high"] < 0.05
    assert card["right"]["low"] > 0.5
    assert 0.5 < found["thresholds"]["learned"] < 1


def test_the_level_of_what_the_answer_rests_on_is_laid_by_untrained_networks(rows: list[dict]) -> None:
    higher = [
        {**r, "statistics": {**r["statistics"], "reliance": 5.0 + r["statistics"]["reliance"]}}
        if r["kind"] == "untrained"
        else r
        for r in rows
    ]
    assert derive(higher)["reliance"] == pytest.approx(derive(rows)["reliance"] + 5, abs=0.011)
    assert derive(higher)["dependence"] == derive(rows)["dependence"]


def test_rates_are_told_by_the_cells_of_a_map(rows: list[dict]) -> None:
    coarse = [{**r, "cells": 16} if r["kind"] == "map" and r["seed"] == 0 else r for r in rows]
    grains = rates(coarse)["grains"]
    assert {name: (g["right"]["maps"], g["blind"]["maps"]) for name, g in grains.items()} == {
        "up to 4 × 4": (20, 0), "up to 8 × 8": (0, 0), "finer": (80, 100),
    }  # fmt: skip


def test_the_page_shows_the_frozen_file() -> None:
    page = (Path(__file__).parents[1] / "docs" / "trust.md").read_text("utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == markdown(shipped()).strip()


def test_freezing_is_the_same_twice(rows: list[dict]) -> None:
    assert frozen(rows, 1) == frozen(rows, 1)


def test_the_same_map_twice_is_found_whatever_its_scale() -> None:
    values = np.random.default_rng(0).random((8, 8))
    assert same(values, 3e-7 * values)
    assert not same(values, values[::-1])
    assert not same(values, values[:4])
