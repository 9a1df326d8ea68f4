"""Experiments against what is known: identities, the phantom's truth, and sentences that follow the numbers."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from whylook.errors import UsageError
from whylook.image import load_image
from whylook.learn.experiments import Bar, Bars, Outcome, Plot, Series, experiment, experiments
from whylook.learn.experiments.controls import EMBEDDED, Choice, Network, Number, as_data
from whylook.learn.experiments.feeding import CAFFE_MEAN, fed
from whylook.learn.experiments.films import answers, drawn, film, film_image, margins
from whylook.learn.experiments.measures import half_mass, roughness, share, similarity
from whylook.learn.experiments.paths import Sharpened
from whylook.models import load_model
from whylook.models.model import Model
from whylook.phantom import LABELS, picture
from whylook.preprocess import Preprocess

ALL = experiments()


def run(name, image=None, load=None, **parameters):
    return ALL[name].run(image, parameters, load)


def words(outcome):
    return " ".join(outcome.sentences)


class Linear(nn.Module):
    """Logits are sums over the input with fixed weights."""

    def __init__(self, size=8, seed=0):
        super().__init__()
        self.flat, self.fc = nn.Flatten(), nn.Linear(size * size, 3)
        with torch.no_grad():
            self.fc.weight.copy_(torch.randn(3, size * size, generator=torch.Generator().manual_seed(seed)))

    def forward(self, x):
        return self.fc(self.flat(x))


def linear(_name):
    feeding = Preprocess((8, 8), "squash", (8, 8), "box", mean=(0.5,), std=(0.5,), channels=1)
    return Model("linear", Linear().eval(), feeding, ("a", "b", "c"))


NOISE = load_image(np.random.default_rng(0).integers(0, 255, (16, 16), np.uint8))


# ---- all of them


@pytest.mark.parametrize("name", ALL.names())
def test_an_experiment_runs_and_is_ready_for_json(name):
    made = run(name)
    assert made.sentences
    assert all(s[0].isupper() or s.startswith("phantom:") for s in made.sentences)
    assert all(s.rstrip().endswith((".", ".)")) for s in made.sentences)
    assert all(math.isfinite(v) for v in made.numbers.values())
    told = json.loads(json.dumps(made.as_dict(), allow_nan=False))
    assert (told["view"] is None) == (not made.explanations)


@pytest.mark.parametrize("name", [e.name for e in ALL if e.on_picture and e.name != "trust-card"])
def test_another_picture_gets_another_answer_and_a_black_one_none_that_is_wrong(name):
    black = load_image(np.zeros((40, 70), np.uint8))
    made = run(name, black)
    assert "knows four shapes in drawn films and nothing else" in made.sentences[0]
    json.dumps(made.as_dict(), allow_nan=False)


def test_the_same_experiment_is_the_same_twice():
    first, second = (json.dumps(_timeless(run("smoothing", samples=4).as_dict())) for _ in range(2))
    assert first == second


def _timeless(told):
    for e in told["view"]["sections"][0]["explanations"]:
        for m in e["maps"]:
            m.pop("seconds")
    return told


def test_controls_say_what_cannot_be():
    for name, given, what in (
        ("smoothing", {"samples": 0}, "from 1 to 64"),
        ("smoothing", {"samples": 2.5}, "whole number"),
        ("smoothing", {"samples": 10**400}, "from 1 to 64"),
        ("smoothing", {"noise": float("nan")}, "number from"),
        ("smoothing", {"noise": True}, "number from"),
        ("smoothing", {"model": 3}, "must be one of"),
        ("look", {"method": "grad-cam++"}, "must be one of"),
        ("shortcut", {"model": "resnet50"}, "must be one of"),
        ("look", {"size": 3}, "has no parameter"),
    ):
        with pytest.raises(UsageError, match=what):
            ALL[name].fill(given)
    assert ALL["smoothing"].fill({"samples": 3.0})["samples"] == 3


def test_controls_are_data_and_other_networks_are_offered_where_they_make_sense():
    for e in ALL:
        told = e.as_data(["resnet50"])
        assert [c["name"] for c in told["controls"]] == [c.name for c in e.controls]
        for control, data in zip(e.controls, told["controls"], strict=True):
            if isinstance(control, Network):
                names = [o["value"] for o in data["options"]]
                assert ("resnet50" in names) == control.others == e.on_picture
                assert control.default in names
            assert control.check(control.default) == control.default
    assert as_data(Number("n", "N", 2, 1, 3))["kind"] == "number"
    assert as_data(Choice("c", "C", "a", (("a", "A"),)))["options"] == [{"value": "a", "title": "A"}]


def test_a_function_whose_arguments_are_not_its_controls_is_refused():
    with pytest.raises(TypeError, match="samples"):
        experiment("wrong", "Wrong", Number("steps", "Steps", 1, 0, 2))(lambda image, samples: Outcome(("x",)))
    assert "wrong" not in ALL


def test_a_method_without_meaning_for_the_network_is_said_not_raised():
    made = run("random-weights", model="phantom:efficientnet", method="guided-backprop")
    assert "rectifiers" in words(made)
    assert made.explanations == ()


def test_plots_whose_parts_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 x, 1 y"):
        Series("a", (1.0, 2.0), (1.0,))
    with pytest.raises(ValueError, match="0 tops"):
        Series("a", (1.0,), (1.0,), "band")
    made = Outcome(
        ("S.",),
        plots=(
            Plot("t", "x", "y", (Series("a", (0.0,), (float("nan"),)),), "says", (("l", 1.0),)),
            Bars("b", "axis", (Bar("one", 2.0, (1.0, 3.0)),), "says"),
        ),
    ).as_dict()
    assert made["plots"][0]["series"][0]["y"] == [None]
    assert made["plots"][1]["bars"] == [{"name": "one", "value": 2.0, "interval": [1.0, 3.0]}]


# ---- measures


def test_half_of_the_mass_of_known_maps():
    assert half_mass(np.ones((4, 4))) == 0.5
    assert half_mass(np.array([[3.0, -1.0], [1.0, 1.0]])) == 0.25
    assert half_mass(np.zeros((2, 2))) is None


def test_roughness_of_known_maps():
    assert roughness(np.full((3, 3), 2.0)) == 0
    assert (
        roughness(np.indices((4, 4)).sum(0) % 2 * 2.0) == 2
    )  # a checkerboard of 0 and 2: neighbors differ by 2, mean 1
    assert roughness(np.zeros((3, 3))) is None


def test_similarity_of_known_maps():
    ramp = np.arange(12.0).reshape(3, 4)
    assert similarity(ramp, ramp**3) == pytest.approx(1)
    assert similarity(ramp, -ramp) == pytest.approx(-1)
    assert similarity(ramp, np.ones((3, 4))) == 0


def test_shares_are_never_rounded_to_nothing():
    assert [share(v) for v in (0, 0.0004, 0.012, 0.31, 1)] == ["0.0 %", "less than 0.1 %", "1.2 %", "31 %", "100 %"]


def test_margins_are_log_odds():
    logits = np.array([[2.0, 0.0, -1.0, 0.5]])
    p = np.exp(2.0) / np.exp(logits).sum()
    assert margins(logits, 0)[0] == pytest.approx(math.log(p / (1 - p)))


# ---- theory


def test_the_slope_of_a_linear_network_is_its_largest_weight_and_holds_everywhere():
    made = run("gradient", NOISE, linear, reach=4.0)
    x = linear("").preprocess.apply(NOISE)[None]
    top = int(linear("").network(x).argmax())
    weights = linear("").network.fc.weight[top].detach()
    assert abs(made.numbers["slope"]) == pytest.approx(float(weights.abs().max()), rel=1e-6)
    assert made.numbers["difference"] == pytest.approx(made.numbers["slope"], rel=1e-6)
    assert made.numbers["off"] < 1e-6
    assert "a good account of the score" in words(made)
    network, line = made.plots[0].series
    assert np.allclose(network.y, line.y, atol=1e-5)


def test_the_slope_of_a_curved_network_is_said_to_hold_only_nearby():
    made = run("gradient", reach=4.0)
    assert made.numbers["off"] > 0.05
    assert "holds only nearby" in words(made)
    assert "to five digits" in words(made)


def test_without_noise_smoothgrad_is_the_gradient():
    made = run("smoothing", noise=0.0, samples=2)
    assert made.numbers["after"] == pytest.approx(made.numbers["before"], rel=1e-5)
    assert made.numbers["similarity"] == pytest.approx(1, abs=1e-4)
    assert "as rough as the gradient itself" in words(made)
    assert "they tell nearly the same" in words(made)


def test_of_a_linear_network_every_noisy_gradient_is_the_same():
    made = run("smoothing", NOISE, linear, samples=8, noise=0.5)
    assert made.numbers["after"] == pytest.approx(made.numbers["before"], rel=1e-5)


def test_shares_of_a_linear_network_are_complete_with_one_point():
    made = run("path", NOISE, linear, steps=1, baseline="white")
    assert made.numbers["missing"] < 1e-4
    assert made.numbers["total"] == pytest.approx(made.numbers["gain"], rel=1e-4)
    assert "they are complete" in words(made)


def test_more_points_bring_the_residual_down_and_few_are_said_to_be_too_few():
    few, many = (run("path", steps=n) for n in (1, 64))
    assert few.numbers["missing"] > 0.05 > many.numbers["missing"]
    assert "Take more" in words(few)
    assert "they are complete" in words(many)
    at, scores = many.plots[0].series[0].x, many.plots[0].series[0].y
    assert (at[0], at[-1]) == (0, 1)
    assert scores[-1] - scores[0] == pytest.approx(many.numbers["gain"])


def test_the_gradient_of_a_probability_is_the_margins_times_p_times_one_less_p():
    from whylook import attribute

    made = run("saturation", sure=1)
    model = load_model("phantom:resnet")
    x = model.preprocess.apply(picture())[None]
    network = Sharpened(model.network, 1)
    by_p = attribute(network, x, "gradient", 0, score="probability")
    by_margin = attribute(network, x, "gradient", 0, score="margin")
    assert torch.allclose(by_p, by_margin * made.numbers["factor"], rtol=1e-3)
    p = made.numbers["probability"]
    assert made.numbers["factor"] == pytest.approx(p * (1 - p), rel=1e-4)


def test_a_network_that_is_surer_is_saturated_and_says_so():
    calm, sure = (run("saturation", load_image(np.full((64, 64), 90, np.uint8)), sure=n) for n in (1, 40))
    assert sure.numbers["left"] < 0.1 <= calm.numbers["left"]
    assert "the score is saturated" in words(sure)
    assert "not saturated here" in words(calm)


def test_cam_adds_up_to_the_logit_less_the_bias():
    made = run("cam")
    bias = float(load_model("phantom:resnet").network.classifier.bias[0].detach())
    assert made.numbers["bias"] == pytest.approx(bias, abs=1e-4)
    assert made.numbers["bias_black"] == pytest.approx(bias, abs=1e-4)
    assert made.numbers["off"] < 1e-4
    assert made.numbers["apart"] < 1e-4
    assert "cell by cell" in words(made)
    assert "the same map here" in words(made)


def test_a_flatten_head_has_no_cam_and_two_other_maps():
    made = run("cam", model="phantom:vgg")
    assert "This network has no CAM" in words(made)
    assert made.numbers["apart"] > 0.1
    assert "does not weigh all places alike" in words(made)


@pytest.mark.parametrize("family", ["resnet", "vgg"])
def test_lrp_0_of_rectifiers_is_input_times_gradient(family):
    made = run("rules", model=f"phantom:{family}", composite="epsilon")
    assert made.numbers["apart"] < 1e-4
    assert "are the same map" in words(made)


@pytest.mark.parametrize("family", ["efficientnet", "mobilenet"])  # gates and SiLU; ReLU6, which is clipped
def test_of_a_network_with_more_than_rectifiers_they_differ_and_that_is_said(family):
    made = run("rules", model=f"phantom:{family}")
    assert made.numbers["apart"] > 0.01
    assert "more than sums and plain rectifiers" in words(made)


def test_the_costliest_window_costs_what_the_network_says():
    made = run("removal", window="8")
    model = load_model("phantom:vgg")
    shown = made.explanations[0].maps[0]
    row, column = np.unravel_index(int(shown.values.argmax()), shown.values.shape)
    x = model.preprocess.apply(picture())[None]
    hidden = x.clone()
    hidden[:, :, row * 4 : row * 4 + 8, column * 4 : column * 4 + 8] = 0
    with torch.no_grad():
        drop = model.network(x)[0, 0] - model.network(hidden)[0, 0]
    assert made.numbers["most"] == pytest.approx(float(drop), abs=1e-4)


@pytest.mark.parametrize("family", ["vgg", "resnet"])
def test_the_verdict_on_the_order_follows_the_curve(family):
    made = run("removal", model=f"phantom:{family}")
    better = made.numbers["area"] < made.numbers["chance"]
    assert ("the map's order does matter" in words(made)) == better
    curve = made.plots[0].series[1]
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(made.numbers["area"], rel=0.1)


# ---- uses


def test_taking_the_marker_away_is_what_the_network_says():
    made = run("counterfactual")
    model = load_model("phantom:vgg-shortcut")
    whole, without = margins(answers(model, [film(13), film(13, "marker")]), 0)
    assert made.numbers["drop_marker"] == pytest.approx(whole - without, abs=1e-4)
    assert made.numbers["drop_marker"] > made.numbers["drop_lesion"] > 1
    assert "The answer rests on the lesion and marker" in words(made)
    assert "That is the part whose loss costs most" in words(made)


def test_a_clean_network_rests_on_the_lesion():
    made = run("counterfactual", model="phantom:resnet")
    assert "The answer rests on the lesion (" in words(made)
    assert abs(made.numbers["drop_marker"]) < 1 < made.numbers["drop_lesion"]


def test_a_map_that_is_densest_elsewhere_is_told_so():
    made = run("counterfactual", model="phantom:efficientnet-shortcut", method="gradient", patient=3)
    drops = {p: made.numbers[f"drop_{p}"] for p in ("lesion", "marker", "catheter")}
    dense = {p: made.numbers[f"dense_{p}"] for p in drops}
    same = max(drops, key=drops.get) == max(dense, key=dense.get)
    assert ("is another, the" in words(made)) == (not same)


def test_mistakes_of_a_shortcut_network_follow_the_marker_and_those_of_a_clean_one_do_not():
    shortcut, clean = (run("mistakes", model=f"phantom:resnet{kind}") for kind in ("-shortcut", ""))
    assert shortcut.numbers["along"] > shortcut.numbers["against"]
    assert shortcut.numbers["p"] < 0.05
    assert "The marker makes the mistakes" in words(shortcut)
    assert clean.numbers["along"] == clean.numbers["against"] == 1
    assert "no sign that it reads the marker" in words(clean)
    assert "There is no mistake to look at" in words(clean)


def test_the_two_series_of_films_show_the_same_patients():
    for a, b in zip(drawn("aligned", 8), drawn("anti", 8), strict=True):
        assert (a.seed, a.label) == (b.seed, b.label)


def test_a_network_compared_with_itself_is_not_compared():
    assert run("two-networks", other="phantom:resnet").sentences == (
        "Both are phantom:resnet: choose two different ones.",
    )
    assert "choose two different ones" in words(run("three-pictures", other="phantom:resnet"))


@pytest.mark.parametrize("other", ["phantom:resnet-shortcut", "phantom:vgg-shortcut", "phantom:mobilenet"])
def test_the_verdict_on_two_maps_follows_the_band(other):
    made = run("two-networks", other=other)
    value, low, high = (made.numbers[k] for k in ("similarity", "low", "high"))
    said = "more alike" if value > high else "less alike" if value < low else "no more alike"
    assert said in words(made)


# ---- pitfalls


def test_caffe_food_is_bytes_less_the_mean_blue_first():
    given = Preprocess(input_size=(2, 2), resize="none", resize_to=(2, 2))
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], np.uint8)
    x = fed(given, "caffe").apply(load_image(pixels)).numpy()
    expected = pixels[:, :, ::-1].astype(float) - np.array([103.939, 116.779, 123.68])
    assert np.allclose(x, expected.transpose(2, 0, 1), atol=1e-4)
    assert pytest.approx([v * 255 for v in CAFFE_MEAN]) == [123.68, 116.779, 103.939]


def test_ways_to_feed_are_what_they_say():
    given = Preprocess(input_size=(2, 2), resize="none", resize_to=(2, 2), mean=0.5, std=0.25)
    gray = load_image(np.full((2, 2), 51, np.uint8))
    found = {
        way: float(fed(given, way).apply(gray).mean()) for way in ("unit", "bytes", "symmetric", "inverted", "declared")
    }
    assert found == pytest.approx({"unit": 0.2, "bytes": 51, "symmetric": -0.6, "inverted": 1.2, "declared": -1.2})


def test_the_wrong_food_changes_the_answer_without_an_error():
    made = run("preprocessing")
    assert made.numbers["right"] == 1
    assert made.numbers["right_fed_wrongly"] < 0.5
    assert "No error is raised" in words(made)
    assert "Fed this way it says ring" in words(made)


def test_food_that_is_the_same_is_said_to_be():
    assert "That is how it was trained" in words(run("preprocessing", way="declared"))
    assert "no order of channels" in words(run("preprocessing", way="bgr"))


def test_an_edge_detector_stays_at_one_whatever_the_weights():
    made = run("random-weights", method="edge-detector")
    assert made.numbers == {"left": pytest.approx(1), "edges": pytest.approx(1)}
    assert "there without anything learned" in words(made)
    assert all(v == pytest.approx(1) for v in made.plots[0].series[1].y)


@pytest.mark.parametrize("method", ["gradient", "grad-cam", "lrp"])
def test_maps_of_random_weights_are_others(method):
    made = run("random-weights", method=method)
    assert made.numbers["left"] < 0.76
    assert "as it must in a map of what was learned" in words(made)
    shares, mean = made.plots[0].series[1].x, made.plots[0].series[1].y
    assert (shares[0], shares[-1], mean[0]) == (0, 1, 1)


@pytest.mark.parametrize("family", ["resnet", "vgg", "efficientnet", "mobilenet"])
def test_removal_and_map_agree_on_who_reads_the_marker(family):
    made = run("shortcut", model=f"phantom:{family}", other=f"phantom:{family}-shortcut")
    assert made.numbers["drop_other"] > 1 > made.numbers["drop_model"]
    assert made.numbers["times_other"] > 2 > made.numbers["times_model"]
    assert words(made).count("only the second network reads the marker") == 2
    assert "they agree" in words(made)


def test_grad_cam_misses_the_marker_on_the_flatten_head():
    made = run("flatten-head", films=50)
    assert made.numbers["grad_cam"] == pytest.approx(0.101, abs=0.01)  # docs/ranking.md
    assert made.numbers["hirescam"] == pytest.approx(0.305, abs=0.01)
    assert "Grad-CAM shows less of it" in words(made)


def test_where_places_are_pooled_the_two_are_the_same():
    made = run("flatten-head", family="resnet", films=6)
    assert made.numbers["difference"] == pytest.approx(0, abs=1e-4)
    assert "The two are the same map" in words(made)


@pytest.mark.parametrize(("n", "least"), [(2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_of_n_pictures(n, least):
    made = run("three-pictures", n=n)
    assert made.numbers["least"] == least <= made.numbers["p"]
    assert ("cannot show a difference" in words(made)) == (least >= 0.05)


def test_a_shortcut_shows_on_the_marker_once_there_are_enough_pictures():
    made = run("three-pictures", model="phantom:vgg-shortcut", other="phantom:vgg", part="marker", n=24)
    assert made.numbers["p"] < 0.001
    assert made.numbers["wrong"] == 0
    assert "It does." in words(made)


# ---- trust


def test_the_card_says_what_the_card_says():
    from whylook import trust

    made = run("trust-card")
    card = trust(picture(), "phantom:resnet", "grad-cam")
    assert made.sentences[0].lower().startswith(f"{card.verdict}. ")
    assert made.numbers == pytest.approx({q.name: q.statistic for q in card.questions if q.statistic is not None})


def test_networks_and_films_are_those_of_the_phantom():
    assert len(EMBEDDED) == 8
    assert film_image(13).pixels.tobytes() == picture().pixels.tobytes()
    assert LABELS[film(0).label] == "disc"
