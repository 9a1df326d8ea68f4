"""Preprocessing from what a person says, what a file says and what an architecture usually wants, in that order."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from whylook.errors import ModelError, UsageError

if TYPE_CHECKING:
    from whylook.preprocess import Preprocess

NAMES = ("mean", "std", "input_size", "interpolation", "crop", "resize", "crop_mode", "scale", "channel_order")
_MODES = {"center": "shorter", "squash": "squash", "border": "longer"}


def settle(
    given: Mapping[str, Any], metadata: Mapping[str, Any], usual: Preprocess | None, channels: int | None, whose: str
) -> Preprocess:
    """Make the preprocessing of a person's own weights; its `origin` says where each number came from.

    Parameters
    ----------
    given : what the person said, by the names in `NAMES`; None where nothing was.
    metadata : what the file of weights says of itself; texts.
    usual : the architecture's usual preprocessing, or None.
    channels : 1 or 3 where the person said so.
    whose : the architecture's name.

    Raises
    ------
    ModelError
        If mean, std or input size are known from nowhere.
    UsageError
        If a value cannot be right.
    """
    from whylook.preprocess import Preprocess

    metadata = {k: v for k, v in metadata.items() if str(v).strip()}
    if "crop_pct" in metadata:
        metadata.setdefault("crop", metadata["crop_pct"])
    if given.get("crop") is not None or given.get("input_size") is not None:
        metadata.pop("resize", None)  # it belongs to another crop, or to another size
    said = {k: given[k] for k in NAMES if given.get(k) is not None}
    filed = {k: metadata[k] for k in NAMES if k in metadata and k not in said}
    values: dict[str, Any] = {**filed, **said}
    if usual is None:
        lacking = [n for n in ("mean", "std", "input_size") if n not in values]
        if lacking:
            raise ModelError(
                f"How {whose} is fed is not known: give {', '.join('--' + n.replace('_', '-') for n in lacking)}."
            )
    base = usual or Preprocess(mean=0.5, std=0.5)  # type: ignore[arg-type]
    channels = channels or base.channels
    size = _size(values["input_size"]) if "input_size" in values else base.input_size
    mode = str(values.get("crop_mode", ""))
    if mode and mode not in _MODES:
        raise UsageError(f"crop_mode={mode!r} is not known; it is center, squash or border.")
    resize, resize_to = _MODES.get(mode, base.resize), base.resize_to
    if "resize" in values:
        side = int(_numbers("resize", values["resize"])[0])
        resize, resize_to = _MODES.get(mode, "shorter"), (side, side)
    elif "crop" in values:
        share = _numbers("crop", values["crop"])[0]
        if not 0 < share <= 1:
            raise UsageError(f"crop={share:g} must be a share of the picture's shorter side, in (0, 1], such as 0.875.")
        resize_to = (math.floor(size[0] / share), math.floor(size[1] / share))
    elif size != base.input_size:
        (height, width), (rows, columns) = base.input_size, base.resize_to
        resize_to = (math.floor(size[0] * rows / height), math.floor(size[1] * columns / width))
    mean, std = (
        _numbers(k, values[k]) if k in values else _averaged(getattr(base, k), channels) for k in ("mean", "std")
    )
    return Preprocess(
        input_size=size,
        resize=resize,  # type: ignore[arg-type]
        resize_to=resize_to,
        interpolation=str(values.get("interpolation", base.interpolation)).lower(),
        mean=mean,
        std=std,
        channels=channels,
        scale=_numbers("scale", values["scale"])[0] if "scale" in values else base.scale,
        channel_order=values.get("channel_order", base.channel_order),
        fill=_averaged(base.fill, channels),
        origin=_story(said, filed, usual, whose),
    )


def _story(said: Mapping[str, Any], filed: Mapping[str, Any], usual: Preprocess | None, whose: str) -> str:
    """One sentence on where the numbers came from."""
    known = {*said, *filed}
    known |= {"resize"} if "crop" in known else {"crop"} if "resize" in known else set()
    rest = [n for n in ("mean", "std", "input_size", "interpolation", "crop") if n not in known]
    parts = [f"{_list(said)} as given"] if said else []
    parts += [f"{_list(filed)} from the file's metadata"] if filed else []
    if rest and usual is not None:
        parts.append(f"{_list(rest)} not given, so taken from what is usual for {whose} ({usual.origin.rstrip('.')})")
    elif rest:
        parts.append(f"{_list(rest)} not given nor known, so bilinear and 0.875 are assumed")
    story = "; ".join(parts)
    return f"Preprocessing: {story}." if story else ""


def _list(names: Mapping[str, Any] | list[str]) -> str:
    words = [n.replace("_", " ") for n in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    parts = re.split(r"[,;\s]+", value.strip(" ()[]")) if isinstance(value, str) else value
    parts = [parts] if isinstance(parts, int | float) else parts
    try:
        return tuple(float(p) for p in parts)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}={value!r} must be numbers, such as 0.5,0.5,0.5.") from error


def _size(value: Any) -> tuple[int, int]:
    """Height and width from a number, two, or timm's three (channels first)."""
    numbers = _numbers("input_size", value.replace("x", ",").replace("×", ",") if isinstance(value, str) else value)
    sizes = [int(n) for n in numbers][-2:]
    if not sizes or any(s < 1 for s in sizes) or len(numbers) > 3:
        raise UsageError(f"input_size={value!r} must be a positive number of pixels, or height,width.")
    return sizes[0], sizes[-1]


def _averaged(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values if len(values) == channels else (sum(values) / len(values),) * channels
