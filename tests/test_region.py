"""XRAI: regions, their gathering, and what is refused."""

import sys

import numpy as np
import pytest
import torch

import whylook
from toys import batch, build
from whylook.regions import _grown, gathered, masks

HALVES = np.repeat([[0] * 8 + [1] * 8], 16, axis=0)


def test_the_sum_is_that_of_the_integrated_gradients() -> None:
    toy, x = build("silu"), batch(build("silu"))
    given = {"baseline": ["min", "max"], "steps": 3, "tolerance": 9.0}
    regions = whylook.attribute(toy, x, "xrai", 1, segments=HALVES, **given)
    shares = whylook.attribute(toy, x, "integrated-gradients", 1, **given).sum(1)
    torch.testing.assert_close(regions.flatten(1).sum(1), shares.flatten(1).sum(1))
    for half in (slice(0, 8), slice(8, 16)):
        torch.testing.assert_close(regions[:, 0, half.start], shares[:, :, half].mean((1, 2)))
        assert (regions[:, :, half] == regions[:, :1, half.start : half.start + 1]).all()


def test_regions_are_taken_in_order_of_what_they_add() -> None:
    shares = np.array([[4.0, 1.0, 1.0, -1.0, 0.0]])
    regions = np.array([[[1, 1, 0, 0, 0]], [[0, 1, 1, 1, 0]], [[0, 0, 1, 1, 0]]], bool)
    # First 4 and 1 (mean 2.5); then both others would add the same pixels, 1 and -1; nobody holds the last.
    out, taken = gathered(shares, regions)
    assert out.tolist() == [[2.5, 2.5, 0.0, 0.0, 0.0]]
    assert taken == 2
    assert gathered(shares, regions[:0])[0].tolist() == [[1.0] * 5]


def test_a_region_grows_by_a_disk() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    regions = np.random.default_rng(0).random((4, 90, 97)) > 0.995
    regions[0, 0, 0] = True
    y, x = np.mgrid[-2:3, -2:3]
    expected = [ndimage.binary_dilation(r, structure=x**2 + y**2 <= 4) for r in regions]
    assert (_grown(regions) == expected).all()


def test_segments_follow_what_is_seen() -> None:
    pytest.importorskip("skimage", reason="needs scikit-image (uv sync installs it)")
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., 32:] = 1.0
    found = masks(picture)
    assert found.shape[1:] == (64, 64)
    assert any(f[:, :25].all() and not f[:, 32:].any() for f in found)
    assert masks(torch.zeros(1, 1, 16, 16)).all()


def test_what_is_no_picture_or_no_segment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    toy, x = build("plain"), batch(build("plain"), 1)
    with pytest.raises(whylook.Unsupported, match="one picture"):
        whylook.attribute(torch.nn.Linear(4, 2), torch.zeros(1, 4), "xrai", 0)
    for bad in ("grid", HALVES[:3], HALVES / 2):
        with pytest.raises(whylook.UsageError, match="segments"):
            whylook.attribute(toy, x, "xrai", 0, segments=bad)
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(whylook.UsageError, match=r"pip install 'whylook\[segments\]'"):
        whylook.attribute(toy, x, "xrai", 0)
