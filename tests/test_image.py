"""Reading pictures: what comes out, what is said about it, and the one sentence for what cannot be read."""

import hashlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

from whylook.errors import ImageError, UsageError
from whylook.image import Image, load_image

RNG = np.random.default_rng(7)
COLOR = RNG.integers(0, 256, (40, 60, 3), np.uint8)
GRAY = COLOR[:, :, 0]
DEEP = RNG.integers(0, 65536, (40, 60), np.uint16)


def encoded(picture: PilImage.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def deep_png(values: np.ndarray, exif: bytes = b"") -> bytes:
    """A 16-bit PNG of any number of channels, which Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = values.shape
    size = channels * 2
    lines = values.astype(">u2").view(np.uint8).reshape(height, width * size).astype(int)
    rows = b"".join(bytes([y % 5, *filtered(y % 5, lines, y, size)]) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), *([(b"eXIf", exif)] if exif else []), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


def filtered(kind: int, lines: np.ndarray, y: int, size: int) -> list[int]:
    """One row as PNG filters it, byte by byte as its specification says it."""
    out = []
    for i, value in enumerate(lines[y]):
        a = lines[y][i - size] if i >= size else 0
        b = lines[y - 1][i] if y else 0
        c = lines[y - 1][i - size] if y and i >= size else 0
        distances = [abs(a + b - c - v) for v in (a, b, c)]
        paeth = (a, b, c)[distances.index(min(distances))]
        out.append(int(value - (0, a, b, (a + b) // 2, paeth)[kind]) % 256)
    return out


@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
@pytest.mark.parametrize("pixels", [COLOR, GRAY], ids=["color", "gray"])
def test_lossless_formats_come_back_as_they_are(form, options, pixels, tmp_path):
    path = tmp_path / "photo.dat"  # the content counts, not the suffix
    path.write_bytes(encoded(PilImage.fromarray(pixels), form, **options))
    image = load_image(path)
    expected = (
        np.repeat(pixels[:, :, None], 3, 2) if pixels.ndim == 2 and form == "WEBP" else pixels.reshape(40, 60, -1)
    )
    assert (image.pixels == expected).all()
    assert image.pixels.dtype == np.uint8
    assert (image.height, image.width, image.channels) == expected.shape
    assert (image.name, image.source, image.window) == ("photo.dat", str(path), None)
    assert image.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert image.notes == ()


def test_jpeg_is_what_pillow_decodes(tmp_path):
    data = encoded(PilImage.fromarray(COLOR), "JPEG", quality=90)
    assert (load_image(data).pixels == np.asarray(PilImage.open(io.BytesIO(data)))).all()
    (tmp_path / "a.jpg").write_bytes(data)
    assert (load_image(str(tmp_path / "a.jpg")).pixels == load_image(data).pixels).all()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_said(form, orientation):
    y, x = np.mgrid[:48, :64]
    pixels = np.stack([y * 5, x * 3, np.where((y < 16) & (x < 16), 255, 0)], 2).astype(np.uint8)
    exif = PilImage.Exif()
    exif[0x0112] = orientation
    data = encoded(PilImage.fromarray(pixels), form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    image = load_image(data)
    turned = {
        1: pixels, 2: np.fliplr(pixels), 3: np.rot90(pixels, 2), 4: np.flipud(pixels),
        5: pixels.swapaxes(0, 1), 6: np.rot90(pixels, -1), 7: np.rot90(pixels, 2).swapaxes(0, 1), 8: np.rot90(pixels),
    }[orientation]  # fmt: skip
    assert image.pixels.shape == turned.shape
    assert np.abs(image.pixels.astype(int) - turned).mean() < (6 if form == "JPEG" else 1e-9)
    assert any("orientation" in n for n in image.notes) == (orientation != 1)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_all_sixteen_bits_of_a_png_are_kept(channels, orientation):
    values = RNG.integers(0, 65536, (20, 30, channels)).astype(np.uint16)
    values[:, :, -1] |= 0 if channels in (1, 3) else 65535
    exif = PilImage.Exif()
    exif[0x0112] = orientation
    image = load_image(deep_png(values, exif.tobytes().removeprefix(b"Exif\0\0") if orientation != 1 else b""))
    kept = values[:, :, : 1 if channels < 3 else 3]
    assert image.pixels.dtype == np.uint16
    assert (image.pixels == (np.rot90(kept, -1) if orientation == 6 else kept)).all()


def test_deep_transparency_is_laid_on_white_at_sixteen_bits():
    values = np.zeros((4, 4, 4), np.uint16)
    values[:, :, 3] = 32768
    image = load_image(deep_png(values))
    assert (image.pixels == 65535 - 32768).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bit_gray_is_kept_and_said(form, tmp_path):
    path = tmp_path / "film.png"
    PilImage.fromarray(DEEP).save(path, form)
    image = load_image(path)
    assert image.pixels.dtype == np.uint16
    assert (image.pixels[:, :, 0] == DEEP).all()
    assert image.unit() == pytest.approx(DEEP[:, :, None] / 65535, abs=1e-6)
    assert "16-bit values kept" in image.notes[0]
    assert image.rgb8().dtype == np.uint8
    assert image.rgb8() == pytest.approx(np.repeat(DEEP[:, :, None] / 257, 3, 2), abs=0.51)


def test_big_endian_tiff(tmp_path):
    header = b"MM\0*" + struct.pack(">I", 8)
    tags = [(256, 4, 60), (257, 4, 40), (258, 3, 16 << 16), (259, 3, 1 << 16), (262, 3, 1 << 16), (273, 4, 200),
            (277, 3, 1 << 16), (278, 4, 40), (279, 4, 4800)]  # fmt: skip
    entries = b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack(">H", len(tags)) + entries + struct.pack(">I", 0)
    data = (header + directory).ljust(200, b"\0") + DEEP.astype(">u2").tobytes()
    image = load_image(data)
    assert image.pixels.dtype == np.uint16
    assert image.pixels.dtype.isnative
    assert (image.pixels[:, :, 0] == DEEP).all()


def test_twelve_bits_in_sixteen_are_pointed_out():
    image = load_image(deep_png((DEEP[:, :, None] >> 4).astype(np.uint16)))
    assert "--window 0,4095" in image.notes[0]


def test_a_window_is_kept_beside_the_raw_values():
    image = load_image(DEEP, window=(10000, 30000))
    assert image.window == (10000.0, 30000.0)
    assert (image.pixels[:, :, 0] == DEEP).all()
    assert image.unit()[:, :, 0] == pytest.approx(np.clip((DEEP.astype(float) - 10000) / 20000, 0, 1), abs=1e-6)
    assert any("10000 to 30000" in n for n in image.notes)


def test_a_window_on_eight_bits_shows_too():
    image = load_image(np.array([[0, 100, 150, 200, 255]], np.uint8), window=(100, 200))
    assert image.rgb8()[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_an_image_that_is_read_takes_another_window():
    image = load_image(DEEP)
    narrow = load_image(image, window=(10000, 30000))
    fresh = load_image(DEEP, window=(10000, 30000))
    assert load_image(image) is image
    assert (narrow.window, narrow.notes, narrow.sha256) == (fresh.window, fresh.notes, fresh.sha256)
    assert (narrow.unit() == fresh.unit()).all()
    assert load_image(narrow, window=(0, 5)).notes == load_image(DEEP, window=(0, 5)).notes
    with pytest.raises(UsageError, match="ascending"):
        load_image(image, window=(2, 1))


def test_other_notes_outlive_a_window():
    image = load_image(PilImage.fromarray(np.zeros((4, 4, 4), np.uint8)))
    assert len(image.notes) == 1
    assert load_image(load_image(image, window=(0, 9)), window=(0, 255)).notes[:1] == image.notes


@pytest.mark.parametrize(
    ("values", "window", "words"),
    [
        ([100, 200], (300, 400), "so all of it is black: --window 100,200 may be meant."),
        ([100, 200], (10, 100), "so all of it is white: --window 100,200 may be meant."),
        ([5, 5], (0, 10), "so all of it is of one gray."),
        ([100, 200], (199, 1000), "it holds 100 to 200."),
    ],
)
def test_a_window_that_leaves_nothing_to_see_is_told(values, window, words):
    image = load_image(np.array([values], np.uint16), window=window)
    assert image.notes[-1].endswith(words)
    assert (len(np.unique(image.unit())) < 2) == ("so all" in words)


@pytest.mark.parametrize(("window", "word"), [((0, 1e-50), "narrower"), ((-3e38, 3e38), "wider")])
def test_windows_that_float32_cannot_tell_are_refused(window, word):
    with pytest.raises(UsageError, match=word):
        load_image(DEEP, window=window)


def test_negative_integers_of_a_tiff_need_a_window(tmp_path):
    path = tmp_path / "ct.tif"
    hounsfield = RNG.integers(-1000, 2000, (30, 30)).astype(np.int32)
    PilImage.fromarray(hounsfield).save(path)
    with pytest.raises(ImageError, match=r"ct\.tif.*--window -\d+,\d+"):
        load_image(path)
    image = load_image(path, window=(-160, 240))
    assert image.pixels.dtype == np.float32
    assert image.unit()[:, :, 0] == pytest.approx(np.clip((hounsfield + 160) / 400, 0, 1), abs=1e-6)


def test_float_tiff(tmp_path):
    path = tmp_path / "f.tif"
    values = RNG.random((30, 30), np.float32)
    PilImage.fromarray(values).save(path)
    assert (load_image(path).pixels[:, :, 0] == values).all()


@pytest.mark.parametrize("window", [(1, 1), (2, 1), (0, float("nan")), (1,), "wide", 5])
def test_impossible_windows(window):
    with pytest.raises(UsageError, match="ascending"):
        load_image(DEEP, window=window)


def test_transparency_is_laid_on_white():
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0] = (10, 20, 30, 255)
    rgba[0, 1] = (0, 0, 0, 127)
    image = load_image(encoded(PilImage.fromarray(rgba), "PNG"))
    assert image.pixels[0, 0].tolist() == [10, 20, 30]
    assert image.pixels[0, 1].tolist() == [128, 128, 128]
    assert image.pixels[1, 1].tolist() == [255, 255, 255]
    assert "Transparent parts were laid on white." in image.notes
    assert (load_image(rgba).pixels == image.pixels).all()
    assert (load_image(rgba.astype(np.float64) / 255).rgb8() == image.pixels).all()


def test_opaque_alpha_is_not_worth_a_note():
    rgba = np.dstack([COLOR, np.full((40, 60), 255, np.uint8)])
    image = load_image(encoded(PilImage.fromarray(rgba), "PNG"))
    assert (image.pixels == COLOR).all()
    assert image.notes == ()


def test_gray_with_alpha_stays_gray():
    la = np.dstack([GRAY, np.full((40, 60), 0, np.uint8)])
    image = load_image(encoded(PilImage.fromarray(la, "LA"), "PNG"))
    assert image.channels == 1
    assert (image.pixels == 255).all()


def test_palettes_become_rgb():
    picture = PilImage.fromarray(COLOR).quantize(16)
    image = load_image(encoded(picture, "PNG"))
    assert (image.pixels == np.asarray(picture.convert("RGB"))).all()
    assert "palette" in image.notes[0]


def test_transparent_palette_of_a_gif():
    picture = PilImage.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    image = load_image(encoded(picture, "GIF", transparency=1))
    assert image.pixels[0].tolist() == [[255, 0, 0], [255, 255, 255]]


def test_one_transparent_color_of_a_png():
    picture = PilImage.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    image = load_image(encoded(picture, "PNG", transparency=(1, 2, 3)))
    assert image.pixels[0].tolist() == [[255, 255, 255], [4, 5, 6]]


def test_cmyk_becomes_rgb():
    picture = PilImage.new("CMYK", (8, 8), (0, 255, 255, 0))
    image = load_image(encoded(picture, "JPEG"))
    assert image.channels == 3
    assert image.pixels[4, 4].tolist() == pytest.approx([255, 0, 0], abs=4)
    assert "CMYK" in image.notes[0]


def test_bits():
    picture = PilImage.fromarray(GRAY).convert("1")
    image = load_image(encoded(picture, "PNG"))
    assert (image.pixels[:, :, 0] == np.asarray(picture) * 255).all()


@pytest.mark.parametrize(
    ("form", "word"), [("GIF", "frames"), ("WEBP", "frames"), ("PNG", "frames"), ("TIFF", "pages")]
)
def test_the_first_frame_is_read_and_it_is_said(form, word):
    frames = [PilImage.new("RGB", (20, 10), color) for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    image = load_image(data)
    assert image.pixels[5, 5].tolist() == pytest.approx([255, 0, 0], abs=3)
    assert f"The first of 3 {word} was read." in image.notes


def test_a_phones_multi_picture_file_is_one_picture():
    main, preview = (PilImage.fromarray(COLOR), PilImage.fromarray(COLOR[:20, :30]))
    image = load_image(encoded(main, "MPO", save_all=True, append_images=[preview]))
    assert image.pixels.shape == COLOR.shape
    assert image.notes == ()


def test_pil_images_and_arrays():
    picture = PilImage.fromarray(COLOR)
    image = load_image(picture)
    assert (image.pixels == COLOR).all()
    assert image.sha256 == load_image(COLOR).sha256
    assert image.sha256 != load_image(COLOR[:, ::-1]).sha256
    assert (load_image(GRAY).pixels[:, :, 0] == GRAY).all()
    assert load_image(image) is image
    unit = RNG.random((5, 6, 3))
    assert load_image(unit).pixels.dtype == np.float32


def test_the_pil_image_is_left_as_it_is():
    exif = PilImage.Exif()
    exif[0x0112] = 6
    picture = PilImage.open(io.BytesIO(encoded(PilImage.fromarray(COLOR), "PNG", exif=exif)))
    assert load_image(picture).pixels.shape == (60, 40, 3)
    assert picture.size == (60, 40)
    assert picture.getexif()[0x0112] == 6


def test_an_array_is_copied():
    mine = COLOR.copy()
    image = load_image(mine)
    mine[:] = 0
    assert (image.pixels == COLOR).all()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 40, 60), np.uint8), "3×40×60"),
        (np.zeros((2, 2, 2), np.uint8), "2×2×2"),
        (np.zeros(5, np.uint8), "shape 5"),
        (np.zeros((0, 5), np.uint8), "no pixels"),
        (np.zeros((5, 5), np.int64), "int64"),
        (np.zeros((5, 5), bool), "bool"),
        (np.full((5, 5), 255.0), r"window=\(255, 255\)|window"),
        (np.full((5, 5), -0.1), "outside 0 to 1"),
        (np.full((5, 5), np.nan), "not finite"),
    ],
)
def test_arrays_that_are_no_pictures(array, words):
    with pytest.raises(ImageError, match=words):
        load_image(array)


def test_a_constant_float_picture_out_of_range_is_told_apart():
    with pytest.raises(ImageError) as error:
        load_image(np.array([[0.0, 255.0]]))
    assert "0 to 255" in str(error.value)
    assert "window=(0, 255)" in str(error.value)


def test_a_tensor_is_refused_with_the_way_out():
    with pytest.raises(ImageError, match=r"permute\(1, 2, 0\)"):
        load_image(torch.zeros(3, 4, 4))


def test_other_things_are_refused():
    with pytest.raises(UsageError, match="int"):
        load_image(3)


def one_sentence_or_two(error: ImageError) -> bool:
    text = str(error)
    return text.endswith(".") and "\n" not in text and len(text) < 400


DICOM = b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0"
CONTENTS = {
    "empty.png": (b"", "empty"),
    "notes.jpg": (b"Dear doctor,\nplease find attached\n" * 3, "is text"),
    "umlauts.jpg": ("Grüße aus dem Röntgen\n".encode() * 200, "is text"),
    "scan.png": (DICOM + b"\0" * 500, r"DICOM.*16-bit PNG"),
    "old.dcm": (b"\x08\0\x05\0" * 50, "DICOM"),
    "drawing.svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>', "SVG"),
    "page.pdf": (b"%PDF-1.7\n\x93\x8c\x8b\x9e", "PDF"),
    "phone.heic": (b"\0\0\0\x18ftypheic" + b"\0" * 40, "HEIC"),
    "volume.nii.gz": (b"\x1f\x8b\x08\0" + b"\0\xff" * 40, "NIfTI"),
    "array.npy": (b"\x93NUMPY\x01\0", "NumPy"),
    "pointer.jpg": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "noise.jpg": (bytes(RNG.integers(128, 256, 4000, np.uint8)), "JPEG, PNG"),
    "stub.jpg": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "damaged"),
    "stub.png": (b"\x89PNG\r\n\x1a\n", "damaged"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_files_that_are_no_pictures_are_named(name, tmp_path):
    data, words = CONTENTS[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ImageError, match=words) as error:
        load_image(path)
    assert str(path) in str(error.value)
    assert one_sentence_or_two(error.value)
    assert error.value.exit_code == 3


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP"])
@pytest.mark.parametrize("keep", [0.3, 0.7])
def test_truncated_files(form, keep, tmp_path):
    big = RNG.integers(0, 256, (200, 300, 3), np.uint8)
    data = encoded(PilImage.fromarray(big), form)
    path = tmp_path / f"half.{form.lower()}"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ImageError, match=r"half\.") as error:
        load_image(path)
    assert one_sentence_or_two(error.value)


def test_paths_that_cannot_be(tmp_path):
    for path, words in [
        (tmp_path / "missing.jpg", "is not there"),
        (tmp_path, "folder"),
        ("https://example.org/cat.jpg", "address"),
        ("data:image/png;base64,AAAA", "address"),
        ("nul\0byte.jpg", "cannot be opened|not there"),
        ("x" * 5000 + ".jpg", "cannot be opened|not there"),
        (os.devnull, "not a regular file"),
    ]:
        with pytest.raises(ImageError, match=words):
            load_image(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_no_permission(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(PilImage.fromarray(COLOR), "PNG"))
    path.chmod(0)
    with pytest.raises(ImageError, match="Permission denied"):
        load_image(path)


def test_the_pixel_limit_holds_before_anything_is_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(encoded(PilImage.new("L", (9000, 9000)), "PNG"))  # 81 million pixels in 80 kB
    with pytest.raises(ImageError, match="9000×9000"):
        load_image(path)
    path.write_bytes(
        deep_png(np.zeros((1, 1, 1), np.uint16)).replace(struct.pack(">II", 1, 1), struct.pack(">II", 10**6, 10**6))
    )
    with pytest.raises(ImageError, match=r"bomb\.png"):
        load_image(path)
    with pytest.raises(ImageError, match="limit of 100"):
        load_image(encoded(PilImage.fromarray(COLOR), "PNG"), max_pixels=100)


@pytest.mark.parametrize("form", ["ICO", "PPM", "TGA", "PCX", "JPEG2000"])
def test_formats_outside_the_list_are_refused(form, tmp_path):
    path = tmp_path / "picture.png"
    try:
        path.write_bytes(encoded(PilImage.fromarray(COLOR), form))
    except OSError:
        pytest.skip(f"this Pillow cannot write {form}")
    with pytest.raises(ImageError, match=r"picture\.png"):
        load_image(path)


GOOD = [
    encoded(PilImage.fromarray(COLOR), "PNG"),
    encoded(PilImage.fromarray(COLOR), "JPEG"),
    encoded(PilImage.fromarray(COLOR).quantize(8), "GIF"),
    encoded(PilImage.fromarray(COLOR), "WEBP"),
    encoded(PilImage.fromarray(DEEP), "TIFF"),
    encoded(PilImage.fromarray(COLOR), "BMP"),
    deep_png(RNG.integers(0, 65536, (8, 9, 3)).astype(np.uint16)),
]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(range(len(GOOD))), st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=6))
def test_damaged_bytes_give_a_picture_or_an_image_error(which, changes):
    data = bytearray(GOOD[which])
    for at, value in changes:
        data[int(at * len(data))] = value
    try:
        image = load_image(bytes(data), max_pixels=10**6)
    except ImageError:
        return
    assert isinstance(image, Image)
    assert image.rgb8().shape == (image.height, image.width, 3)


def test_reading_needs_no_torch():
    import subprocess
    import sys

    code = (
        "import sys, numpy; from whylook.image import load_image; "
        "load_image(numpy.zeros((4, 4, 3), 'uint8')).unit(); assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(Path("src").resolve())}
    )
