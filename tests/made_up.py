"""Explanations made up for tests of what shows them: no network is run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from whylook.explanation import Explanation, Map, Prediction, Target
from whylook.image import Image, load_image
from whylook.models.model import Model
from whylook.preprocess import Preprocess

LABELS = ("tabby, tabby cat", "tiger cat", "Egyptian cat", "lynx, catamount", "Persian cat", "Siamese cat")
MODELS = ("resnet50", "vgg16", "efficientnet_b0", "mobilenet")
METHODS = ("made-up-gradient", "made-up-cam", "made-up-signed")
FEEDING = (
    Preprocess(),
    Preprocess(input_size=(224, 224), resize_to=(232, 232)),
    Preprocess(input_size=(256, 256), resize_to=(256, 256)),
    Preprocess(input_size=(224, 224), resize="squash", resize_to=(224, 224)),
)
FAILURE = "This network has no spatial layer before its head; use made-up-gradient instead."
FACTS = {"residual": 0.02, "relative_residual": 0.083, "evaluations": 512.0}
WARNING = "The shares add up to 0.26, but the score differs by 0.24: <8.3 %> of that."
REASON = "Every weight of this class is at most zero, so that ReLU leaves nothing."


def picture(width: int = 96, height: int = 64, name: str = "cat.png") -> Image:
    y, x = np.mgrid[:height, :width]
    channels = [255 * x / width, 255 * y / height, 128 + 100 * np.sin(x / 5) * np.cos(y / 7)]
    pixels = np.stack(channels, axis=-1).astype(np.uint8)
    image = load_image(pixels)
    return Image(image.pixels, name=name, notes=("Made up.",), sha256=image.sha256)


def bump(rows: int, columns: int, y: float, x: float) -> np.ndarray:
    i, j = np.mgrid[:rows, :columns]
    return np.asarray(np.exp(-(((i + 0.5) / rows - y) ** 2 + ((j + 0.5) / columns - x) ** 2) / 0.05))


def values_of(method: str, number: int, rng: np.random.Generator) -> np.ndarray:
    if method.endswith("gradient"):
        return np.asarray(np.abs(rng.normal(size=(56, 56))) * bump(56, 56, 0.5, 0.5) * 10.0 ** (-6 * number))
    if method.endswith("signed"):
        return np.asarray(rng.normal(size=(28, 28)) * bump(28, 28, 0.4, 0.6) * 1e-3)
    grid = (7, 14, 8, 7)[number % 4]
    return 3.2 * bump(grid, grid, 0.4, 0.3 + 0.1 * (number % 4))


def explanation(
    image: Image | None = None,
    models: Sequence[str] = MODELS,
    methods: Sequence[str] = METHODS,
    labels: Sequence[str] = LABELS,
    *,
    targets: int = 1,
    failing: bool = True,
    empty: bool = True,
) -> Explanation:
    """Four models by three methods, one failure (second model, second method), one all-zero map (fourth model)."""
    image = image or picture()
    rng = np.random.default_rng(7)
    known, predictions, maps, failures = {}, {}, [], []
    for number, name in enumerate(models):
        feeding = FEEDING[number % 4]
        known[name] = Model(name, nn.Identity(), feeding, tuple(labels), notes=("Noted.",))
        logits = np.sort(rng.normal(size=len(labels)).astype(np.float32))[::-1].copy()
        odds = np.exp(logits)
        predictions[name] = Prediction(logits, (odds / odds.sum()).astype(np.float32), tuple(labels))
        for index in range(targets):
            for method in methods:
                if failing and number == 1 and method == METHODS[1]:
                    if index == 0:
                        failures.append((name, method, FAILURE))
                    continue
                values = values_of(method, number, rng).astype(np.float32)
                nothing = empty and number == 3 and method == METHODS[1]
                maps.append(
                    Map(
                        values * 0 if nothing else values,
                        method,
                        name,
                        Target(index, labels[index]),
                        method.endswith("signed"),
                        {"samples": 25, "noise": 0.15},
                        feeding.geometry(image),
                        layer="layer4" if method.endswith("cam") else None,
                        seconds=0.042,
                        passes={"forward": 1, "backward": 1},
                        reason=REASON if nothing else None,
                        facts=FACTS if method.endswith("signed") else {},
                        warning=WARNING if method.endswith("signed") and number == 0 else None,
                    )
                )
    marks = {name: f"f00d{number}" for number, name in enumerate(models)}
    return Explanation(image, known, predictions, tuple(maps), tuple(failures), {"device": "cpu"}, marks)
