"""Path methods: what their papers prove, what Captum computes, and what is said where shares do not add up."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import whylook
from toys import NAMES, batch, build
from whylook import Preprocess, explain, load_image, load_model
from whylook.baselines import blurred
from whylook.methods import METHODS, path

PATHS = ("integrated-gradients", "blur-ig", "guided-ig", "expected-gradients", "gradient-shap")
STRAIGHT = ("integrated-gradients", "guided-ig", "expected-gradients")
FEW = {
    "guided-ig": {"steps": 6},
    "blur-ig": {"steps": 6},
    "expected-gradients": {"samples": 6},
    "gradient-shap": {"samples": 6},
}
quiet = pytest.mark.filterwarnings("ignore:.*The shares add up")


def attribute(network: nn.Module, x: object, name: str, target: object = 0, **more: object) -> torch.Tensor:
    return whylook.attribute(network, x, name, target, **{**FEW.get(name, {}), **more})


def vectors(rows: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Scores(nn.Module):
    """A function [n, d] -> [n] or [n, classes] as a network."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def bias_free() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 12, bias=False), nn.ReLU(), nn.Linear(12, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False)
    ).double()


@pytest.mark.parametrize("name", ["plain", "silu", "relu6", "batch-norm", "flatten-head", "one-logit"])
def test_the_shares_add_up(name: str) -> None:
    toy = build(name)
    x, start = batch(toy), batch(toy, 2, seed=5)
    with torch.no_grad():
        gained = (toy(x) - toy(start))[:, 0] * (1 if toy.classes == 5 else -1)
    adapted = attribute(toy, x, "integrated-gradients", 0, baseline=start).flatten(1).sum(1)
    assert ((adapted - gained).abs() <= 0.05 * gained.abs()).all()
    fine = attribute(toy, x, "integrated-gradients", 0, baseline=start, steps=2000).flatten(1).sum(1)
    torch.testing.assert_close(fine, gained, rtol=2e-3, atol=1e-6)
    strict = attribute(toy, x, "integrated-gradients", 0, baseline=start, tolerance=0.01).flatten(1).sum(1)
    assert ((strict - gained).abs() <= 0.01 * gained.abs()).all()


@pytest.mark.parametrize("given", [{}, *({"steps": 1, "rule": r} for r in ("midpoint", "gauss-legendre", "trapezoid"))])
def test_on_a_linear_model_it_is_input_times_gradient(given: dict[str, object]) -> None:
    linear, x = nn.Linear(7, 3).double(), vectors(4, 7)
    ours = attribute(linear, x, "integrated-gradients", 2, **given)
    torch.testing.assert_close(ours, x * linear.weight[2].detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(ours, attribute(linear, x, "input-x-gradient", 2), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", STRAIGHT)
def test_on_a_linear_model_every_path_gives_the_same(name: str) -> None:
    linear, x, start = nn.Linear(7, 3).double(), vectors(4, 7), vectors(4, 7, 1)
    given = {"baseline": start[:1]}
    ours = attribute(linear, x, name, 2, **given)
    torch.testing.assert_close(ours, (x - start[:1]) * linear.weight[2].detach(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("given", [{}, {"steps": 1}, {"steps": 7}, {"rule": "gauss-legendre", "steps": 5}])
def test_on_a_rectifier_network_without_biases_it_is_input_times_gradient(given: dict[str, object]) -> None:
    net, x = bias_free(), vectors(3, 6)
    expected = attribute(net, x, "input-x-gradient", 1)
    assert expected.any()
    torch.testing.assert_close(attribute(net, x, "integrated-gradients", 1, **given), expected, rtol=1e-9, atol=1e-13)


@quiet
def test_the_trapezoid_rule_looks_at_the_baseline_where_such_a_network_has_a_corner() -> None:
    net, x = bias_free(), vectors(3, 6)
    ours = attribute(net, x, "integrated-gradients", 1, rule="trapezoid", steps=5)
    expected = 0.9 * attribute(net, x, "input-x-gradient", 1)  # at 0 PyTorch's gradient of a rectifier is 0
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-13)


def test_where_the_score_saturates_the_gradient_is_0_and_the_share_is_not() -> None:
    net, x = Scores(lambda v: 1 - F.relu(1 - v)), torch.tensor([[2.0]]).double()
    assert attribute(net, x, "gradient", None).item() == 0
    assert attribute(net, x, "integrated-gradients", None).item() == pytest.approx(1, abs=1e-12)
    assert attribute(net, x, "integrated-gradients", None, steps=50).item() == pytest.approx(1, abs=1e-12)


def test_two_networks_that_compute_the_same_get_the_same_map() -> None:
    # Figure 7 of arXiv:1703.01365, at (3, 1): the second writes min(…) with other rectifiers.
    def one(x: torch.Tensor) -> torch.Tensor:
        return F.relu(F.relu(x[:, 0]) - 1 - F.relu(x[:, 1]))

    def two(x: torch.Tensor) -> torch.Tensor:
        return F.relu(F.relu(x[:, 0] - 1) - F.relu(x[:, 1]))

    x = torch.tensor([[3.0, 1.0]]).double()
    maps = [attribute(Scores(f), x, "integrated-gradients", None, rule="midpoint", steps=3000)[0] for f in (one, two)]
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-12, atol=0)
    torch.testing.assert_close(maps[0], torch.tensor([1.5, -0.5]).double(), rtol=1e-3, atol=0)
    near = [attribute(Scores(f), x, "integrated-gradients", None)[0] for f in (one, two)]
    assert torch.equal(*near)


@pytest.mark.parametrize("name", ["plain", "silu", "flatten-head"])
@pytest.mark.parametrize(("rule", "theirs"), [("gauss-legendre", "gausslegendre"), ("midpoint", "riemann_middle")])
def test_captum_agrees(name: str, rule: str, theirs: str) -> None:
    captum = pytest.importorskip("captum.attr", reason="needs captum (uv sync installs it)")
    toy = build(name)
    x, start = batch(toy), batch(toy, 2, seed=5)
    ours = attribute(toy, x, "integrated-gradients", 3, rule=rule, steps=9, baseline=start, tolerance=9)
    reference = captum.IntegratedGradients(toy).attribute(x, start, target=3, n_steps=9, method=theirs)
    torch.testing.assert_close(ours, reference.detach(), rtol=1e-6, atol=1e-10)  # its nodes are float32


def test_where_captum_s_trapezoid_weights_do_not_sum_to_one() -> None:
    # Its weights are 1/n for n points that stand 1/(n - 1) apart: on a linear model a share of 1/n is missing.
    captum = pytest.importorskip("captum.attr", reason="needs captum (uv sync installs it)")
    linear, x = nn.Linear(5, 2).double(), vectors(1, 5)
    theirs = captum.IntegratedGradients(linear).attribute(x, target=1, n_steps=5, method="riemann_trapezoid").detach()
    exact = x * linear.weight[1].detach()
    torch.testing.assert_close(theirs, exact * 4 / 5)
    torch.testing.assert_close(attribute(linear, x, "integrated-gradients", 1, rule="trapezoid", steps=4), exact)


@quiet
def test_captum_agrees_on_several_inputs() -> None:
    captum = pytest.importorskip("captum.attr", reason="needs captum (uv sync installs it)")

    class Two(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return torch.stack([(a * b).sum(1), (a**2).sum(1) - b.exp().sum(1)], 1)

    a, b = vectors(2, 4), vectors(2, 4, 1)
    start = (torch.ones(2, 4).double(), torch.zeros(1, 4).double())
    ours = attribute(Two(), (a, b), "integrated-gradients", 1, baseline=start, rule="gauss-legendre", steps=6)
    theirs = captum.IntegratedGradients(Two()).attribute((a, b), (start[0], start[1].expand(2, 4)), 1, n_steps=6)
    assert isinstance(ours, tuple)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other.detach(), rtol=1e-9, atol=1e-12)
    for name in ("guided-ig", "expected-gradients", "gradient-shap"):
        shares = whylook.attribute(
            Two(), (a, b), name, 1, baseline=(1, 0), **({"noise": 0.0} if "shap" in name else {})
        )
        with torch.no_grad():
            gained = (Two()(a, b) - Two()(torch.ones_like(a), torch.zeros_like(b)))[:, 1]
        torch.testing.assert_close(sum(s.sum(1) for s in shares), gained, rtol=0.1, atol=0.02)


def test_several_baselines_are_averaged_and_rows_have_their_own() -> None:
    toy = build("silu")
    x, start = batch(toy), batch(toy, 2, seed=5)
    both = attribute(toy, x, "integrated-gradients", 1, baseline=[0, start], steps=4, tolerance=9)
    one, other = (attribute(toy, x, "integrated-gradients", 1, baseline=b, steps=4, tolerance=9) for b in (0, start))
    torch.testing.assert_close(both, (one + other) / 2)
    alone = attribute(toy, x[1:], "integrated-gradients", 1, baseline=start[1:], steps=4, tolerance=9)
    assert torch.equal(other[1:], alone)
    assert torch.equal(attribute(toy, x, "integrated-gradients", 1, baseline=(0, start), steps=4, tolerance=9), both)


@quiet
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", PATHS)
def test_a_class_among_others_is_the_class_alone_bit_for_bit(name: str, dtype: torch.dtype) -> None:
    toy = build("batch-norm").to(dtype)
    x = batch(toy).to(dtype)
    together = attribute(toy, x, name, [[4, 0, 1], [2, 1, 3]])
    for row, classes in enumerate([[4, 0, 1], [2, 1, 3]]):
        for k, target in enumerate(classes):
            assert torch.equal(attribute(toy, x[row : row + 1], name, target)[0], together[row, k])


@quiet
@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 9), (2, 2, 5, 6, 4)])
def test_inputs_of_any_rank(name: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 4), nn.Tanh(), nn.Linear(4, 3))
    if name == "blur-ig" and len(shape) == 2:
        with pytest.raises(whylook.Unsupported, match="spatial axes"):
            attribute(net, x, name, 1)
        return
    values = attribute(net, x, name, 1)
    assert values.shape == x.shape
    assert values.dtype == x.dtype
    assert values.isfinite().all()
    assert values.any()


def facts(network: nn.Module, x: torch.Tensor, name: str, target: int, **parameters: object):
    from whylook.engine.request import Request
    from whylook.engine.run import run
    from whylook.engine.targets import Score, resolve

    request = Request(METHODS[name], {**FEW.get(name, {}), **parameters})
    _, (raw,) = run(network, (x,), [request], lambda z, one: resolve(target, z, one), Score())
    return raw


@pytest.mark.parametrize("name", PATHS)
def test_what_the_sum_misses_is_told(name: str) -> None:
    toy = build("flatten-head")
    x, start = batch(toy), 0 * batch(toy) if name != "blur-ig" else blurred(batch(toy), 4.0)
    raw = facts(toy, x, name, 1)
    with torch.no_grad():
        gained = (toy(x) - toy(start))[:, 1]
    missed = raw.values[:, 0].flatten(1).sum(1) - gained
    torch.testing.assert_close(raw.facts["residual"][:, 0], missed, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(raw.facts["relative_residual"][:, 0], (missed / gained).abs(), rtol=1e-6, atol=1e-9)
    taken = raw.facts["evaluations"][:, 0]
    assert (taken == 6).all() if name in FEW else (taken % 16 == 0).all()


@pytest.mark.parametrize("name", ["integrated-gradients", "blur-ig", "guided-ig"])
def test_a_map_that_misses_too_much_says_so(name: str) -> None:
    toy, x = build("flatten-head"), batch(build("flatten-head"))
    with pytest.warns(UserWarning, match=rf"{name}: The shares add up to .* above 0\.0%; take more steps"):
        attribute(toy, x, name, 1, steps=1, tolerance=1e-6)
    raw = facts(toy, x, name, 1, steps=1, tolerance=1e6)
    assert not raw.warnings
    with pytest.raises(whylook.UsageError, match="tolerance must be above 0"):
        attribute(toy, x, name, 1, tolerance=0.0)


def test_a_score_that_comes_back_to_where_it_was_is_told_and_does_not_take_forever() -> None:
    wave, x = Scores(lambda v: torch.sin(v).sum(1)), torch.full((1, 1), 2 * torch.pi, dtype=torch.float64)
    with pytest.warns(UserWarning, match="moves up and down"):
        attribute(wave, x, "integrated-gradients", None)
    raw = facts(Scores(lambda v: torch.sin(v).sum(1, keepdim=True).repeat(1, 2)), x, "integrated-gradients", 1)
    assert raw.facts["evaluations"].item() < 100
    assert abs(raw.facts["residual"].item()) < 0.004


def test_segments_that_never_suffice_stop_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "MOST", 40)
    wild = Scores(lambda v: torch.sin(300 * v).sum(1) + v.sum(1))
    with pytest.warns(UserWarning, match="40 evaluations did not bring it down"):
        attribute(wild, torch.ones(1, 1).double(), "integrated-gradients", None)


def test_what_memory_does_not_hold_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    toy, x = build("plain"), batch(build("plain"))
    expected = attribute(toy, x, "integrated-gradients", 2)
    monkeypatch.setattr(path, "_KEPT", 0)
    torch.testing.assert_close(attribute(toy, x, "integrated-gradients", 2), expected, rtol=1e-10, atol=1e-15)


def test_a_straight_path_that_may_not_stray_is_guided_by_nothing() -> None:
    toy, x = build("silu"), batch(build("silu"), 1)
    ours = attribute(toy, x, "guided-ig", 1, steps=8, stray=0.0, tolerance=9.0)
    places = [i / 8 for i in range(8)]
    expected = torch.zeros_like(x)
    for p in places:  # the rule of left ends, since the gradient leads the way
        leaf = (p * x).requires_grad_()
        (gradient,) = torch.autograd.grad(toy(leaf)[0, 1], leaf)
        expected = expected + x * gradient / 8
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-13)


def test_guided_ig_leaves_what_matters_to_the_end() -> None:
    # S = x₀ x₁: once the flat direction has moved, the steep one earns all. The straight line halves.
    product, x = Scores(lambda v: v[:, 0] * v[:, 1]), torch.tensor([[1.0, 1.0]]).double()
    straight = attribute(product, x, "integrated-gradients", None)[0]
    torch.testing.assert_close(straight, torch.tensor([0.5, 0.5]).double())
    free = attribute(
        product, x, "guided-ig", None, baseline=torch.tensor([[0.0, 0.1]]), steps=400, fraction=0.5, stray=1.0
    )[0]
    assert free.sum().item() == pytest.approx(1, abs=0.02)


@quiet
def test_blur_ig_adds_up_and_needs_no_color() -> None:
    toy, x = build("silu"), batch(build("silu"))
    with torch.no_grad():
        gained = (toy(x) - toy(blurred(x, 0.25 * 16)))[:, 1]
    shares = attribute(toy, x, "blur-ig", 1, steps=200).flatten(1).sum(1)
    torch.testing.assert_close(shares, gained, rtol=1e-3, atol=1e-5)
    even = torch.full_like(x, 0.7)
    torch.testing.assert_close(attribute(toy, even, "blur-ig", 1), torch.zeros_like(x), rtol=0, atol=1e-12)


def test_expected_gradients_on_a_linear_model_is_the_distance_from_the_mean() -> None:
    linear, x, background = nn.Linear(5, 2).double(), vectors(3, 5), vectors(3, 5, 2)
    ours = attribute(linear, x, "expected-gradients", 1, baseline=background, samples=6)
    # As many rows as there are inputs, and still every row is compared with all of them.
    torch.testing.assert_close(ours, (x - background.mean(0)) * linear.weight[1].detach(), rtol=1e-12, atol=1e-14)


def test_gradient_shap_without_noise_is_expected_gradients() -> None:
    toy, x = build("plain"), batch(build("plain"))
    kinds = {"baseline": [0, "mean", batch(toy, 3, seed=2)], "samples": 10}
    assert torch.equal(
        attribute(toy, x, "gradient-shap", 1, noise=0.0, **kinds), attribute(toy, x, "expected-gradients", 1, **kinds)
    )


def test_captum_s_gradient_shap_agrees_on_average() -> None:
    captum = pytest.importorskip("captum.attr", reason="needs captum (uv sync installs it)")
    net, x, background = Scores(lambda v: (v**3).sum(1)), vectors(1, 4), vectors(3, 4, 1)
    ours = attribute(net, x, "gradient-shap", None, baseline=background, samples=3000, noise=0.05)
    torch.manual_seed(0)
    theirs = (
        captum.GradientShap(net)
        .attribute(x, background, n_samples=60_000, stdevs=0.05 * float(x.max() - x.min()))
        .detach()
    )
    torch.testing.assert_close(ours, theirs, rtol=0.03, atol=0.03)


def test_names_need_a_preparation_except_those_of_the_input() -> None:
    toy, x = build("plain"), batch(build("plain"))
    for name in ("black", "white", "noise"):
        with pytest.raises(whylook.UsageError, match="give it to explain"):
            attribute(toy, x, "integrated-gradients", 1, baseline=name)
    color = x.mean((2, 3), keepdim=True).expand_as(x)
    ours = attribute(toy, x, "integrated-gradients", 1, baseline="mean")
    torch.testing.assert_close(
        ours, attribute(toy, x, "integrated-gradients", 1, baseline=color), rtol=1e-9, atol=1e-13
    )
    with pytest.raises(ValueError, match="shape"):
        attribute(toy, x, "integrated-gradients", 1, baseline=torch.zeros(3, 3, 16, 16))


def test_explain_resolves_names_and_pictures(tmp_path: Path) -> None:
    preprocess = Preprocess(input_size=(16, 16), resize_to=(18, 18), mean=0.3, std=0.25)
    model = load_model(build("plain").float(), preprocess=preprocess, name="toy")
    picture = load_image(np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8))

    def made(baseline: object, seed: int = 0):
        given = {"integrated-gradients": {"baseline": baseline, "steps": 3, "tolerance": 9.0}}
        return explain(picture, model, "integrated-gradients", 1, parameters=given, seed=seed).maps[0]

    black = made("black")
    start = preprocess.normalize(torch.zeros(3, 16, 16))
    assert np.array_equal(black.values, made(start).values)
    assert not np.array_equal(black.values, made(0).values)
    assert black.parameters["baseline"] == "black"
    assert black.seed is None
    from PIL import Image

    Image.new("RGB", (50, 50)).save(tmp_path / "nothing.png")
    assert np.allclose(made(tmp_path / "nothing.png").values, black.values, atol=1e-7)
    both = made(["black", "white"]).values
    assert np.allclose(both, (black.values + made("white").values) / 2, atol=1e-7)
    noise = made("noise")
    assert noise.seed == 0
    assert np.array_equal(noise.values, made("noise").values)
    assert not np.array_equal(noise.values, made("noise", seed=1).values)
    assert made("blur").values.any()
    with pytest.raises(whylook.UsageError, match="neither a picture's path"):
        made("blakc")
    result = explain(
        picture, model, ["integrated-gradients"], 1, parameters={"integrated-gradients": {"baseline": start}}
    )
    result.save(tmp_path / "out")
    assert "3×16×16 values (SHA-256" in (tmp_path / "out" / "result.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("guided-ig", {"steps": 0}),
        ("guided-ig", {"fraction": 0.0}),
        ("guided-ig", {"stray": 2.0}),
        ("blur-ig", {"blur": 0.0}),
        ("blur-ig", {"steps": 0}),
        ("expected-gradients", {"samples": 0}),
        ("gradient-shap", {"noise": -1.0}),
        ("integrated-gradients", {"steps": -1}),
        ("integrated-gradients", {"rule": "simpson"}),
    ],
)
def test_numbers_that_cannot_be_are_refused(name: str, bad: dict[str, object]) -> None:
    with pytest.raises(whylook.UsageError):
        attribute(build("plain"), batch(build("plain")), name, 1, **bad)


@pytest.mark.parametrize("toy_name", NAMES)
def test_adaptive_segments_keep_their_promise_on_every_toy(toy_name: str) -> None:
    toy = build(toy_name)
    raw = facts(toy, batch(toy), "integrated-gradients", 1)
    kept = raw.facts["relative_residual"][:, 0] <= 0.05
    said = [row[0] is not None for row in raw.warnings] if raw.warnings else [False, False]
    assert [not k for k in kept.tolist()] == said


@pytest.mark.parametrize("name", ["integrated-gradients", "guided-ig", "expected-gradients"])
def test_a_score_that_is_not_finite_on_the_way_is_told(name: str) -> None:
    """The slopes 1 / (x − 0.5) of a logarithm that does not exist left of 0.5 cancel to a map of zeros."""
    network = Scores(lambda x: (x[:, 0] - 0.5).log())
    with pytest.warns(UserWarning, match="not finite at the baseline"):
        whylook.attribute(network, torch.ones(1, 1, dtype=torch.float64), name)


def test_a_baseline_that_is_the_input_is_not_blamed_for_rounding() -> None:
    """Two rows of one batch differ in the last bit; 512 evaluations were spent on that, and the map was called wrong."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 3)).eval()
    x = torch.randn(1, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for baseline in (x.clone(), x + 1e-6):
            shares = whylook.attribute(network, x, "integrated-gradients", 0, baseline=baseline)
            assert shares.abs().max() < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shares_that_cancel_are_no_residual(dtype: torch.dtype) -> None:
    network = Scores(lambda x: torch.tanh(3 * x[:, 0]) - torch.tanh(3 * x[:, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shares = whylook.attribute(network, torch.ones(1, 2, dtype=dtype), "integrated-gradients")
    torch.testing.assert_close(shares[0, 0], -shares[0, 1])


def test_a_jump_of_the_score_has_no_gradient_and_is_told() -> None:
    network = Scores(lambda x: (x[:, 0] > 0.5).to(x) + 0 * x[:, 0])
    with pytest.warns(UserWarning, match="residual of 100.0% of that.*512 evaluations did not bring it down"):
        whylook.attribute(network, torch.ones(1, 1, dtype=torch.float64), "integrated-gradients")


def test_why_it_misses_is_said_for_each_baseline_and_not_for_their_sum() -> None:
    """Baselines from which the score goes up and comes down: each ends within its tolerance, well below 512."""
    network = Scores(lambda x: torch.sin(60 * x[:, 0]) + 0.01 * x[:, 0])
    x = torch.full((1, 1), 2 * math.pi / 60 * 20, dtype=torch.float64)
    several = [i * 1e-5 for i in range(8)]
    with pytest.warns(UserWarning, match="up and down on the way"):
        whylook.attribute(network, x, "integrated-gradients", baseline=several)


def test_a_blur_of_any_strength_costs_the_same_and_ends_in_the_mean() -> None:
    """It once took memory in proportion to the deviation: 10 GB at a million."""
    x = torch.randn(1, 2, 5, 7, dtype=torch.float64)
    mean = x.mean((2, 3), keepdim=True).expand_as(x)
    for sigma in (4 * 7.0, 1e3, 1e9, 1e30):
        torch.testing.assert_close(blurred(x, sigma), mean, rtol=0, atol=1e-9)  # tails beyond 6 deviations are left out
    assert torch.equal(blurred(x, 1e-200), x)
    network = nn.Sequential(nn.Flatten(), nn.Linear(70, 2)).double()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shares = whylook.attribute(network, x, "blur-ig", 0, blur=1e30)
    w = network[1].weight[0].view(1, 2, 5, 7)
    torch.testing.assert_close(shares, (w * (x - mean)).detach())
