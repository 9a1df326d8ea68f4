"""Sobol and HSIC attribution: additive scores, independence, what Xplique does."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import whylook
from whylook import attribute
from whylook.engine.probe import Noise
from whylook.methods.sensitivity import _dependence, _designs


def linear(d: int) -> nn.Module:
    torch.manual_seed(5)
    return nn.Linear(d, 3).double()


def test_sobol_indices_of_an_additive_score_are_its_terms_shares_of_the_variance() -> None:
    net, x = linear(6), torch.randn(1, 6, dtype=torch.float64)
    terms = (net.weight[1] * x[0]).detach() ** 2
    ours = attribute(net, x, "sobol", 1, samples=7 * 4096)[0]
    torch.testing.assert_close(ours, terms / terms.sum(), rtol=0.02, atol=0.002)
    assert float(ours.sum()) == pytest.approx(1, abs=0.01)


def test_sobol_of_a_linear_score_is_exact_in_its_own_draw() -> None:
    net, x = linear(5), torch.randn(2, 5, dtype=torch.float64)
    A, B = _designs(8, 5, Noise(3))
    for row, ours in enumerate(attribute(net, x, "sobol", 2, samples=48, seed=3)):
        terms = (net.weight[2] * x[row]).detach()
        expected = ((terms * (A - B)) ** 2).mean(0) / 2 / (A @ terms).var()
        torch.testing.assert_close(ours, expected)


def test_total_indices_count_what_segments_do_together() -> None:
    def product(x: Tensor) -> Tensor:  # of uniform shares: V = 7/144, V_T = 1/3 · 1/12 for each
        return torch.stack([x[:, 0] * x[:, 1], x[:, 2]], 1)

    ours = attribute(product, torch.ones(1, 3, dtype=torch.float64), "sobol", 0, samples=4 * 4096)[0]
    torch.testing.assert_close(ours[:2], torch.full((2,), 4 / 7, dtype=torch.float64), rtol=0.02, atol=0)
    assert ours[2] == 0


@torch.no_grad()
def test_a_segment_that_the_score_ignores_has_no_dependence() -> None:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    x = torch.randn(1, 6, dtype=torch.float64)
    ours = attribute(lambda v: inner(v[:, :4]), x, "hsic", [[0, 1]])[0]
    assert (ours[:, 4:] <= 1e-12 * ours.max()).all()
    assert (ours[:, :4] > 1e-4).all()


def test_hsic_is_the_trace_of_centered_kernels() -> None:
    rng = np.random.default_rng(0)
    present, y = rng.integers(0, 2, (30, 4)), rng.normal(size=30)
    apart = np.abs(y[:, None] - y)
    width = np.sort(apart[np.triu_indices(30, 1)])[(30 * 29 // 2 - 1) // 2]
    L, H = np.exp(-(apart**2) / (2 * width**2)), np.eye(30) - 1 / 30
    ours = _dependence(torch.as_tensor(present).double(), torch.as_tensor(y))
    for i in range(4):
        K = (present[:, None, i] == present[:, i]) - 0.5
        assert float(ours[i]) == pytest.approx(np.trace(K @ H @ L @ H) / 29**2)
        # Xplique adds 1 to the kernel, which centering takes away again, and divides by n instead of (n − 1)².
        theirs = np.trace((1 + K) @ H @ L @ H) / 30
        assert theirs * 30 / 29**2 == pytest.approx(float(ours[i]))


def test_hsic_does_not_depend_on_the_scores_scale_or_level() -> None:
    # Xplique takes the median score for the kernel's width: a constant added to a logit changes its map.
    net, x = linear(12), torch.randn(1, 12, dtype=torch.float64)
    plain = attribute(net, x, "hsic", 0, samples=300)
    torch.testing.assert_close(attribute(lambda v: 5 * net(v) + 100, x, "hsic", 0, samples=300), plain)


def test_every_segment_is_there_in_half_of_the_drawn_coalitions() -> None:
    seen: list[Tensor] = []

    def watch(x: Tensor) -> Tensor:
        seen.append(x)
        return x[:, :2]

    attribute(watch, torch.ones(1, 12, dtype=torch.float64), "hsic", 0, samples=100)
    drawn = torch.cat(seen)[-100:]
    assert torch.equal(drawn.sum(0), torch.full((12,), 50.0, dtype=torch.float64))
    correlation = torch.corrcoef(drawn.T) - torch.eye(12)
    assert correlation.abs().max() < 0.4


def test_scores_that_are_mostly_the_same_have_a_width_nevertheless() -> None:
    x = torch.ones(1, 6, dtype=torch.float64)
    every = attribute(lambda v: v.prod(1, keepdim=True) * torch.ones(2), x, "hsic", 0)  # 1 for one coalition of 64
    assert every.isfinite().all()
    assert every.min() > 0
    assert not attribute(lambda v: v[:, :2] * 0 + 3, x, "hsic", 0).any()


def test_where_the_evidence_is() -> None:
    def corner(x: Tensor) -> Tensor:
        return torch.stack([x[:, :, :8, :8].sum((1, 2, 3)).relu(), x.sum((1, 2, 3))], 1)

    x = torch.ones(1, 3, 28, 28, dtype=torch.float64)
    for name in ("sobol", "hsic"):
        ours = attribute(corner, x, name, 0)[0]
        assert ours[:8, :8].min() > 3 * ours[8:, 8:].max(), name


def test_what_cannot_be_is_said() -> None:
    net, x = linear(20), torch.randn(1, 20, dtype=torch.float64)
    with pytest.raises(whylook.UsageError, match="sobol needs at least 42 samples for 20 segments"):
        attribute(net, x, "sobol", 0, samples=41)
    with pytest.raises(whylook.UsageError, match="hsic needs at least 4 samples"):
        attribute(net, x, "hsic", 0, samples=3)
    with pytest.raises(whylook.UsageError, match="sobol takes at most"):
        _designs(2, 20_000, Noise(0))
