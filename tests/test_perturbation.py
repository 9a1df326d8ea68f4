"""Occlusion and RISE: closed forms on linear models, Captum as oracle, windows, geometry, inputs of any rank."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from captum.attr import Occlusion
from torch import Tensor, nn

import whylook
from toys import batch, build
from whylook import attribute
from whylook.engine.probe import Noise
from whylook.geometry import Geometry
from whylook.methods.perturbation import _upsampling, random_masks


class Linear(nn.Module):
    """Three scores w · x + b of an input of any shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.w = nn.Parameter(torch.randn(3, *shape, generator=generator, dtype=torch.float64))
        self.b = nn.Parameter(torch.randn(3, generator=generator, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.w.flatten(1).T + self.b


def rows(n: int, *shape: int) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_occlusion_of_a_linear_model_is_the_patch_sum() -> None:
    net, x = Linear(3, 16, 16), rows(2, 3, 16, 16)
    for window, stride in ((4, 4), (6, 2), (1, 1), (16, 16)):
        sums = F.avg_pool2d((x * net.w[1]).sum(1, keepdim=True), window, stride, divisor_override=1)[:, 0]
        ours = attribute(net, x, "occlusion", 1, window=window, stride=stride)
        torch.testing.assert_close(ours, sums, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        attribute(net, x, "occlusion", 1),
        F.avg_pool2d((x * net.w[1]).sum(1, keepdim=True), 2, 1, divisor_override=1)[:, 0],
    )


def test_the_baseline_is_what_stands_in_the_window() -> None:
    net, x = Linear(2, 6, 6), rows(2, 2, 6, 6)
    other = rows(2, 2, 6, 6).flip(0)
    sums = F.avg_pool2d(((x - other) * net.w[0]).sum(1, keepdim=True), 3, divisor_override=1)[:, 0]
    torch.testing.assert_close(attribute(net, x, "occlusion", 0, window=3, stride=3, baseline=other), sums)


@pytest.mark.parametrize(("window", "stride"), [(5, 4), (3, 2), ((7, 5), (3, 5)), (15, 9)])
def test_occlusion_agrees_with_captum_also_where_the_last_window_is_cut_off(window: object, stride: object) -> None:
    toy = build("silu")
    x = batch(toy)
    w, s = ((v, v) if isinstance(v, int) else v for v in (window, stride))
    captum = Occlusion(toy).attribute(x, (3, *w), (3, *s), target=2)
    ours = attribute(toy, x, "occlusion", 2, window=window, stride=stride)
    # Captum averages, per pixel, the drops of the windows that cover it; ours are those drops.
    total, covered = torch.zeros(2, 16, 16, dtype=torch.float64), torch.zeros(16, 16)
    for i, j in np.ndindex(*ours.shape[1:]):
        box = (slice(i * s[0], i * s[0] + w[0]), slice(j * s[1], j * s[1] + w[1]))
        total[:, box[0], box[1]] += ours[:, i, j, None, None]
        covered[box] += 1
    assert covered.min() > 0  # the whole picture
    torch.testing.assert_close(total / covered, captum[:, 0].double(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("side", [1, 5, 16, 31, 224, 299])
def test_default_windows_cover_inputs_of_any_size(side: int) -> None:
    calls = []

    def sums(x: Tensor) -> Tensor:
        calls.append(len(x))
        return x.flatten(1).sum(1, keepdim=True)

    ours = attribute(sums, torch.ones(1, 1, side, 3, dtype=torch.float64), "occlusion", 1)
    assert ours.shape[1] == {1: 1, 5: 5, 16: 15, 31: 15, 224: 15, 299: 15}[side]
    assert ours.min() >= 1  # every window hides something


def test_what_cannot_be_is_said() -> None:
    net, x = Linear(3, 16, 16), rows(1, 3, 16, 16)
    for words, bad in {
        "does not fit": {"window": 17},
        "leave gaps": {"window": 3, "stride": 4},
        "whole number": {"window": 2.5},
        "16 × 16": {"window": (1, 2, 3)},
        "window=0": {"window": 0},
    }.items():
        with pytest.raises(whylook.UsageError, match=words):
            attribute(net, x, "occlusion", 0, **bad)
    with pytest.raises(whylook.UsageError, match="keep"):
        attribute(net, x, "rise", 0, keep=0.0)


@pytest.mark.parametrize("shape", [(7,), (2, 12), (1, 6, 8, 4)])
def test_inputs_of_any_rank(shape: tuple[int, ...]) -> None:
    net, x = Linear(*shape), rows(2, *shape)
    single = attribute(net, x, "occlusion", 1, window=1, stride=1)
    product = x * net.w[1]
    torch.testing.assert_close(single, product if len(shape) == 1 else product.sum(1), rtol=1e-9, atol=1e-9)
    default = attribute(net, x, "occlusion", 1)
    assert default.ndim == max(2, len(shape))
    for name in ("rise", "lime", "kernel-shap"):
        assert (
            attribute(net, x, name, 1, **({"samples": 100} if name == "rise" else {"cells": 3})).shape == single.shape
        )


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = Linear(2, 8, 8), Linear(5)

    def forward(self, image: Tensor, table: Tensor) -> Tensor:
        return self.a(image) + self.b(table)


def test_several_inputs() -> None:
    net, x = Two(), (rows(2, 2, 8, 8), rows(2, 5))
    image, table = attribute(net, x, "occlusion", 2, window=1, stride=1)
    torch.testing.assert_close(image, (x[0] * net.a.w[2]).sum(1))
    torch.testing.assert_close(table, x[1] * net.b.w[2])
    assert [m.shape for m in attribute(net, x, "rise", 2, samples=3)] == [(2, 8, 8), (2, 5)]
    image, table = attribute(net, x, "kernel-shap", 2, cells=2)
    torch.testing.assert_close(table, x[1] * net.b.w[2])
    torch.testing.assert_close(image[:, ::4, ::4], F.avg_pool2d((x[0] * net.a.w[2]).sum(1), 4, divisor_override=1))


def test_all_classes_come_from_the_same_evaluations() -> None:
    asked = []

    def scores(x: Tensor) -> Tensor:
        asked.append(len(x))
        return x.mean((2, 3))

    x = torch.rand(1, 3, 16, 16)
    for name in ("occlusion", "rise", "lime", "kernel-shap"):
        asked.clear()
        attribute(scores, x, name, [[0]], **({"samples": 100} if name != "occlusion" else {}))
        one = sum(asked)
        asked.clear()
        assert (
            attribute(scores, x, name, [[0, 1, 2]], **({"samples": 100} if name != "occlusion" else {})).shape[1] == 3
        )
        assert sum(asked) == one


def test_masks_are_what_the_paper_says() -> None:
    masks = random_masks(torch.zeros(1, 3, 20, 15, dtype=torch.float64), 4000, 4, 0.3, Noise(0))
    assert masks.shape == (4000, 20, 15)
    assert 0 <= masks.min() < 1e-12
    assert 1 - 1e-12 < masks.max() <= 1 + 1e-12
    np.testing.assert_allclose(masks.mean(0), 0.3, atol=5 * math.sqrt(0.3 * 0.7 / 4000))
    # Bilinear upsampling as torch has it.
    grid = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    fine = F.interpolate(grid, (25, 20), mode="bilinear", align_corners=False)
    torch.testing.assert_close(_upsampling(4, 5) @ grid[0, 0] @ _upsampling(4, 4).T, fine[0, 0])


def test_the_expectation_of_rise_on_a_linear_model() -> None:
    # One feature by itself is kept with probability p, so E[M_i M_j] is p² for i ≠ j and p for i = j:
    # E[map_i] = b + w_i x_i + p Σ_{j ≠ i} w_j x_j.
    net, x, keep = Linear(6), rows(1, 6), 0.3
    product = x * net.w[2]
    expected = net.b[2] + product + keep * (product.sum() - product)
    ours = attribute(net, x, "rise", 2, samples=60_000, keep=keep)
    torch.testing.assert_close(ours, expected, atol=0.06, rtol=0)


def test_the_expectation_of_rise_on_a_picture() -> None:
    net, x = Linear(1, 6, 6), rows(1, 1, 6, 6)
    masks = random_masks(x, 20_000, 2, 0.5, Noise(9)).flatten(1)
    second = masks.T @ masks / len(masks)  # E[M_i M_j], from other masks than those of the map
    expected = (net.b[0] * 0.5 + second @ (x * net.w[0]).flatten()) / 0.5
    ours = attribute(net, x, "rise", 0, samples=20_000, cells=2)
    torch.testing.assert_close(ours.flatten(), expected, atol=0.05, rtol=0)
    # The mask itself flips only in expectation; so does the map.
    flipped = nn.Sequential(nn.Identity(), net)
    flipped.forward = lambda v: net(v.flip(3))
    mirrored = attribute(flipped, x.flip(3), "rise", 0, samples=20_000, cells=2).flip(2)
    torch.testing.assert_close(mirrored, ours, atol=0.05, rtol=0)
    assert ours.std() > 0.1


def test_rise_on_a_constant_network_is_the_constant_times_the_mean_mask() -> None:
    def constant(x: Tensor) -> Tensor:
        return torch.tensor([[2.0, -3.0]]).expand(len(x), -1)

    x = torch.rand(1, 3, 16, 16)
    maps = attribute(constant, x, "rise", [[0, 1]], samples=200)[0]
    torch.testing.assert_close(maps[0] / 2, maps[1] / -3)
    torch.testing.assert_close(maps[0] / 2, random_masks(x, 200, 7, 0.5, Noise(0)).mean(0) / 0.5)


def test_explain_shows_rise_without_its_level() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    feeding = whylook.Preprocess((16, 16), resize="none", mean=0.5, std=0.5)
    model = whylook.load_model(lambda v: 100 + v.mean((2, 3)), preprocess=feeding, name="n")
    m = whylook.explain(picture, model, "rise", 0, parameters={"rise": {"samples": 20}}).map("n", "rise")
    raw = attribute(model.network, feeding.apply(whylook.load_image(picture))[None], "rise", 0, samples=20)[0].numpy()
    assert abs(m.values.mean()) < 1e-4
    np.testing.assert_allclose(m.values + m.facts["level"], raw, rtol=1e-6)


def test_rise_with_every_cell_kept_is_the_score() -> None:
    net, x = Linear(3, 8, 8), rows(2, 3, 8, 8)
    ours = attribute(net, x, "rise", 1, samples=3, keep=1.0)
    torch.testing.assert_close(ours, net(x)[:, 1, None, None].expand_as(ours))


def test_a_window_lies_on_the_picture_where_it_hid_something() -> None:
    # The score reads one pixel: the largest drops must lie around that pixel of the picture.
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    feeding = whylook.Preprocess((64, 64), resize="none", mean=0.5, std=0.5)

    def reads(x: Tensor) -> Tensor:
        return torch.stack([x[:, 0, 40, 11], x[:, 1, 2, 3]], 1)

    for window, stride in ((8, 8), (16, 4), (21, 5)):
        model = whylook.load_model(reads, preprocess=feeding, name="reads")
        result = whylook.explain(
            picture, model, "occlusion", 0, parameters={"occlusion": {"window": window, "stride": stride}}
        )
        m = result.map("reads", "occlusion")
        on = np.abs(m.on_image())
        assert np.isnan(on[:, :16]).all()
        assert np.isnan(on[:, 80:]).all()
        weight = np.nan_to_num(on)
        y, x = (float((weight.sum(axis) * np.arange(n)).sum() / weight.sum()) for axis, n in ((1, 64), (0, 96)))
        assert abs(y - 40) <= stride / 2 + 0.5
        assert abs(x - (11 + 16)) <= stride / 2 + 0.5
        begin, end = m.geometry.extent[0]
        assert (begin, end - begin) == ((window - stride) / 2, stride * m.grid[0])


def test_an_extent_moves_cells_and_not_what_was_seen() -> None:
    whole = Geometry((20, 30), (20, 30), (1.0, 1.0), (0.0, 0.0))
    part = Geometry((20, 30), (20, 30), (1.0, 1.0), (0.0, 0.0), ((4.0, 16.0), (5.0, 25.0)))
    assert part.visible == whole.visible == whole.placement
    assert part.placement == (4.0, 5.0, 16.0, 25.0)
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    on = part.on_image(values)
    assert np.isfinite(on).all()
    np.testing.assert_allclose(on[4:16, 5:25], Geometry((12, 20), (12, 20), (1.0, 1.0), (0.0, 0.0)).on_image(values))
    assert (on[:4, :5] == values[0, 0]).all()


@pytest.mark.parametrize("sizes", [(16, 16), (17, 23), (4, 4), (1, 1), (1, 30)])
def test_cells_are_no_more_than_elements(sizes: tuple[int, int]) -> None:
    """A hundred thousand cells along each axis once asked for 40 GB."""
    x = torch.zeros(1, 3, *sizes, dtype=torch.float64)
    many, as_many = (random_masks(x, 8, cells, 0.5, Noise(0)) for cells in (100_000, max(sizes)))
    assert many.shape == (8, *sizes)
    assert torch.equal(many, as_many)
    assert 0 <= many.min() <= many.max() <= 1


def test_ablated_segments_of_a_linear_score_have_their_own_terms() -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).double(), torch.randn(2, 3, 4, 4, dtype=torch.float64)
    terms = x * net[1].weight[2].reshape(3, 4, 4).detach()
    halves = torch.tensor([[0, 0, 5, 5]] * 4)
    ours = whylook.attribute(net, x, "feature-ablation", 2, segments=halves, baseline=0)
    for part in (slice(0, 2), slice(2, 4)):
        expected = terms[..., part].sum((1, 2, 3))[:, None, None].expand(2, 4, 2)
        torch.testing.assert_close(ours[..., part], expected)


def test_captum_agrees_on_feature_ablation() -> None:
    captum = pytest.importorskip("captum.attr", reason="needs captum (uv sync installs it)")
    toy = build("residual")
    x, masks = batch(toy), torch.arange(16).reshape(4, 4).repeat_interleave(4, 0).repeat_interleave(4, 1)
    theirs = captum.FeatureAblation(toy).attribute(x, target=1, feature_mask=masks.expand(1, 3, 16, 16))
    torch.testing.assert_close(whylook.attribute(toy, x, "feature-ablation", 1, cells=4), theirs[:, 0].double())
