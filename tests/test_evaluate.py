"""Scores of an explanation: on pictures with known truth, and the same in company and alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from whylook import explain, load_image, load_model
from whylook.errors import UsageError
from whylook.evaluate import cases, evaluate
from whylook.explanation import Explanation
from whylook.geometry import Geometry
from whylook.metrics import METRICS, Case, measure
from whylook.metrics.dummies import dummies
from whylook.metrics.grids import entire
from whylook.metrics.region import Region
from whylook.phantom import Phantom, dataset
from whylook.phantom.inputs import PREPROCESS

FAMILIES = ("resnet", "vgg", "efficientnet", "mobilenet")


@pytest.fixture(scope="module")
def marked() -> list[Phantom]:
    """Six patients with a disc and a marker."""
    found = [p for p in dataset("independent", 60) if p.label == 0 and "marker" in p.masks]
    return found[:6]


@pytest.fixture(scope="module")
def explained(marked: list[Phantom]) -> Explanation:
    return explain(load_image(marked[0].pixels), "phantom:resnet", ["grad-cam", "occlusion"])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_marker_is_looked_at_by_the_networks_that_use_it(family: str, marked: list[Phantom]) -> None:
    means = {}
    for kind in ("", "-shortcut"):
        model = load_model(f"phantom:{family}{kind}")
        for p in marked:
            made = explain(load_image(p.pixels), model, ["hirescam", "occlusion"], targets=0)
            for e in evaluate(made, ["enrichment"], mask=p.scoring_mask("marker")):
                means.setdefault((e.map.method, kind), []).append(e.scores["enrichment"].value)
                assert e.lost == pytest.approx(0)
    for method in ("hirescam", "occlusion"):
        clean, shortcut = (np.mean(means[method, kind]) for kind in ("", "-shortcut"))
        assert clean < 1.4, method
        assert shortcut > 3, method
        assert shortcut > 5 * clean, method


def test_random_and_uniform_dummies_are_at_one() -> None:
    """Over 80 patients; each gets random numbers of its own."""
    found: dict[str, list[float]] = {}
    for p in dataset("independent", 80):
        image = load_image(p.pixels)
        region = Region.of(p.scoring_mask("lesion"), PREPROCESS.geometry(image))
        for grid in ((8, 8), (64, 64)):
            for name, values in dummies(PREPROCESS.apply(image).numpy(), grid).items():
                found.setdefault(name, []).append(measure("enrichment", Case(values, region)).value)
    assert np.mean(found["random"]) == pytest.approx(1, abs=0.05)
    assert found["uniform"] == pytest.approx([1] * 160)
    assert abs(np.mean(found["center"]) - 1) > 0.1  # lesions do not lie everywhere alike: not every dummy is at one


def test_all_metrics_of_all_maps_and_dummies(explained: Explanation, marked: list[Phantom]) -> None:
    model = explained.models["phantom:resnet"]
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    few = {"deletion": {"orders": 2}, "full-randomization": {"draws": 1}, "cascading-randomization": {"stages": 2}}
    everything = evaluate(
        explained, mask=marked[0].scoring_mask("lesion"), with_dummies=True, parameters=few
    )  # fmt: skip
    assert [e.map for e in everything] == list(explained.maps)
    for e in everything:
        assert set(e.scores) == {m.name for m in METRICS if m.needs != "other"}
        assert all(s.value is not None for s in e.scores.values())
        assert set(e.dummies) == {"random", "sobel", "center", "uniform"}
        assert e.dummies["sobel"]["full-randomization"].value == pytest.approx(1)
        assert e.dummies["uniform"]["enrichment"].value == pytest.approx(1)
        assert e.scores["insertion-gap"].value > max(d["insertion-gap"].value for d in e.dummies.values())
    assert all(torch.equal(v, before[k]) for k, v in model.network.state_dict().items())


def test_company_and_order_change_no_bit(explained: Explanation) -> None:
    names = ["deletion", "knock-out", "flip-consistency", "random-target"]
    together = evaluate(explained, names)
    for shown, e in zip(explained.maps, together, strict=True):
        (alone,) = evaluate(replace(explained, maps=(shown,)), names[::-1])
        assert alone.scores == e.scores
        assert alone.lost is None


def test_a_map_that_is_made_again_is_the_map(explained: Explanation) -> None:
    with cases(explained) as given:
        for shown, case in zip(explained.maps, given, strict=True):
            np.testing.assert_array_equal(case.remake(), case.values, err_msg=shown.method)
            if shown.geometry.extent is None:
                np.testing.assert_array_equal(case.values, shown.values)


def test_parameters_and_layers_are_those_of_the_map(marked: list[Phantom]) -> None:
    made = explain(
        load_image(marked[0].pixels), "phantom:vgg", ["grad-cam", "occlusion"], layer="features.6",
        parameters={"occlusion": {"window": 16, "baseline": "black"}},
    )  # fmt: skip
    with cases(made) as given:
        for case in given:
            np.testing.assert_array_equal(case.remake(), case.values)


def test_maps_that_cover_a_part_of_the_input_go_on_to_its_border() -> None:
    geometry = Geometry((20, 20), (20, 20), (1.0, 1.0), (0.0, 0.0), ((5.0, 15.0), (0.0, 20.0)))
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(entire(values, geometry), [[1, 2], [1, 2], [3, 4], [3, 4]])
    assert entire(values, Geometry((20, 20), (20, 20), (1.0, 1.0), (0.0, 0.0))) is values
    random = np.random.default_rng(0).random((13, 13))
    window = Geometry((224, 224), (224, 224), (1.0, 1.0), (0.0, 0.0), ((8.0, 216.0), (8.0, 216.0)))
    whole = entire(random, window)
    assert whole.shape == (14, 14)
    assert whole[0, 0] == pytest.approx(random[0, 0])
    assert whole[1, 0] == pytest.approx((random[0, 0] + random[1, 0]) / 2)


def test_a_mask_that_does_not_fit_is_refused(explained: Explanation) -> None:
    with pytest.raises(UsageError, match="the picture is"):
        evaluate(explained, ["mass"], mask=np.ones((5, 5), bool))
    with pytest.raises(UsageError, match="did you mean mass"):
        evaluate(explained, ["masss"])


def test_a_map_of_one_class_against_another_is_measured_by_both() -> None:
    model = load_model("phantom:resnet")
    film = load_image(dataset("independent", 1)[0].pixels)
    made = explain(film, model, "hirescam", 0, against=2)
    with cases(made) as (case,):
        logits = made.predictions[model.name].logits.astype(np.float64)
        assert case.perturbed.clean("margin") == pytest.approx(logits[0] - logits[2], rel=1e-5)
        assert case.perturbed.clean("logit") == pytest.approx(logits[0] - logits[2], rel=1e-5)


def test_a_map_in_bfloat16_is_made_again_in_it() -> None:
    film = load_image(dataset("independent", 1)[0].pixels)
    made = explain(film, "phantom:resnet", "occlusion", precision="bfloat16")
    with cases(made) as (case,):
        assert case.remake() == pytest.approx(entire(made.maps[0].values.astype(np.float64), made.maps[0].geometry))
