"""Bringing a map to the picture: where it lands, and what the model never saw."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whylook.geometry import Geometry


def test_the_whole_picture_is_torchs_bilinear_upsampling() -> None:
    values = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    geometry = Geometry((70, 110), (224, 224), (224 / 70, 224 / 110), (0.0, 0.0))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None].double(), (70, 110), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    np.testing.assert_allclose(geometry.on_image(values), expected, atol=1e-6)


def test_what_the_crop_cut_off_is_nan() -> None:
    # 256 wide after the resize, 16 px cut off on each side: 8 px of the 128 px wide picture
    geometry = Geometry((112, 128), (224, 224), (2.0, 2.0), (0.0, -16.0))
    on = geometry.on_image(np.ones((7, 7), np.float32))
    assert np.isnan(on[:, :8]).all()
    assert np.isnan(on[:, 120:]).all()
    assert (on[:, 8:120] == 1).all()
    assert geometry.visible == (0.0, 8.0, 112.0, 120.0)
    assert geometry.placement == (0.0, 8.0, 112.0, 120.0)


def test_padding_lies_outside_the_picture() -> None:
    geometry = Geometry((100, 50), (200, 200), (2.0, 2.0), (0.0, 50.0))
    assert geometry.placement == (0.0, -25.0, 100.0, 75.0)
    assert geometry.visible == (0.0, 0.0, 100.0, 50.0)
    on = geometry.on_image(np.tile(np.arange(8, dtype=np.float32), (8, 1)))
    assert np.isfinite(on).all()
    assert on[0, 0] == pytest.approx((0.5 * 2 + 50) * 8 / 200 - 0.5)


@given(
    cells=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    picture=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    scale=st.tuples(st.floats(0.3, 4), st.floats(0.3, 4)),
    offset=st.tuples(st.floats(-40, 40), st.floats(-40, 40)),
)
def test_a_linear_ramp_stays_where_it_is(
    cells: tuple[int, int], picture: tuple[int, int], scale: tuple[float, float], offset: tuple[float, float]
) -> None:
    geometry = Geometry(picture, (64, 48), scale, offset)
    ramp = (np.arange(cells[0])[:, None] * 10 + np.arange(cells[1])[None, :]).astype(np.float32)
    on = geometry.on_image(ramp)
    y, x = np.mgrid[: picture[0], : picture[1]] + 0.5
    iy, ix = y * scale[0] + offset[0], x * scale[1] + offset[1]
    seen = (iy > 1e-6) & (iy < 64 - 1e-6) & (ix > 1e-6) & (ix < 48 - 1e-6)
    expected = np.clip(iy * cells[0] / 64 - 0.5, 0, cells[0] - 1) * 10 + np.clip(
        ix * cells[1] / 48 - 0.5, 0, cells[1] - 1
    )
    np.testing.assert_allclose(on[seen], expected[seen], atol=1e-3)
    outside = (iy < -1e-6) | (iy > 64 + 1e-6) | (ix < -1e-6) | (ix > 48 + 1e-6)
    assert np.isnan(on[outside]).all()
