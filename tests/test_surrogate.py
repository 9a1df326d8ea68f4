"""LIME and KernelSHAP: brute force, efficiency, shap as oracle, segments, and what the fit says."""

import itertools
import math
import sys
import warnings

import numpy as np
import pytest
import shap
import torch
from torch import Tensor, nn

import whylook
from whylook import attribute
from whylook.engine.probe import Noise
from whylook.errors import UsageError
from whylook.methods.surrogate import coalitions
from whylook.segments import divide


def mlp(d: int) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(d, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def shapley(f: object, x: Tensor, baseline: Tensor) -> Tensor:
    """By the definition: the mean marginal contribution over all orders."""
    d, out = x.numel(), torch.zeros_like(x)
    for order in itertools.permutations(range(d)):
        z = baseline.clone()
        before = f(z)
        for i in order:
            z[i] = x[i]
            after = f(z)
            out[i] += (after - before) / math.factorial(d)
            before = after
    return out


@torch.no_grad()
def test_kernel_shap_over_all_coalitions_is_brute_force() -> None:
    net, x = mlp(5), torch.randn(2, 5, dtype=torch.float64)
    baseline = torch.randn(2, 5, dtype=torch.float64)
    ours = attribute(net, x, "kernel-shap", 1, baseline=baseline)
    for row in range(2):
        expected = shapley(lambda z: net(z[None])[0, 1], x[row], baseline[row])
        torch.testing.assert_close(ours[row], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("samples", [40, 200, 1022, 5000])
def test_the_values_add_up_to_the_difference_however_few_the_samples(samples: int) -> None:
    net, x = mlp(10), torch.randn(3, 10, dtype=torch.float64)
    ours = attribute(net, x, "kernel-shap", [[0, 2]] * 3, samples=samples)
    delta = (net(x) - net(torch.zeros_like(x)))[:, [0, 2]]
    torch.testing.assert_close(ours.sum(2), delta.detach(), rtol=1e-9, atol=1e-12)


def test_samples_come_near_the_exact_values_and_follow_the_seed() -> None:
    net, x = mlp(12), torch.randn(1, 12, dtype=torch.float64)
    exact = attribute(net, x, "kernel-shap", 0, samples=4094)
    few, many = (attribute(net, x, "kernel-shap", 0, samples=n) for n in (60, 1000))
    assert (many - exact).abs().max() < 0.5 * (few - exact).abs().max() < 0.1 * exact.abs().max()
    assert torch.equal(few, attribute(net, x, "kernel-shap", 0, samples=60))
    assert not torch.equal(few, attribute(net, x, "kernel-shap", 0, samples=60, seed=1))


def test_kernel_shap_agrees_with_shap() -> None:
    net, x = mlp(6), torch.randn(2, 6, dtype=torch.float64)
    oracle = shap.KernelExplainer(lambda z: net(torch.as_tensor(z)).detach().numpy(), np.zeros((1, 6)))
    theirs = oracle.shap_values(x.numpy(), nsamples=62, silent=True)[:, :, 1]
    np.testing.assert_allclose(attribute(net, x, "kernel-shap", 1), theirs, atol=1e-9)


def test_a_linear_model_has_its_own_terms() -> None:
    net = nn.Linear(20, 3).double()
    x = torch.randn(2, 20, dtype=torch.float64)
    for name in ("kernel-shap", "lime"):
        torch.testing.assert_close(attribute(net, x, name, 2, samples=100), x * net.weight[2].detach())


def test_coalitions_weigh_sizes_as_the_shapley_kernel_does() -> None:
    for samples, all_there in ((60, False), (200, False), (254, True), (1000, True)):
        present, weights, exact = coalitions(8, samples, Noise(0))
        assert exact == all_there
        assert len(present) <= samples
        sizes = present.sum(1)
        assert sizes.min() >= 1
        assert sizes.max() <= 7
        for size in range(1, 8):
            share = float(weights[sizes == size].sum())
            expected = 7 / (size * (8 - size))
            if exact or size in (1, 7):
                assert share == pytest.approx(expected)
        assert float(weights.sum()) == pytest.approx(sum(7 / (s * (8 - s)) for s in range(1, 8)))
        if exact:
            assert len(torch.unique(present, dim=0)) == 254


def test_one_segment_takes_all() -> None:
    net, x = mlp(6), torch.randn(1, 6, dtype=torch.float64)
    ours = attribute(net, x, "kernel-shap", 0, segments=torch.zeros(6, dtype=torch.long))
    torch.testing.assert_close(ours, (net(x) - net(x * 0))[:, :1].expand(1, 6).detach())


def test_a_grid_has_cells_of_equal_size_and_never_more_than_elements() -> None:
    numbers = divide(torch.zeros(1, 3, 14, 5), "grid", 7)
    assert torch.equal(torch.bincount(numbers.flatten()), torch.full((35,), 2))
    assert torch.equal(divide(torch.zeros(1, 4)), torch.arange(4))
    assert int(divide(torch.zeros(1, 1, 8, 8, 8), cells=2).max()) == 7


@pytest.mark.parametrize("kind", ["slic", "quickshift"])
def test_superpixels_follow_the_colors(kind: str) -> None:
    picture = torch.zeros(1, 3, 32, 32)
    picture[:, :, :, 13:] = 1.0
    picture += 0.01 * torch.rand(picture.shape, generator=torch.Generator().manual_seed(0))
    numbers = divide(picture, kind, 4)
    assert not set(numbers[:, :12].unique().tolist()) & set(numbers[:, 14:].unique().tolist())
    assert sorted(numbers.unique().tolist()) == list(range(int(numbers.max()) + 1))
    values = attribute(lambda x: x[:, :2, 4:8, 4:8].mean((2, 3)), picture, "kernel-shap", 0, segments=kind, cells=4)
    for number in numbers.unique():
        assert len(values[0][numbers == number].unique()) == 1
    gray = divide(picture[:, :1], kind, 4)
    assert gray.shape == (32, 32)


def test_without_scikit_image_the_default_works_and_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    x = torch.rand(1, 3, 8, 8)
    attribute(lambda v: v.mean((2, 3)), x, "lime", 0, samples=60)
    with pytest.raises(whylook.UsageError, match=r"install .*segments.*, or use segments='grid'"):
        attribute(lambda v: v.mean((2, 3)), x, "lime", 0, segments="slic")


def test_what_cannot_be_is_said() -> None:
    net, x = mlp(12), torch.randn(1, 12, dtype=torch.float64)
    for words, name, bad in (
        ("at least 24 samples for 12 segments", "kernel-shap", {"samples": 23}),
        ("at least 14 samples for 12 segments", "lime", {"samples": 13}),
        ("not known", "lime", {"segments": "felzenszwalb"}),
        ("whole numbers of shape", "lime", {"segments": torch.zeros(3)}),
        ("width", "lime", {"width": 0.0}),
        ("cells=0", "lime", {"cells": 0}),
        ("divides pictures", "lime", {"segments": "slic"}),
    ):
        with pytest.raises(whylook.UsageError, match=words):
            attribute(net, x, name, 0, **bad)


def test_a_poor_fit_is_said() -> None:
    def parity(x: Tensor) -> Tensor:  # as far from linear as a score can be
        return torch.stack([x.prod(1), x.sum(1)], 1)

    x = -torch.ones(1, 8)
    with pytest.warns(UserWarning, match="fits the score poorly"):
        attribute(parity, x, "lime", 0, baseline=1.0)


def test_r_squared_belongs_to_the_map() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    feeding = whylook.Preprocess((16, 16), resize="none", mean=0.5, std=0.5)
    model = whylook.load_model(lambda x: x.mean((2, 3)), preprocess=feeding, name="mean")
    result = whylook.explain(picture, model, ["lime", "kernel-shap"], parameters={"kernel-shap": {"cells": 3}})
    assert result.map("mean", "lime").facts == pytest.approx({"r2": 1.0, "segments": 49.0})
    assert result.map("mean", "kernel-shap").facts == pytest.approx({"r2": 1.0, "segments": 9.0, "exact": 1.0})


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("lime", {"width": 0.02, "samples": 60}),
        ("lime", {"width": 1e-3, "samples": 1000}),
        ("lime", {"width": 1e-200, "samples": 1000}),
        ("kernel-shap", {"samples": 24, "seed": 1}),
    ],
)
def test_coalitions_that_do_not_tell_segments_apart_are_told_whatever_the_fit(name: str, given: dict) -> None:
    """Weights were off by as much as they are large, with R² 1 and without a word."""
    torch.manual_seed(1)
    linear = nn.Linear(12, 2).double()
    x = torch.randn(1, 12, dtype=torch.float64)
    exact = (linear.weight[0] * x[0]).detach()
    with pytest.warns(UserWarning, match="do not tell all 12 segments apart.*take more samples"):
        found = attribute(linear, x, name, 0, **given)
    assert found.isfinite().all()
    assert (found[0] - exact).abs().max() > 0.01


@pytest.mark.parametrize("name", ["lime", "kernel-shap"])
@pytest.mark.parametrize("players", [1, 2, 3, 12])
def test_coalitions_that_do_are_not_blamed(name: str, players: int) -> None:
    torch.manual_seed(2)
    linear = nn.Linear(players, 2).double()
    x = torch.randn(1, players, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = attribute(linear, x, name, 0)
    torch.testing.assert_close(found, (linear.weight[0] * x).detach())


@pytest.mark.parametrize("segments", [["a", "b"], None, {}, object()])
def test_segments_of_no_kind_are_refused(segments: object) -> None:
    with pytest.raises(UsageError, match="is neither grid, slic, quickshift nor a map of whole numbers"):
        divide(torch.zeros(1, 3, 8, 8), segments)
