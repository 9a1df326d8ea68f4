"""Baselines: every kind a caller may give, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

import whylook
from whylook import Preprocess, UsageError, load_image
from whylook.baselines import all_like, blurred, check, draws, of_row, one_like, prepared
from whylook.report.words import plain

X = torch.randn(2, 3, 8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0, torch.zeros_like(X)),
        (-1.5, torch.full_like(X, -1.5)),
        (torch.ones(1, 3, 8, 6), torch.ones_like(X)),
        (torch.ones(3, 8, 6), torch.ones_like(X)),
        (np.arange(3.0).reshape(3, 1, 1), torch.arange(3.0).double().view(1, 3, 1, 1).expand_as(X)),
        (X + 1, X + 1),
        (torch.tensor([[[[1]]], [[[2]]]]), torch.tensor([1.0, 2.0]).double().view(2, 1, 1, 1).expand_as(X)),
    ],
)
def test_numbers_and_tensors_take_the_input_s_shape(given: object, expected: torch.Tensor) -> None:
    made = one_like(given, X)
    assert made.dtype == X.dtype
    assert torch.equal(made, expected)


def test_the_mean_is_the_picture_s_own_color_and_needs_nothing_else() -> None:
    assert torch.allclose(one_like("mean", X), X.mean((2, 3), keepdim=True).expand_as(X))
    for row in range(2):
        assert torch.equal(one_like("min", X)[row, 1], X[row, 1].min().expand(8, 6))
        assert torch.equal(one_like("max", X)[row, 1], X[row, 1].max().expand(8, 6))
        for name in ("mean", "min", "max", "blur"):
            assert torch.equal(one_like(name, X)[row], one_like(name, X[row : row + 1])[0])


@pytest.mark.parametrize("sigma", [0.3, 1.0, 5.0])
def test_the_blur_is_scipy_s_mirrored_gaussian(sigma: float) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    expected = ndimage.gaussian_filter(X.numpy(), (0, 0, sigma, sigma), mode="reflect", truncate=8)
    np.testing.assert_allclose(blurred(X, sigma).numpy(), expected, atol=1e-9)
    assert torch.allclose(blurred(torch.ones(1, 1, 7, 9), sigma), torch.ones(1, 1, 7, 9))


def test_no_blur_changes_nothing_and_a_wide_one_leaves_the_mean() -> None:
    assert blurred(X, 0) is X
    assert torch.allclose(blurred(X, 100), one_like("mean", X))


def test_several_baselines_and_several_inputs() -> None:
    assert [b.flatten()[0].item() for b in all_like([0, 1], X)] == [0, 1]
    assert len(all_like((0, 1, "mean"), X)) == 3
    assert len(all_like(0, X)) == 1
    two = (X, X[:, 0, 0])
    one = all_like((1, torch.zeros(6)), two)
    assert len(one) == 1
    assert torch.equal(one[0][0], torch.ones_like(X))
    assert torch.equal(one[0][1], torch.zeros_like(two[1]))
    assert len(all_like([(0, 1), 2], two)) == 2
    with pytest.raises(UsageError, match="3 entries for 2 inputs"):
        one_like((0, 1, 2), two)
    with pytest.raises(UsageError, match="one is meant"):
        one_like([0, 1], X)


def test_a_row_gets_its_own_baseline() -> None:
    own = torch.stack([torch.zeros(3, 8, 6), torch.ones(3, 8, 6)])
    assert torch.equal(of_row(own, 1, (X,)), own[1:])
    assert of_row(own[:1], 1, (X,)) is not None
    assert torch.equal(of_row(own[:1], 1, (X,)), own[:1])
    assert of_row(0.5, 1, (X,)) == 0.5
    assert torch.equal(of_row([0, own], 1, (X,))[1], own[1:])
    assert torch.equal(of_row((0, own), 1, (X[:, 0], X))[1], own[1:])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (torch.ones(3, 3, 8, 6), "shape"),
        (torch.ones(6, 8), "shape"),
        (torch.ones(1, 1, 3, 8, 6), "shape"),
        (torch.full((3, 8, 6), float("nan")), "not finite"),
        (float("inf"), "not a finite"),
        ([], "empty"),
        (True, "not a number"),
        (None, "not a number"),
        ("blakc", "neither a picture's path nor one of black"),
        ("black", "give it to explain"),
        ("noise", "give it to explain"),
    ],
)
def test_what_cannot_be_is_refused(given: object, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        all_like(given, X)


def test_a_mean_of_a_vector_is_refused() -> None:
    with pytest.raises(UsageError, match="made of a picture"):
        one_like("mean", X[:, 0, 0])


def test_names_and_pictures_go_through_the_preparation(tmp_path: Path) -> None:
    preprocess = Preprocess(
        input_size=(8, 6), resize="squash", resize_to=(8, 6), mean=(0.2, 0.4, 0.6), std=(0.1, 0.2, 0.3)
    )
    x = X[:1].float()
    black, white, noise = (prepared(name, preprocess, x) for name in ("black", "white", "noise"))
    assert torch.allclose(black[0, :, 0, 0], torch.tensor([-2.0, -2, -2]))
    assert torch.allclose(white[0, :, 0, 0], torch.tensor([8.0, 3, 4 / 3]))
    unit = preprocess.unnormalize(noise)
    assert unit.min() >= -1e-6
    assert unit.max() <= 1 + 1e-6
    assert unit.std() > 0.2
    assert torch.equal(noise, prepared("noise", preprocess, x, seed=0))
    assert not torch.equal(noise, prepared("noise", preprocess, x, seed=1))
    image = load_image(np.full((20, 20, 3), 255, np.uint8))
    assert torch.allclose(prepared(image, preprocess, x), white)
    from PIL import Image

    Image.new("RGB", (9, 9)).save(tmp_path / "black.png")
    assert torch.allclose(prepared(tmp_path / "black.png", preprocess, x), black)
    assert torch.allclose(prepared([str(tmp_path / "black.png"), 0], preprocess, x)[0], black)
    assert prepared("mean", preprocess, x) == "mean"
    assert prepared(0.5, preprocess, x) == 0.5


def test_a_file_that_is_no_picture_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no picture")
    check(tmp_path / "a.txt")
    with pytest.raises(whylook.ImageError, match=r"a\.txt"):
        prepared(tmp_path / "a.txt", Preprocess(), X)


def test_only_noise_is_drawn() -> None:
    assert draws("noise")
    assert draws([0, "noise"])
    assert not draws([0, "black", torch.ones(3)])
    assert not draws(None)


def test_a_record_describes_what_is_too_long_to_be_listed() -> None:
    assert plain(torch.tensor([1.0, 2.0])) == [1, 2]
    assert plain(torch.zeros(1, 3, 8, 6)).startswith("1×3×8×6 values (SHA-256 ")
    assert plain(torch.zeros(1, 3, 8, 6)) != plain(torch.ones(1, 3, 8, 6))
    assert plain(load_image(np.zeros((4, 4, 3), np.uint8))).startswith("picture (SHA-256 ")


@pytest.mark.parametrize("name", ["mean", "min", "max", "blur"])
def test_a_picture_of_one_color_is_its_own_baseline_to_the_last_bit(name: str) -> None:
    """Rounding once left a difference of 1e-7, and a map that was drawn of it."""
    for value in (0.1, -1.7, 2.6400000190734863):
        x = torch.full((2, 3, 17, 23), value)
        assert torch.equal(one_like(name, x), x)
