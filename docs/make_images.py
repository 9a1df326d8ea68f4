"""Makes the README's pictures: `uv run python docs/make_images.py [FOLDER_WITH_REAL_NETWORKS_AND_PHOTOS]`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

import whylook
from whylook.demo import METHODS
from whylook.draw import figure
from whylook.explanation import Explanation
from whylook.phantom import picture

IMAGES = Path(__file__).parent / "images"


def save(explanation: Explanation, name: str, dpi: int) -> None:
    """Write the figure as JPEG, which is a third of its PNG."""
    drawn = io.BytesIO()
    figure(explanation).savefig(drawn, format="png", dpi=dpi)
    Image.open(drawn).convert("RGB").save(IMAGES / name, quality=88)


def demo() -> None:
    """One family, both kinds: the embedded film and two networks that give the same answer."""
    models = ["phantom:resnet", "phantom:resnet-shortcut"]
    save(whylook.explain(picture(), models, METHODS), "demo.jpg", 72)


def photo(real: Path) -> None:
    """Real networks on a photo (dog_and_cat.jpg of salesforce/OmniXAI, BSD-3-Clause)."""
    weights = real / "weights"
    models = [
        whylook.load_model(
            "torchvision:squeezenet1_1", checkpoint=weights / "squeezenet1_1.safetensors", name="SqueezeNet 1.1"
        ),
        whylook.load_model(
            "mobilenetv2_100", checkpoint=weights / "mobilenetv2_100_same.safetensors", arch_options=["pad_type=same"],
            name="MobileNetV2",
        ),
    ]  # fmt: skip
    save(whylook.explain(real / "photos" / "dog_and_cat.jpg", models), "photo.jpg", 80)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    demo()
    if len(sys.argv) > 1:
        photo(Path(sys.argv[1]))
