"""Real ImageNet networks on real photos: the right class first, and the map on the animal."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import whylook
from whylook import explain, load_image, load_model
from whylook.explanation import Map

# Boxes around what the photo shows, drawn by hand: left, top, right, bottom as shares of width and height.
BOXES = {
    "african_elephant": (0.28, 0.08, 0.82, 0.90), "brown_bear": (0.50, 0.35, 0.93, 0.80),
    "cheetahs_and_person": (0.12, 0.32, 0.95, 0.86), "chickadee": (0.07, 0.22, 0.75, 0.88),
    "dog_and_cat": (0.35, 0.06, 0.73, 0.63), "golden_retriever": (0.19, 0.12, 0.66, 0.93),
    "hotdog": (0.12, 0.20, 0.95, 0.65), "hummingbird": (0.30, 0.22, 0.85, 0.98),
    "macaw": (0.25, 0.10, 0.90, 0.78), "reflex_camera": (0.33, 0.20, 0.95, 0.83),
    "siamese_cat": (0.23, 0.17, 0.65, 0.90), "tabby_cat": (0.10, 0.10, 0.72, 1.00),
    "zebra": (0.15, 0.27, 0.95, 0.88),
}  # fmt: skip
EXPECTED = {
    "african_elephant": 386, "brown_bear": 294, "cheetahs_and_person": 293, "chickadee": 19, "dog_and_cat": 243,
    "golden_retriever": 207, "hotdog": 934, "hummingbird": 94, "macaw": 88, "reflex_camera": 759, "siamese_cat": 284,
    "tabby_cat": 285, "zebra": 340,
}  # fmt: skip
NETWORKS = {
    "squeezenet1_1": {"spec": "torchvision:squeezenet1_1"},
    "mobilenetv2_100_same": {"spec": "mobilenetv2_100", "arch_options": ["pad_type=same"]},
}


@cache
def network(name: str, folder: Path) -> whylook.Model:
    options = dict(NETWORKS[name])
    return load_model(options.pop("spec"), checkpoint=folder / "weights" / f"{name}.safetensors", name=name, **options)


def enrichment(m: Map, box: tuple[float, float, float, float], *, mirrored: bool = False) -> float:
    """Share of the map's mass in the box over the box's share of what the model saw."""
    on = m.on_image()
    height, width = on.shape
    left, top, right, bottom = box
    if mirrored:
        left, right, top, bottom = 1 - right, 1 - left, 1 - bottom, 1 - top
    inside = np.zeros(on.shape, bool)
    inside[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = True
    seen = np.isfinite(on)
    return float(on[inside & seen].sum() / on[seen].sum() / (inside[seen].mean()))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_right_class_first_and_the_map_on_the_animal(name: str, real: Path) -> None:
    model = network(name, real)
    on_it, turned = {}, {}
    for photo, box in BOXES.items():
        result = explain(load_image(real / "photos" / f"{photo}.jpg"), model, ["grad-cam", "gradient"])
        assert result.predictions[name].top(1)[0].index == EXPECTED[photo], photo
        on_it[photo] = enrichment(result.map(name, "grad-cam"), box)
        turned[photo] = enrichment(result.map(name, "grad-cam"), box, mirrored=True)
    assert np.mean(list(on_it.values())) > 1.4, on_it
    assert sum(v > 1 for v in on_it.values()) >= len(BOXES) - 1, on_it
    # The same boxes turned by half a turn are the control: a centered blob would do as well there.
    assert np.mean(list(on_it.values())) > np.mean(list(turned.values())) + 0.25, turned


@pytest.mark.parametrize(("name", "most"), [("squeezenet1_1", 65), ("mobilenetv2_100_same", 150)])
def test_integrated_gradients_add_up_in_few_evaluations(name: str, most: int, real: Path) -> None:
    for photo in ("african_elephant", "macaw"):
        m = explain(load_image(real / "photos" / f"{photo}.jpg"), network(name, real), "integrated-gradients").maps[0]
        assert m.warning is None
        assert m.facts["relative_residual"] <= 0.05
        assert m.facts["evaluations"] <= most


@pytest.mark.parametrize("method", ["lrp", "guided-grad-cam", "excitation-backprop"])
def test_rules_find_the_animal_on_both_networks(method: str, real: Path) -> None:
    box = BOXES["brown_bear"]  # off the center, so that its mirror image is a control
    for name in NETWORKS:
        m = explain(load_image(real / "photos" / "brown_bear.jpg"), network(name, real), [method]).maps[0]
        size = replace(m, values=np.abs(m.values))
        assert enrichment(size, box) > 2
        assert enrichment(size, box, mirrored=True) < 0.5


def test_two_photos_do_not_tell_two_networks_apart(real: Path, tmp_path: Path) -> None:
    rows = ["file,label"]
    for photo in ("brown_bear", "zebra"):
        image = load_image(real / "photos" / f"{photo}.jpg")
        left, top, right, bottom = BOXES[photo]
        box = np.zeros((image.height, image.width), np.uint8)
        box[
            int(top * image.height) : int(bottom * image.height), int(left * image.width) : int(right * image.width)
        ] = 255
        (tmp_path / "masks").mkdir(exist_ok=True)
        Pillow.fromarray(box).save(tmp_path / "masks" / f"{photo}.png")
        (tmp_path / f"{photo}.jpg").symlink_to(real / "photos" / f"{photo}.jpg")
        rows.append(f"{photo}.jpg,{EXPECTED[photo]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    made = whylook.compare(tmp_path, [network(name, real) for name in NETWORKS], "grad-cam")
    assert [e.value for e in made.accuracy.values()] == [1, 1]
    assert {f.verdict.kind for f in made.findings} == {"not assessable"}
    assert all(v.estimate.value > 1 for v in made.levels if v.metric == "enrichment")
