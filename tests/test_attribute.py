"""`attribute`, the low road: shapes, targets, scores, and what it refuses."""

from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import whylook
from references import CHEAP, REFUSED
from toys import batch, build
from whylook import Unsupported, attribute
from whylook.methods import METHODS


def test_input_x_gradient_is_exact_on_a_linear_model() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).double()
    x = torch.randn(3, 12, dtype=torch.float64)
    torch.testing.assert_close(attribute(net, x, "input-x-gradient", 2), x * net[1].weight[2])


def test_smoothgrad_without_noise_is_the_gradient() -> None:
    toy = build("silu")
    x = batch(toy)
    smooth = attribute(toy, x, "smoothgrad", 1, noise=0.0, samples=2)
    torch.testing.assert_close(smooth.abs().amax(1), attribute(toy, x, "gradient", 1))


def test_smoothgrad_converges_to_the_gradient_of_the_smoothed_score() -> None:
    # For S(x) = Σ relu(w·x) the smoothed gradient is w Φ(w·x / (σ|w|)), by Gaussian integration.
    w = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    net = nn.Sequential(nn.Linear(3, 1, bias=False), nn.ReLU()).double()
    net[0].weight.data = w
    x = torch.tensor([[0.3, 0.4, 0.9]], dtype=torch.float64)
    sigma = 0.5 * (x.max() - x.min())
    phi = torch.distributions.Normal(0.0, 1.0).cdf((x @ w.T) / (sigma * w.norm()))
    ours = attribute(net, x, "smoothgrad", samples=20_000, noise=0.5)
    torch.testing.assert_close(ours, (w * phi), atol=0.03, rtol=0)


@pytest.mark.parametrize("shape", [(8,), (3, 20), (1, 6, 8, 10)])
def test_inputs_of_any_rank(shape: tuple[int, ...]) -> None:
    conv = {1: None, 2: nn.Conv1d(3, 4, 3, padding=1), 4: nn.Conv3d(1, 4, 3, padding=1)}[len(shape)]
    pool = {2: nn.AdaptiveAvgPool1d(1), 4: nn.AdaptiveAvgPool3d(1)}.get(len(shape))
    net = nn.Linear(8, 3) if conv is None else nn.Sequential(conv, nn.ReLU(), pool, nn.Flatten(), nn.Linear(4, 3))
    x = torch.randn(2, *shape)
    assert attribute(net, x, "input-x-gradient").shape == x.shape
    assert attribute(net, x, "smoothgrad", samples=2).shape == x.shape
    if conv is None:
        with pytest.raises(whylook.Unsupported, match="no layer with a spatial output"):
            attribute(net, x, "grad-cam")
    else:
        assert attribute(net, x, "gradient").shape == (2, *shape[1:])
        assert attribute(net, x, "grad-cam").shape == (2, *shape[1:])


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.table = nn.Conv2d(1, 4, 3), nn.Linear(5, 4)
        self.head = nn.Linear(8, 3)

    def forward(self, picture: Tensor, row: Tensor) -> Tensor:
        return self.head(torch.cat([self.image(picture).relu().mean((2, 3)), self.table(row).tanh()], 1))


@pytest.mark.parametrize("method", ["input-x-gradient", "smoothgrad", "gradient"])
def test_a_tuple_in_a_tuple_out(method: str) -> None:
    net, x = TwoInputs(), (torch.randn(2, 1, 8, 8), torch.randn(2, 5))
    maps = attribute(net, x, method, 1)
    assert isinstance(maps, tuple)
    assert maps[0].shape == ((2, 8, 8) if method == "gradient" else (2, 1, 8, 8))
    assert maps[1].shape == (2, 5)
    leaves = [t.clone().requires_grad_() for t in x]
    grads = torch.autograd.grad(net(*leaves)[:, 1].sum(), leaves)
    if method == "input-x-gradient":
        for ours, t, g in zip(maps, x, grads, strict=True):
            torch.testing.assert_close(ours, t * g)


def test_one_logit_heads_have_two_classes() -> None:
    toy = build("one-logit")
    x = batch(toy)
    positive, negative = (attribute(toy, x, "input-x-gradient", k) for k in (1, 0))
    assert torch.equal(positive, -negative)
    assert torch.equal(attribute(toy, x, "input-x-gradient"), positive)
    flat = nn.Sequential(toy, nn.Flatten(0))
    assert flat(x).shape == (2,)
    assert torch.equal(attribute(flat, x, "input-x-gradient"), positive)
    with pytest.raises(ValueError, match="classes 0 to 1"):
        attribute(toy, x, "gradient", 2)


def test_no_target_means_each_rows_top_class() -> None:
    toy = build("flatten-head")
    x = batch(toy, 16, seed=5) * 30
    top = toy(x).argmax(1)
    assert len(set(top.tolist())) > 1
    assert torch.equal(attribute(toy, x, "gradient"), attribute(toy, x, "gradient", top.tolist()))
    assert torch.equal(attribute(toy, x, "gradient"), attribute(toy, x, "gradient", top))


def reference(toy: nn.Module, x: Tensor, score: object) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(score(toy(leaf)).sum(), leaf)[0] * x


def test_scores() -> None:
    toy = build("gelu")
    x = batch(toy)
    others = [0, 1, 3, 4]
    for name, by_hand in {
        "logit": lambda z: z[:, 2],
        "probability": lambda z: z.softmax(1)[:, 2],
        "margin": lambda z: z[:, 2] - z[:, others].logsumexp(1),
    }.items():
        ours = attribute(toy, x, "input-x-gradient", 2, score=name)
        torch.testing.assert_close(ours, reference(toy, x, by_hand))
    ours = attribute(toy, x, "input-x-gradient", 2, against=4)
    torch.testing.assert_close(ours, reference(toy, x, lambda z: z[:, 2] - z[:, 4]))
    torch.testing.assert_close(
        ours, attribute(toy, x, "input-x-gradient", 2) - attribute(toy, x, "input-x-gradient", 4)
    )


def test_margin_is_the_log_odds_of_the_probability() -> None:
    toy, x = build("gelu"), batch(build("gelu"))
    log_odds = reference(toy, x, lambda z: z.softmax(1)[:, 1].logit())
    torch.testing.assert_close(attribute(toy, x, "input-x-gradient", 1, score="margin"), log_odds)


def test_a_layer_by_name_or_module() -> None:
    toy = build("residual")
    x = batch(toy)
    early = attribute(toy, x, "grad-cam", 1, layer="features.stem")
    assert torch.equal(attribute(toy, x, "grad-cam", 1, layer=toy.features.stem), early)
    assert not torch.equal(attribute(toy, x, "grad-cam", 1), early)
    with pytest.raises(ValueError, match="not a part of this network"):
        attribute(toy, x, "grad-cam", layer=build("residual").features.stem)
    with pytest.raises(ValueError, match=r"no layer 'features\.stm'"):
        attribute(toy, x, "grad-cam", layer="features.stm")
    with pytest.raises(ValueError, match="reads no layer"):
        attribute(toy, x, "gradient", layer="features")
    with pytest.raises(whylook.Unsupported, match=r"not a spatial grid"):
        attribute(toy, x, "grad-cam", layer="head.2")


def test_outputs_in_every_wrapping() -> None:
    toy = build("plain")
    x = batch(toy)
    expected = attribute(toy, x, "gradient", 1)

    class Wrap(nn.Module):
        def __init__(self, how: object) -> None:
            super().__init__()
            self.toy, self.how = toy, how

        def forward(self, v: Tensor) -> object:
            return self.how(self.toy(v))

    from types import SimpleNamespace

    for how in (lambda z: (z, z * 2), lambda z: [z], lambda z: {"logits": z}, lambda z: SimpleNamespace(logits=z)):
        assert torch.equal(attribute(Wrap(how), x, "gradient", 1), expected)
    for how, what in ((lambda z: z[:, :, None, None], r"shape \(2, 5, 1, 1\)"), (lambda z: "no", "returns str")):
        with pytest.raises(whylook.Unsupported, match=what):
            attribute(Wrap(how), x, "gradient", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "grad-camm"}, "did you mean grad-cam"),
        ({"method": "grad-cam", "samples": 3}, "grad-cam has no parameter 'samples'"),
        ({"method": "smoothgrad", "sample": 3}, "it has samples, noise"),
        ({"method": "gradient", "score": "softmax"}, "there are logit, probability, margin"),
        ({"method": "gradient", "score": "margin", "against": 1}, "compares two logits"),
        ({"method": "gradient", "against": 9}, "Class 9 .against. does not exist"),
        ({"method": "gradient", "targets": 1, "against": 1}, "against itself"),
        ({"method": "gradient", "targets": [1, 2, 3]}, r"shape \(3,\) for 2 rows"),
        ({"method": "gradient", "targets": [[1, 2], [3]]}, "equally long"),
        ({"method": "gradient", "targets": 1.5}, "whole numbers"),
        ({"method": "gradient", "x": torch.zeros(2, 3, 16, 16, dtype=torch.uint8)}, "floating-point"),
        ({"method": "gradient", "x": torch.zeros(2, 3, 16, 16)}, "float32 .*float64"),
        ({"method": "gradient", "x": torch.zeros(0, 3, 16, 16, dtype=torch.float64)}, "n at least 1"),
        ({"method": "gradient", "x": [[1.0]]}, "takes a tensor"),
        ({"method": "smoothgrad", "samples": 0}, "samples"),
        ({"method": "smoothgrad", "noise": -1.0}, "noise"),
    ],
)
def test_what_cannot_be_right_is_said(arguments: dict[str, object], message: str) -> None:
    toy = build("plain")
    with pytest.raises(whylook.UsageError, match=message):
        attribute(toy, **{"x": batch(toy), **arguments})


def test_captures_survive_in_place_operations_behind_the_layer() -> None:
    # pytorch-grad-cam 1.5 and torchcam 0.5 read what the in-place ReLU behind the layer left there.
    toy = build("in-place-behind")
    x = batch(toy)
    with torch.no_grad():
        true = toy.features(x)
    assert true.min() < 0
    ours = attribute(toy, x, "hirescam", 1, layer="features")
    leaf = true.clone().requires_grad_()
    G = torch.autograd.grad(toy.head(leaf.clone())[:, 1].sum(), leaf)[0]
    torch.testing.assert_close(ours, (G * true).sum(1).relu())


def test_a_counting_buffer_is_put_back() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros((), dtype=torch.long))
            self.register_buffer("last", torch.zeros(2))

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            self.last = x.mean((1, 2, 3)).detach()
            return x

    net = nn.Sequential(Counts(), *build("plain").float().features, *build("plain").float().head)
    before = (net[0].calls, net[0].last)
    for method in METHODS.names():
        with suppress(Unsupported):
            attribute(net, torch.randn(2, 3, 16, 16), method, **CHEAP[method])
    assert net[0].calls is before[0]
    assert net[0].last is before[1]
    assert int(net[0].calls) == 0


def test_backward_stops_at_the_layer_for_cams() -> None:
    toy = build("plain")
    seen = []
    toy.features[0].register_full_backward_hook(lambda *_: seen.append("backward before the layer"))
    attribute(toy, batch(toy), "grad-cam", 1, layer="features")
    assert not seen
    attribute(toy, batch(toy), "gradient", 1)
    assert seen


def test_half_precision_stays_half_precision() -> None:
    toy = build("plain").bfloat16()
    assert attribute(toy, batch(toy).bfloat16(), "grad-cam", 1).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "targets",
    [
        [[1, 2], [3, 4]], ((1, 2), (3, 4)), np.array([[1, 2], [3, 4]]), torch.tensor([[1, 2], [3, 4]]),
        [np.array([1, 2]), np.array([3, 4])], list(torch.tensor([[1, 2], [3, 4]])),
    ],
)  # fmt: skip
def test_several_targets_in_every_wrapping(targets: object) -> None:
    toy = build("plain")
    x = batch(toy)
    ours = attribute(toy, x, "gradient", targets)
    assert ours.shape == (2, 2, 16, 16)
    assert torch.equal(ours[1, 0], attribute(toy, x, "gradient", 3)[1])


def test_targets_of_one_per_row_in_every_wrapping() -> None:
    toy = build("plain")
    x = batch(toy)
    expected = attribute(toy, x, "gradient", [1, 2])
    with torch.inference_mode():
        inside = torch.tensor([1, 2])
    for targets in (
        (1, 2),
        range(1, 3),
        np.array([1, 2]),
        torch.tensor([1, 2]),
        [torch.tensor(1), np.int64(2)],
        inside,
    ):
        assert torch.equal(attribute(toy, x, "gradient", targets), expected)
    assert torch.equal(attribute(toy, x, "gradient", np.int64(1)), attribute(toy, x, "gradient", 1))


def test_what_comes_back_has_no_graph_and_the_wrapping_of_what_went_in() -> None:
    toy = build("plain")
    x = batch(toy).requires_grad_()
    for method in (m for m in METHODS.names() if (m, "plain") not in REFUSED):
        ours = attribute(toy, x, method, 1, **CHEAP[method])
        assert not ours.requires_grad
        assert isinstance(attribute(toy, (x,), method, 1, **CHEAP[method]), tuple) == (METHODS[method].space != "layer")
    assert x.grad is None


class NoGrad(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            f = self.features(x)
        return self.head(f.mean((2, 3)))


def test_a_forward_under_no_grad_is_said_where_it_matters() -> None:
    net, x = NoGrad(), torch.randn(2, 3, 16, 16)
    for method in ("gradient", "input-x-gradient", "smoothgrad"):
        with pytest.raises(whylook.Unsupported, match="no gradient reaches it"):
            attribute(net, x, method, 1)
    A = net.features(x)
    cam = torch.einsum("nchw,c->nhw", A, net.head.weight[1]).relu() / A[0, 0].numel()
    torch.testing.assert_close(attribute(net, x, "grad-cam", 1), cam.detach())


def test_a_layer_that_puts_out_a_named_tuple() -> None:
    class Out(NamedTuple):
        features: Tensor
        extra: int

    class Names(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)

        def forward(self, x: Tensor) -> Out:
            return Out(self.conv(x).relu(), 1)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f, self.fc = Names(), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.f(x).features.mean((2, 3)))

    assert attribute(Net(), torch.randn(2, 3, 8, 8), "grad-cam", 1, layer="f").shape == (2, 6, 6)


@pytest.mark.parametrize("wrong", [{"noise": float("nan")}, {"noise": float("inf")}, {"noise": "abc"}, {"samples": 2.5},
                                   {"samples": True}])  # fmt: skip
def test_parameters_of_the_wrong_kind_are_said(wrong: dict[str, object]) -> None:
    toy = build("plain")
    with pytest.raises(whylook.UsageError, match="must be a"):
        attribute(toy, batch(toy), "smoothgrad", 1, **wrong)


def test_a_layer_by_its_second_name() -> None:
    toy = build("residual")
    toy.features.again = toy.features.stem
    x = batch(toy)
    assert torch.equal(
        attribute(toy, x, "grad-cam", 1, layer="features.again"),
        attribute(toy, x, "grad-cam", 1, layer="features.stem"),
    )
    for wrong in (3, ""):
        with pytest.raises(whylook.UsageError, match="neither a module"):
            attribute(toy, x, "grad-cam", 1, layer=wrong)
