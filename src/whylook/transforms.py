"""Reading torchvision's (and timm's) evaluation transforms as data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from whylook.errors import UsageError

# Turning a picture into a float tensor in [0, 1] is what everything here does anyway.
_CONVERSIONS = (
    "ToTensor", "MaybeToTensor", "PILToTensor", "ToImage", "ConvertImageDtype", "ToDtype", "Identity", "ToPureTensor",
)  # fmt: skip


def read(transforms: Any) -> dict[str, Any]:
    """Return the fields of `Preprocess` that the transforms amount to; what is not understood raises `UsageError`."""
    origin = "torchvision's transforms, as given."
    if hasattr(transforms, "transforms") and callable(transforms.transforms):  # a weights enum entry
        origin = f"torchvision's transforms of {transforms}."
        transforms = transforms.transforms()
    if all(hasattr(transforms, name) for name in ("crop_size", "resize_size", "mean", "std")):
        steps: dict[str, Any] = {**_resize(transforms.resize_size), "input_size": _crop(transforms.crop_size)}
        steps |= {"interpolation": _mode(transforms.interpolation), "mean": transforms.mean, "std": transforms.std}
    else:
        steps = _compose(_sequence(transforms))
    if "input_size" not in steps:
        if steps.get("resize") != "squash":
            raise UsageError("The transforms do not fix the input's size; end them with a CenterCrop.")
        steps["input_size"] = steps["resize_to"]
    steps.setdefault("resize", "none")
    steps.setdefault("resize_to", steps["input_size"])
    if "mean" not in steps:
        channels = steps.get("channels", 3)
        steps |= {"mean": (0.0,) * channels, "std": (1.0,) * channels}
    steps["channels"] = steps.get("channels", len(steps["mean"]))
    steps.setdefault("fill", (0.0,) * steps["channels"])
    return {**steps, "mean": tuple(steps["mean"]), "std": tuple(steps["std"]), "origin": origin}


def _sequence(transforms: Any) -> Iterable[Any]:
    inner = getattr(transforms, "transforms", transforms)
    if not isinstance(inner, Iterable):
        raise UsageError(f"{type(transforms).__name__} is not a preprocessing that can be read; see Preprocess.")
    return inner


def _compose(sequence: Iterable[Any]) -> dict[str, Any]:
    steps: dict[str, Any] = {}
    order: list[str] = []
    for step in sequence:
        kind = type(step).__name__
        if kind == "Resize":
            if getattr(step, "max_size", None):
                raise UsageError("Resize with max_size is not a preprocessing that can be read.")
            steps |= _resize(step.size) | {"interpolation": _mode(step.interpolation)}
        elif kind == "ResizeKeepRatio":
            if step.longest not in (0.0, 1.0):
                raise UsageError(
                    f"ResizeKeepRatio with longest={step.longest} is not a preprocessing that can be read."
                )
            steps |= {"resize": "longer" if step.longest else "shorter", "resize_to": _crop(step.size)}
            steps["interpolation"] = _mode(step.interpolation)
        elif kind in ("CenterCrop", "CenterCropOrPad"):
            steps["input_size"] = _crop(step.size)
            if getattr(step, "fill", 0):
                steps["fill"] = tuple(v / 255 for v in step.fill)
        elif kind == "Grayscale":
            if step.num_output_channels != 1:
                raise UsageError("Grayscale to three channels is not a preprocessing that can be read.")
            steps["channels"] = 1
        elif kind == "Normalize":
            steps |= {name: [float(v) for v in getattr(step, name)] for name in ("mean", "std")}
        elif kind == "ToDtype" and not step.scale:
            raise UsageError("ToDtype without scale=True leaves values of 0 to 255; add scale=True.")
        elif kind not in _CONVERSIONS:
            raise UsageError(f"The transform {kind} is not understood; describe the preprocessing with Preprocess.")
        order.append(kind)
    shape = [k for k in order if k.startswith(("Resize", "CenterCrop"))]
    if len(shape) > 2 or (len(shape) == 2 and not (shape[0].startswith("Resize") and shape[1].startswith("Center"))):
        raise UsageError(
            f"{' then '.join(shape)} is not a preprocessing that can be read; it is Resize, then CenterCrop."
        )
    return steps


def _resize(size: Any) -> dict[str, Any]:
    """Torchvision's meaning of a size: one number is the shorter side, two are both sides."""
    sizes = [size] if isinstance(size, int) else list(size)
    return {"resize": "shorter" if len(sizes) == 1 else "squash", "resize_to": _crop(sizes)}


def _crop(size: Any) -> tuple[int, int]:
    sizes = [size] if isinstance(size, int) else list(size)
    return (int(sizes[0]), int(sizes[-1]))


def _mode(interpolation: Any) -> str:
    return str(getattr(interpolation, "value", interpolation)).lower()
