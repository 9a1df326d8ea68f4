"""SmoothGrad and its relatives: what they are of each other, and in closed form."""

import pytest
import torch
from torch import nn

import whylook
from toys import batch, build
from whylook.engine.probe import Noise
from whylook.methods import METHODS

ALL = ("smoothgrad", "smoothgrad-squared", "vargrad")


class Cubic(nn.Module):
    """S_k = k-th weights · x³, so that the gradient 3 w x² is known at every noisy copy."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, size, generator=torch.Generator().manual_seed(0)).double())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x**3 @ self.weight.T


@pytest.mark.parametrize("toy_name", ["plain", "silu", "tokens"])
def test_the_variance_is_the_mean_square_less_the_squared_mean(toy_name: str) -> None:
    toy = build(toy_name)
    x = batch(toy)
    mean, square, variance = (whylook.attribute(toy, x, name, 1, samples=6, seed=4) for name in ALL)
    torch.testing.assert_close(variance, square - mean**2, rtol=1e-9, atol=1e-14)
    assert variance.any()


def test_a_linear_model_has_one_gradient() -> None:
    linear = nn.Linear(5, 3).double()
    x = torch.randn(2, 5).double()
    mean, square, variance = (whylook.attribute(linear, x, name, 2) for name in ALL)
    weights = linear.weight[2].detach().expand(2, 5)
    torch.testing.assert_close(mean, weights)
    torch.testing.assert_close(square, weights**2)
    torch.testing.assert_close(variance, torch.zeros_like(x), rtol=0, atol=1e-30)


def test_expectations_on_a_cubic_are_met() -> None:
    # E(x + σz)² = x² + σ², E(x + σz)⁴ = x⁴ + 6x²σ² + 3σ⁴.
    net, x = Cubic(2, 4), torch.tensor([[1.0, -2.0, 0.5, 3.0]]).double()
    sigma = 0.2 * (x.max() - x.min())
    w = 3 * net.weight[1].detach()
    expected = (
        w * (x**2 + sigma**2),
        w**2 * (x**4 + 6 * x**2 * sigma**2 + 3 * sigma**4),
        w**2 * (4 * x**2 * sigma**2 + 2 * sigma**4),
    )
    for name, exact in zip(ALL, expected, strict=True):
        ours = whylook.attribute(net, x, name, 1, samples=20_000, noise=0.2)
        torch.testing.assert_close(ours, exact, rtol=0.06, atol=0)


@pytest.mark.parametrize("name", ["smoothgrad-squared", "vargrad"])
def test_captum_agrees_given_the_same_noise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    captum = pytest.importorskip("captum.attr", reason="needs captum (uv sync installs it)")
    toy = build("plain")
    x = batch(toy, 1)
    draws = torch.Generator().manual_seed(0)
    noise = [torch.randn(x.shape[1:], generator=draws).double() for _ in range(5)]
    monkeypatch.setattr(torch, "normal", lambda mean, std: mean + std * torch.stack(noise))
    kind = {"smoothgrad-squared": "smoothgrad_sq", "vargrad": "vargrad"}[name]
    theirs = captum.NoiseTunnel(captum.Saliency(toy)).attribute(
        x, nt_type=kind, nt_samples=5, stdevs=0.15 * float(x.max() - x.min()), target=1, abs=False
    )
    torch.testing.assert_close(whylook.attribute(toy, x, name, 1, samples=5), theirs.detach(), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ALL)
def test_bad_numbers_are_refused_in_the_method_s_name(name: str) -> None:
    with pytest.raises(whylook.UsageError, match=f"{name} needs samples of 1 or more"):
        whylook.attribute(nn.Linear(3, 2), torch.randn(1, 3), name, 0, samples=0)


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("smoothgrad", lambda g: g.mean(0)),
        ("smoothgrad-squared", lambda g: g.square().mean(0)),
        ("vargrad", lambda g: g.var(0, correction=0)),
    ],
)
@pytest.mark.parametrize("samples", [1, 64, 65, 200])
def test_copies_are_made_a_few_at_a_time(name: str, moment: object, samples: int) -> None:
    """All at once, ten thousand copies of a picture took 12 GB; the moments of parts are joined exactly."""
    toy = build("gelu")
    x = batch(toy, 1)
    rng, scale, gradients, most = Noise(5), 0.3 * (x.max() - x.min()), [], 0
    for _ in range(samples):
        noisy = (x + scale * rng.normal(1, x)).requires_grad_()
        gradients.append(torch.autograd.grad(toy(noisy)[0, 2], noisy)[0][0])
    found = whylook.attribute(toy, x, name, 2, samples=samples, noise=0.3, seed=5)[0]
    torch.testing.assert_close(found, moment(torch.stack(gradients)), rtol=1e-9, atol=1e-15)

    def counted(rows: torch.Tensor) -> torch.Tensor:
        nonlocal most
        most = max(most, len(rows))
        return rows[None]

    METHODS[name].function(x, counted, samples=samples, noise=0.3, rng=Noise(0))
    assert most <= 64
