"""`explain`, the high road: models fed by their own preprocessing, maps on the original picture, reasons and failures."""

import numpy as np
import pytest
import torch

import whylook
from toys import build
from whylook import Preprocess, explain, load_image, load_model
from whylook.methods import METHODS
from whylook.models.model import Model

LABELS = ("tench", "goldfish", "great white shark", "tiger shark", "hen")


def picture(height: int = 20, width: int = 32) -> whylook.Image:
    return load_image(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def model(name: str = "plain", toy: str = "plain", **more: object) -> Model:
    feeding = Preprocess(input_size=(16, 16), resize_to=(18, 18), mean=0.5, std=0.25)  # type: ignore[arg-type]
    return load_model(build(toy).float(), **{"preprocess": feeding, "labels": LABELS, "name": name, **more})


def test_everything_is_where_the_contract_says() -> None:
    image, one = picture(), model()
    result = explain(image, [one, model("flat", "flatten-head")], methods=["gradient", "grad-cam"])
    assert result.image is image
    assert list(result.predictions) == ["plain", "flat"]
    x = one.preprocess.apply(image)[None]
    logits = one.network(x)[0]
    first = result.predictions["plain"].top(5)[0]
    index, label, probability, logit = first
    assert (index, label) == (int(logits.argmax()), LABELS[logits.argmax()])
    assert probability == pytest.approx(float(logits.softmax(0).max()), rel=1e-5)
    assert logit == pytest.approx(float(logits.max()), rel=1e-5)
    assert [(m.model, m.method) for m in result.maps] == [
        ("plain", "gradient"), ("plain", "grad-cam"), ("flat", "gradient"), ("flat", "grad-cam")]  # fmt: skip
    m = result.map("plain", "grad-cam")
    assert m.grid == (4, 4)
    assert m.values.dtype == np.float32
    assert m.target.index == index
    assert m.layer == "features"
    np.testing.assert_array_equal(m.values, whylook.attribute(one.network, x, "grad-cam", index)[0].numpy())
    on = m.on_image()
    assert on.shape == (20, 32)
    assert np.isnan(on[:, 0]).all()  # the center crop never saw the sides
    assert np.isfinite(on[2:-2, 10:-10]).all()


def test_input_space_values_become_one_map_as_the_method_says() -> None:
    one = model()
    image = picture()
    x = one.preprocess.apply(image)[None]
    result = explain(image, one, ["input-x-gradient", "smoothgrad"], 2, parameters={"smoothgrad": {"samples": 3}})
    raw = whylook.attribute(one.network, x, "input-x-gradient", 2)[0]
    np.testing.assert_allclose(result.map("plain", "input-x-gradient").values, raw.sum(0).numpy(), rtol=1e-6)
    raw = whylook.attribute(one.network, x, "smoothgrad", 2, samples=3)[0]
    m = result.map("plain", "smoothgrad")
    np.testing.assert_allclose(m.values, raw.abs().amax(0).numpy(), rtol=1e-6)
    assert m.seed == 0
    assert m.parameters == {"samples": 3, "noise": 0.15}
    assert m.passes == {"forward": 3, "backward": 3}
    assert result.map("plain", "input-x-gradient").seed is None


def test_each_model_is_fed_by_its_own_preprocessing() -> None:
    other = Preprocess(input_size=(16, 16), resize="squash", resize_to=(16, 16), mean=0.0, std=1.0)  # type: ignore[arg-type]
    models = [model("own"), model("other", preprocess=other)]
    result = explain(picture(), models, "gradient", 1)
    for m in models:
        x = m.preprocess.apply(picture())[None]
        np.testing.assert_array_equal(
            result.map(m.name, "gradient").values, whylook.attribute(m.network, x, "gradient", 1)[0].numpy()
        )
    assert not np.array_equal(result.map("own", "gradient").values, result.map("other", "gradient").values)


def test_a_list_in_a_list_out_in_order_and_unchanged_by_company() -> None:
    images = [picture(), picture(40, 40)]
    both = explain(images, model(), list(METHODS.names()))
    for image, result in zip(images, both, strict=True):
        assert result.image is image
        alone = explain(image, model(), list(METHODS.names()))
        for a, b in zip(alone.maps, result.maps, strict=True):
            np.testing.assert_array_equal(a.values, b.values)
    assert isinstance(explain(images[:1], model(), "gradient"), list)


@pytest.mark.parametrize(
    ("target", "index"), [(3, 3), ("3", 3), ("hen", 4), ("TENCH", 0), ("goldf", 1), ("tiger shark", 3)]
)
def test_targets_by_index_and_label(target: object, index: int) -> None:
    assert explain(picture(), model(), "gradient", target).maps[0].target.index == index


def test_several_targets_and_against() -> None:
    result = explain(picture(), model(), "grad-cam", ["hen", 1])
    assert [m.target.label for m in result.maps] == ["hen", "goldfish"]
    assert result.map("plain", "grad-cam", "goldfish").target.index == 1
    rather = explain(picture(), model(), "input-x-gradient", "hen", against="goldfish")
    difference = (
        explain(picture(), model(), "input-x-gradient", 4).maps[0].values
        - explain(picture(), model(), "input-x-gradient", 1).maps[0].values
    )
    np.testing.assert_allclose(rather.maps[0].values, difference, atol=1e-6)
    assert str(rather.maps[0].target) == "hen (4) rather than goldfish (1)"


def test_a_shared_target_is_the_class_of_the_highest_mean_probability() -> None:
    models = [model("a", "plain"), model("b", "flatten-head"), model("c", "gelu")]
    result = explain(picture(), models, "gradient", "shared")
    mean = sum(p.probabilities.astype(float) for p in result.predictions.values()) / 3
    assert {m.target.index for m in result.maps} == {int(mean.argmax())}
    with pytest.raises(whylook.UsageError, match="do not have the same classes"):
        explain(picture(), [models[0], model("d", labels=LABELS[::-1])], "gradient", "shared")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": "shark"}, r"fits 2 classes .* great white shark \(2\), tiger shark \(3\)"),
        ({"targets": "goldfisch"}, "did you mean goldfish"),
        ({"targets": 77}, "classes 0 to 4"),
        ({"methods": "gradiant"}, "did you mean gradient"),
        ({"methods": []}, "No method was given"),
        ({"models": []}, "No model was given"),
        ({"layer": "features", "methods": "gradient"}, "none of gradient reads a layer"),
        ({"parameters": {"smoothgrad": {}}, "methods": "gradient"}, "not among the methods"),
        ({"score": "margin", "against": 1}, "compares two logits"),
    ],
)
def test_what_cannot_be_right_is_said(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(whylook.UsageError, match=message):
        explain(picture(), **{"models": model(), **arguments})


def test_two_models_of_one_name_are_told() -> None:
    with pytest.raises(whylook.UsageError, match="Two models are called 'plain'"):
        explain(picture(), [model(), model()], "gradient")


def no_grid(name: str = "no-grid") -> Model:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 5))
    return load_model(network, preprocess=Preprocess(input_size=(16, 16), resize_to=(16, 16)), labels=LABELS, name=name)


def test_a_map_that_cannot_be_made_is_a_failure_beside_the_others() -> None:
    result = explain(picture(), [no_grid(), model()], ["gradient", "grad-cam"])
    assert [(m.model, m.method) for m in result.maps] == [
        ("no-grid", "gradient"), ("plain", "gradient"), ("plain", "grad-cam")]  # fmt: skip
    ((name, method, why),) = result.failures
    assert (name, method) == ("no-grid", "grad-cam")
    assert "no layer with a spatial output" in why
    with pytest.raises(whylook.UsageError, match="no layer with a spatial output"):
        result.map("no-grid", "grad-cam")
    with pytest.raises(whylook.Unsupported, match="no layer with a spatial output"):
        explain(picture(), no_grid(), "grad-cam")


def test_a_map_that_is_all_zero_says_why() -> None:
    constant = model("constant")
    torch.nn.init.zeros_(constant.network.head[2].weight)
    for m in explain(
        picture(), constant, ["gradient", "grad-cam", "smoothgrad"], 1, parameters={"smoothgrad": {"samples": 2}}
    ):
        assert not m.values.any()
        assert m.reason is not None
        assert m.reason.startswith("The map is zero")
    against = model("against")
    against.network.head[2].weight.data.fill_(-1.0)  # every channel speaks against every class
    (m,) = explain(picture(), against, "grad-cam", 1)
    assert not m.values.any()
    assert "speaks against the target" in str(m.reason)
    (m,) = explain(picture(), model(), "grad-cam")
    assert m.values.any()
    assert m.reason is None
    overflow = model("overflow")
    overflow.network.head[2].weight.data.fill_(float("inf"))
    (m,) = explain(picture(), overflow, "gradient", 1)
    assert "not finite" in str(m.reason)


def test_binary_and_sigmoid_heads() -> None:
    one = load_model(
        build("one-logit").float(), preprocess=Preprocess(input_size=(16, 16), resize_to=(16, 16)), name="binary"
    )
    assert one.head == "binary"
    prediction = explain(picture(), one, "gradient").predictions["binary"]
    assert prediction.probabilities.sum() == pytest.approx(1.0)
    logit = float(one.network(one.preprocess.apply(picture())[None])[0, 0])
    assert prediction.probabilities[1] == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-5)
    many = model("many", head="sigmoid")
    result = explain(picture(), many, "input-x-gradient", 2, score="margin")
    plain = explain(picture(), many, "input-x-gradient", 2)
    np.testing.assert_array_equal(result.maps[0].values, plain.maps[0].values)  # each class by itself: log-odds = logit


def test_progress_reaches_its_total() -> None:
    seen: list[tuple[int, int]] = []
    explain(
        [picture(), picture()], [model("a"), model("b", "gelu")], ["gradient", "smoothgrad"],
        parameters={"smoothgrad": {"samples": 4}}, progress=lambda done, total, what: seen.append((done, total)),
    )  # fmt: skip
    assert seen[-1] == (20, 20)
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)


def test_progress_that_nobody_can_foretell_reaches_its_total_too() -> None:
    seen: list[tuple[int, int]] = []
    explain(
        picture(), model("a"), ["integrated-gradients", "occlusion", "blur-ig"], [1, 2],
        parameters={"blur-ig": {"steps": 3}}, progress=lambda done, total, what: seen.append((done, total)),
    )  # fmt: skip
    assert seen[-1] == (132, 132)
    assert len({total for _, total in seen}) == 1
    assert [d for d, _ in seen] == sorted({d for d, _ in seen})


def test_a_double_network_is_fed_doubles() -> None:
    double = load_model(
        build("plain"),
        preprocess=Preprocess(input_size=(16, 16), resize_to=(18, 18), mean=0.5, std=0.25),
        name="double",
    )  # type: ignore[arg-type]
    m = explain(picture(), double, "gradient", 1).maps[0]
    np.testing.assert_allclose(
        m.values, explain(picture(), model(), "gradient", 1).maps[0].values, rtol=1e-3, atol=1e-6
    )
    assert m.values.dtype == np.float32


def test_a_model_whose_own_class_is_the_contrast_is_a_failure_beside_the_others() -> None:
    models = [model("a"), model("b", "flatten-head")]
    tops = [explain(picture(), m, "gradient").maps[0].target.index for m in models]
    assert tops[0] != tops[1]
    result = explain(picture(), models, "gradient", against=tops[0])
    assert [m.model for m in result.maps] == ["b"]
    assert "against itself" in result.failures[0][2]
    assert set(result.predictions) == {"a", "b"}


def test_of_several_targets_one_has_to_be_named() -> None:
    result = explain(picture(), model(), "grad-cam", np.array([1, 4]))
    with pytest.raises(whylook.UsageError, match=r"explain several classes.*goldfish \(1\), hen \(4\)"):
        result.map("plain", "grad-cam")
    with pytest.raises(whylook.UsageError, match="other classes than 3"):
        result.map("plain", "grad-cam", 3)


def test_why_a_map_is_zero_is_true_of_the_method() -> None:
    """The score of a picture that is its own baseline does react to the picture: that was denied."""
    image = np.full((64, 64), 90, np.uint8)
    methods = ["integrated-gradients", "lime"]
    given = {"integrated-gradients": {"baseline": "mean"}, "lime": {"width": 1e-200, "samples": 60}}
    result = explain(image, "phantom:vgg", methods, parameters=given)
    path, lime = result.maps
    assert "may be its own baseline" in str(path.reason)
    assert "do not tell all 49 segments apart" in str(lime.reason)
