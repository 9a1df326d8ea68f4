"""Shapley value sampling and partition SHAP: brute force, efficiency, what one order suffices for, shap as oracle."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from captum.attr import ShapleyValueSampling
from torch import Tensor, nn

import whylook
from test_surrogate import mlp, shapley
from whylook import attribute

FEW = pytest.mark.filterwarnings("ignore:.*means over few orders")


@torch.no_grad()
def test_where_all_coalitions_fit_the_values_are_brute_force() -> None:
    net, x, baseline = mlp(4), torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    ours = attribute(net, x, "shapley-sampling", [[1, 2]] * 2, baseline=baseline)
    for row, (k, c) in itertools.product(range(2), enumerate((1, 2))):
        expected = shapley(lambda z, c=c: net(z[None])[0, c], x[row], baseline[row])
        torch.testing.assert_close(ours[row, k], expected, rtol=1e-9, atol=1e-12)


def test_kernel_shap_and_sampling_agree_where_both_are_exact() -> None:
    x = torch.randn(1, 3, 12, 12, dtype=torch.float64)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).double()
    a, b = (attribute(net, x, name, 0, cells=3) for name in ("kernel-shap", "shapley-sampling"))
    torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-12)


@FEW
@pytest.mark.parametrize(("name", "samples"), [("shapley-sampling", 60), ("shapley-sampling", 400), ("partition-shap", 2),
                                               ("partition-shap", 17), ("partition-shap", 300)])  # fmt: skip
def test_the_values_add_up_to_the_difference_however_few_the_samples(name: str, samples: int) -> None:
    net, x = mlp(14), torch.randn(2, 14, dtype=torch.float64)
    ours = attribute(net, x, name, [[0, 2]] * 2, samples=samples)
    delta = (net(x) - net(torch.zeros_like(x)))[:, [0, 2]]
    torch.testing.assert_close(ours.sum(2), delta.detach(), rtol=1e-9, atol=1e-12)


def pairs(x: Tensor) -> Tensor:
    """Scores in which segments interact in pairs at most."""
    W = torch.randn(15, 15, generator=torch.Generator().manual_seed(1)).to(x)
    return torch.stack([torch.einsum("bi,ij,bj->b", x, W, x) + x.sum(1), x.sum(1)], 1)


def test_an_order_and_its_reverse_suffice_for_interactions_in_pairs() -> None:
    x = torch.randn(1, 15, dtype=torch.float64)
    W = torch.randn(15, 15, generator=torch.Generator().manual_seed(1)).to(x)
    exact = x * (W @ x[0] + x[0] @ W) / 2 + x  # half of every interaction, all of the rest
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # and the standard error knows it: nothing is said
        torch.testing.assert_close(attribute(pairs, x, "shapley-sampling", 0, samples=56), exact)


@FEW
def test_the_error_is_stated_and_true() -> None:
    net, x = mlp(12), 2 * torch.randn(1, 12, dtype=torch.float64)
    exact = attribute(net, x, "shapley-sampling", 0, samples=5000)
    found = [attribute(net, x, "shapley-sampling", 0, samples=440, seed=s) for s in range(12)]  # 20 pairs
    spread = torch.stack(found).std(0).max()
    with pytest.warns(UserWarning, match="means over few orders: the standard error of one is up to") as said:
        attribute(net, x * 0 + 9, "shapley-sampling", 0, samples=44)
    assert "take more samples" in str(said[0].message)
    assert spread < 0.2 * exact.abs().max()
    torch.testing.assert_close(torch.stack(found).mean(0), exact, rtol=0, atol=float(3 * spread / 12**0.5))


def test_captums_sampling_has_the_same_expectation() -> None:
    net, x = mlp(6), torch.randn(1, 6, dtype=torch.float64)
    torch.manual_seed(0)
    theirs = ShapleyValueSampling(net).attribute(x, target=1, n_samples=100)
    ours = attribute(net, x, "shapley-sampling", 1)
    torch.testing.assert_close(ours, theirs.detach().double(), rtol=0, atol=0.15 * float(ours.abs().max()))


def test_owen_values_agree_with_shaps_partition_explainer() -> None:
    def score(z: Tensor) -> Tensor:
        parts = z[:, 0] * z[:, 1] + (z[:, 2] - z[:, 5]).relu() + z[:, 3] * z[:, 4] * z[:, 7] - z[:, 6] ** 2
        return torch.stack([parts, -parts], 1)

    # Of shap 0.51, given the same tree; compiling it takes a minute, so what it said stands here.
    theirs = torch.tensor([1, 1, 0.75, 3, 1.5, -0.75, -0.25, 1.5], dtype=torch.float64)
    x = torch.tensor([[1.0, 2.0, 1.5, -1.0, 3.0, 2.5, 0.5, -2.0]], dtype=torch.float64)
    ours = attribute(score, x, "partition-shap", [[0, 1]])[0]
    torch.testing.assert_close(ours, torch.stack([theirs, -theirs]))


def test_owen_values_of_a_linear_score_are_its_own_terms() -> None:
    net, x = nn.Linear(16, 2).double(), torch.randn(2, 16, dtype=torch.float64)
    torch.testing.assert_close(attribute(net, x, "partition-shap", 1, samples=800), (x * net.weight[1]).detach())


def corner(x: Tensor) -> Tensor:
    return x[:, :, :4, :4].sum((1, 2, 3))[:, None] * torch.tensor([1.0, 2.0]).to(x)


def test_the_part_that_matters_is_divided_first() -> None:
    x = torch.ones(1, 1, 32, 32, dtype=torch.float64)
    ours = attribute(corner, x, "partition-shap", 0, samples=126)  # six halvings, and no part too many
    expected = torch.zeros(32, 32, dtype=torch.float64)
    expected[:4, :4] = 1.0
    torch.testing.assert_close(ours[0], expected)
    coarse = attribute(corner, x, "partition-shap", 0, samples=2)  # one halving: the upper half, evenly
    torch.testing.assert_close(coarse[0, :16], torch.full((16, 32), 16 / 512, dtype=torch.float64))
    assert not coarse[0, 16:].any()


def test_facts_of_a_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    feeding = whylook.Preprocess((16, 16), resize="none", mean=0.5, std=0.5)
    model = whylook.load_model(lambda x: x.mean((2, 3)), preprocess=feeding, name="mean")
    small = {"shapley-sampling": {"cells": 3}, "partition-shap": {"cells": 2}}
    result = whylook.explain(picture, model, ["shapley-sampling", "partition-shap"], parameters=small)
    assert result.map("mean", "shapley-sampling").facts == {"standard_error": 0.0, "segments": 9.0, "exact": 1.0}
    assert result.map("mean", "partition-shap").facts == {"parts": 4.0, "exact": 1.0}


def test_several_inputs_are_taken_apart_first() -> None:
    a, b = torch.randn(1, 4, dtype=torch.float64), torch.randn(1, 3, dtype=torch.float64)
    u, v = torch.randn(4, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    net = Two(u, v)
    for name in ("shapley-sampling", "partition-shap"):
        of_a, of_b = attribute(net, (a, b), name, 0)
        torch.testing.assert_close(of_a + 0.0, a * u)
        torch.testing.assert_close(of_b + 0.0, b * v)


class Two(nn.Module):
    def __init__(self, u: Tensor, v: Tensor) -> None:
        super().__init__()
        self.u, self.v = u, v

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.stack([a @ self.u + b @ self.v, a.sum(1)], 1)


def test_what_cannot_be_is_said() -> None:
    net, x = mlp(20), torch.randn(1, 20, dtype=torch.float64)
    with pytest.raises(whylook.UsageError, match="shapley-sampling needs at least 76 samples for 20 segments"):
        attribute(net, x, "shapley-sampling", 0, samples=75)
    with pytest.raises(whylook.UsageError, match="samples of 2 or more"):
        attribute(net, x, "partition-shap", 0, samples=1)
