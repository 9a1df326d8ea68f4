"""Preprocessing is bit-identical to timm's and torchvision's, and its geometry is where things really land."""

import json

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from timm.data import create_transform, resolve_data_config
from torchvision import transforms as tv
from torchvision.transforms import v2

from whylook.errors import ImageError, UsageError
from whylook.image import Image, load_image
from whylook.preprocess import Preprocess

SIZES = [(300, 400), (401, 299), (224, 224), (64, 100), (37, 500), (1, 1), (513, 512), (230, 231)]


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def pil(pixels: np.ndarray) -> PilImage.Image:
    return PilImage.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize(("crop_pct", "input_size"), [(0.875, 224), (0.9, 224), (1.0, 160), (0.95, (192, 256))])
def test_apply_is_bit_identical_to_timm(crop_pct, input_size, crop_mode, interpolation):
    size = (3, input_size, input_size) if isinstance(input_size, int) else (3, *input_size)
    config = resolve_data_config(
        {
            "input_size": size, "crop_pct": crop_pct, "crop_mode": crop_mode, "interpolation": interpolation,
            "mean": (0.48, 0.5, 0.41), "std": (0.2, 0.25, 0.3),
        }
    )  # fmt: skip
    reference = create_transform(**config, is_training=False)
    ours = Preprocess.from_timm(config)
    for height, width in SIZES:
        if crop_mode == "border" and min(height, width) * input_size_max(size) < max(height, width):
            continue  # timm rounds such a side to zero pixels
        pixels = noise(height, width)
        assert same(ours.apply(load_image(pixels)), reference(pil(pixels))), (height, width)


def input_size_max(size: tuple[int, ...]) -> int:
    return max(size)


@pytest.mark.parametrize("weights", ["ResNet50_Weights", "EfficientNet_B0_Weights", "ViT_B_16_Weights"])
@pytest.mark.parametrize("which", [0, -1])
def test_apply_is_bit_identical_to_torchvision(weights, which):
    entry = list(getattr(torchvision.models, weights))[which]
    ours = Preprocess.from_torchvision(entry)
    assert ours == Preprocess.from_torchvision(entry.transforms()) or ours.origin
    for height, width in SIZES:
        pixels = noise(height, width)
        assert same(ours.apply(load_image(pixels)), entry.transforms()(pil(pixels))), (height, width)


NORMALIZE = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}
COMPOSED = {
    "crop bigger than the picture": tv.Compose(
        [tv.Resize(100), tv.CenterCrop((128, 171)), tv.ToTensor(), tv.Normalize(**NORMALIZE)]
    ),
    "both sides": tv.Compose([tv.Resize((90, 120)), tv.ToTensor()]),
    "crop only": tv.Compose([tv.CenterCrop(101), tv.ToTensor(), tv.Normalize(**NORMALIZE)]),
    "v2": v2.Compose(
        [
            v2.PILToTensor(), v2.CenterCrop(96), v2.ToDtype(torch.float32, scale=True), v2.Normalize(**NORMALIZE),
        ]
    ),
    "timm": create_transform((3, 96, 96), is_training=False, crop_mode="border", crop_pct=0.9, interpolation="bicubic"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPOSED)
def test_composed_transforms_are_read(name):
    ours = Preprocess.from_torchvision(COMPOSED[name])
    for height, width in [(300, 400), (401, 299), (64, 100), (80, 81)]:
        pixels = noise(height, width)
        got, expected = ours.apply(load_image(pixels)), COMPOSED[name](pil(pixels))
        if name == "v2":  # it multiplies by 1 / 255
            assert torch.allclose(got, expected, atol=1e-6)
        else:
            assert same(got, expected), (height, width)


@pytest.mark.parametrize(
    ("transforms", "words"),
    [
        (tv.Compose([tv.Resize(100), tv.ToTensor()]), "CenterCrop"),
        (tv.Compose([tv.RandomResizedCrop(100), tv.ToTensor()]), "RandomResizedCrop"),
        (tv.Compose([tv.CenterCrop(100), tv.Resize(50), tv.ToTensor()]), "CenterCrop then Resize"),
        (tv.Compose([tv.CenterCrop(100), v2.ToDtype(torch.float32)]), "scale"),
        (tv.Compose([tv.CenterCrop(100), tv.Normalize(**NORMALIZE), tv.Grayscale(3)]), "Grayscale"),
        (3, "int"),
    ],
)
def test_transforms_that_are_not_understood_are_named(transforms, words):
    with pytest.raises(UsageError, match=words):
        Preprocess.from_torchvision(transforms)


def test_grayscale_transform_makes_a_gray_network():
    chain = tv.Compose([tv.Grayscale(), tv.Resize(70), tv.CenterCrop(64), tv.ToTensor(), tv.Normalize([0.5], [0.25])])
    ours = Preprocess.from_torchvision(chain)
    pixels = noise(90, 130)
    assert ours.channels == 1
    assert same(ours.apply(load_image(pixels)), chain(pil(pixels)))


def test_a_gray_picture_is_repeated_and_a_color_picture_made_gray():
    gray = noise(90, 130, 1)
    three = Preprocess((64, 64), resize_to=(70, 70))
    assert same(three.apply(load_image(gray)), three.apply(load_image(np.repeat(gray, 3, axis=2))))
    one = Preprocess((64, 64), resize_to=(70, 70), channels=1, mean=(0.5,), std=(0.25,))
    color = noise(90, 130)
    luma = np.asarray(pil(color).convert("L"))
    assert same(one.apply(load_image(color)), one.apply(load_image(luma)))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(8, 90), st.integers(8, 90), st.sampled_from(["shorter", "squash", "longer", "none"]),
    st.sampled_from(["bilinear", "box", "nearest"]), st.sampled_from([1, 3]), st.sampled_from([1, 3]),
)  # fmt: skip
def test_deep_pictures_agree_with_eight_bits(height, width, resize, interpolation, have, want):
    pixels = noise(height, width, have)
    p = Preprocess((40, 48), resize, (44, 50), interpolation, channels=want, mean=(0.0,) * want, std=(1.0,) * want)
    expected = p.apply(load_image(pixels))
    for deep in (pixels.astype(np.uint16) * 257, (pixels / np.float32(255)).astype(np.float32)):
        got = p.apply(load_image(deep))
        assert got.dtype == torch.float32
        # each of the two passes of an 8-bit resize rounds, and so does the luma
        limit = 1 if have <= want else 1.5
        assert float((got - expected).abs().max()) <= limit / 255 + 1e-6
        assert 0 <= float(got.min()) <= float(got.max()) <= 1


def test_bicubic_of_a_smooth_sixteen_bit_picture():
    y, x = np.mgrid[:200, :300]
    smooth = ((np.sin(y / 17) * np.cos(x / 23) + 1) / 2 * 255).round().astype(np.uint8)
    p = Preprocess(mean=(0.0,), std=(1.0,), interpolation="bicubic")
    deep = p.apply(load_image(smooth.astype(np.uint16) * 257))
    assert float((deep - p.apply(load_image(smooth))).abs().max()) <= 1.2 / 255  # negative weights: a little over 1


def test_a_window_maps_its_ends_to_black_and_white():
    pixels = np.linspace(1000, 3000, 64 * 64).reshape(64, 64).astype(np.uint16)
    p = Preprocess((64, 64), "none", (64, 64), mean=(0.0,), std=(1.0,))
    x = p.apply(load_image(pixels, window=(1500, 2500)))
    assert float(x[0, 0, 0]) == 0
    assert float(x[0, -1, -1]) == 1
    assert float(x[0, 32, 0]) == pytest.approx((pixels[32, 0] - 1500) / 1000, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(60, 400), st.integers(60, 400), st.sampled_from(["shorter", "squash", "longer", "none"]),
    st.sampled_from([(96, 96), (80, 120)]), st.floats(1.0, 1.3), st.data(),
)  # fmt: skip
def test_geometry_is_where_a_blob_lands(height, width, resize, input_size, grow, data):
    p = Preprocess(input_size, resize, tuple(int(s * grow) for s in input_size), mean=(0.0,), std=(1.0,))
    blank = load_image(np.zeros((height, width), np.float32))
    geometry = p.geometry(blank)
    top, left, bottom, right = geometry.visible
    radius = 6.0
    margin = 4 * radius
    if bottom - top < 2 * margin + 1 or right - left < 2 * margin + 1:
        return
    y = data.draw(st.floats(top + margin, bottom - margin))
    x = data.draw(st.floats(left + margin, right - margin))
    rows, columns = np.mgrid[:height, :width] + 0.5
    blob = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2)).astype(np.float32)
    seen = p.apply(load_image(blob))[0].numpy().astype(float)
    h, w = np.mgrid[: input_size[0], : input_size[1]] + 0.5
    landed = (seen * h).sum() / seen.sum(), (seen * w).sum() / seen.sum()
    (sy, sx), (oy, ox) = geometry.scale, geometry.offset
    assert landed[0] == pytest.approx(sy * y + oy, abs=0.05)
    assert landed[1] == pytest.approx(sx * x + ox, abs=0.05)
    assert (landed[0] - oy) / sy == pytest.approx(y, abs=0.1 / min(1, sy))


def test_geometry_brings_the_input_back_onto_the_picture():
    y, x = np.mgrid[:180, :240].astype(np.float32)
    ramp = (y / 400 + x / 500).astype(np.float32)
    p = Preprocess((96, 96), "shorter", (110, 110), mean=(0.0,), std=(1.0,))
    image = load_image(ramp)
    back = p.geometry(image).on_image(p.apply(image)[0].numpy())
    seen = ~np.isnan(back)
    top, left, bottom, right = p.geometry(image).visible
    assert seen.sum() == pytest.approx((bottom - top) * (right - left), rel=0.02)
    inner = np.s_[int(top) + 3 : int(bottom) - 3, int(left) + 3 : int(right) - 3]
    assert np.abs(back[inner] - ramp[inner]).max() < 1e-3


def test_caffe_networks_are_fed_blue_first_from_0_to_255():
    p = Preprocess(
        (2, 2), "none", (2, 2), mean=(123 / 255, 117 / 255, 104 / 255), std=(1,), scale=255, channel_order="bgr"
    )
    x = p.apply(load_image(np.full((2, 2, 3), (200, 100, 50), np.uint8)))
    assert x[:, 0, 0].tolist() == pytest.approx([50 - 104, 100 - 117, 200 - 123], abs=1e-4)
    assert torch.allclose(p.unnormalize(x)[:, 0, 0], torch.tensor([200, 100, 50]) / 255)


@pytest.mark.parametrize("shape", [(2, 100_000), (100_000, 2)])
def test_strips_that_would_grow_beyond_all_memory_are_refused(shape):
    image = load_image(np.zeros(shape, np.uint8))
    with pytest.raises(ImageError, match=r"12800000.*cut out the part"):
        Preprocess().apply(image)
    assert Preprocess(resize="squash").apply(image).shape == (3, 224, 224)


def test_a_thin_picture_that_fits_is_fed_as_ever():
    pixels = noise(2, 1000)
    chain = tv.Compose([tv.Resize(64), tv.CenterCrop(60), tv.ToTensor(), tv.Normalize(**NORMALIZE)])
    assert same(Preprocess.from_torchvision(chain).apply(load_image(pixels)), chain(pil(pixels)))


def test_json_round_trip():
    p = Preprocess((160, 192), "longer", (183, 200), "lanczos", 0.5, 0.25, fill=(0.1, 0.2, 0.3), origin="By hand.")
    assert Preprocess.from_dict(json.loads(json.dumps(p.as_dict()))) == p
    with pytest.raises(UsageError, match="no field 'crop'"):
        Preprocess.from_dict({"crop": 1})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mean": (123.7, 116.3, 103.5)}, "divide by 255"),
        ({"std": (0, 1, 1)}, "positive"),
        ({"std": (0.5, 0.5)}, "3 numbers"),
        ({"input_size": (0, 5)}, "input_size"),
        ({"input_size": (1, 2, 3)}, "input_size"),
        ({"resize": "fit"}, "shorter, squash"),
        ({"interpolation": "cubic"}, "bicubic"),
        ({"channels": 4}, "1 or 3"),
        ({"channel_order": "grb"}, "rgb or bgr"),
    ],
)
def test_what_cannot_be_right_is_refused(fields, words):
    with pytest.raises(UsageError, match=words):
        Preprocess(**fields)


def test_it_describes_itself():
    assert Preprocess().describe() == (
        "Shorter side to 256 (bilinear), center 224×224, RGB in [0, 1] less 0.485 0.456 0.406, "
        "divided by 0.229 0.224 0.225."
    )


def test_timm_network_and_its_gray_variant():
    import timm

    network = timm.create_model("resnet18", pretrained=False, in_chans=1)
    p = Preprocess.from_timm(network)
    assert "resnet18" in p.origin
    gray = Preprocess.from_timm({**network.pretrained_cfg, "input_size": (1, 96, 96)})
    assert (gray.channels, len(gray.mean), gray.input_size) == (1, 1, (96, 96))


def test_test_size_of_timm():
    import timm

    config = timm.get_pretrained_cfg("mobilenetv1_100.ra4_e3600_r224_in1k").to_dict()
    train, test = Preprocess.from_timm(config), Preprocess.from_timm(config, test_size=True)
    assert (train.input_size, test.input_size) == ((224, 224), (256, 256))


def test_images_are_not_changed():
    image: Image = load_image(noise(50, 60))
    before = image.pixels.copy()
    Preprocess().apply(image)
    assert (image.pixels == before).all()
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0] = 1
