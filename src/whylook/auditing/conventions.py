"""The ways in which networks are commonly fed: colors and range, and how a picture is brought to size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from whylook.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess

_CAFFE_MEAN = tuple(v / 255 for v in (123.68, 116.779, 103.939))  # of VGG's ILSVRC models, red first
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
# name, mean and std of values in [0, 1], factor after them, whether networks fed blue first are plausible
_COLOR: tuple[tuple[str, tuple[float, ...], tuple[float, ...], float, bool], ...] = (
    ("[0, 1]", (0.0,), (1.0,), 1.0, True),
    ("[−1, 1]", (0.5,), (0.5,), 1.0, True),
    ("[0, 255]", (0.0,), (1.0,), 255.0, True),
    ("ImageNet mean and std", IMAGENET_MEAN, IMAGENET_STD, 1.0, True),
    ("Caffe mean", _CAFFE_MEAN, (1.0,), 255.0, True),
    ("CLIP mean and std", _CLIP_MEAN, _CLIP_STD, 1.0, False),
)
_GRAY = tuple(entry for entry in _COLOR if not entry[0].startswith("C"))  # no gray networks come from there
_INTERPOLATIONS = ("bilinear", "bicubic")
_CLOSE = 0.01  # of mean, and of the relative factor: closer ones are one convention


@dataclass(frozen=True)
class Convention:
    """One way to feed a network.

    Parameters
    ----------
    name : what tables call it.
    preprocess : the same as data.
    kind : `color` (channel order, range, mean and std), `size` (crop, squash or pad) or `interpolation`.
    distance : how much of the declared convention it changes: 0 nothing, 1 only the channel order (or the polarity),
        2 only the range, 3 both.
    """

    name: str
    preprocess: Preprocess
    kind: str = "color"
    distance: int = 0


def colors(declared: Preprocess) -> list[Convention]:
    """The declared convention, then the plausible others that differ from it in channel order, range, mean or std."""
    found = [Convention(_named(declared), declared)]
    for name, preprocess in _colors(declared):
        if not any(alike(preprocess, other.preprocess) for other in found):
            found.append(Convention(name, preprocess, distance=distance(preprocess, declared)))
    return found


def sizes(around: Convention) -> list[Convention]:
    """`around`, then the same colors brought to size in the other common ways."""
    p = around.preprocess
    height, width = p.input_size
    wider = (math.floor(height / 0.875), math.floor(width / 0.875))
    ways: list[tuple[str, dict[str, Any]]] = [
        ("center crop of 87.5 %", {"resize": "shorter", "resize_to": wider}),
        ("center crop, all of the shorter side", {"resize": "shorter", "resize_to": p.input_size}),
        ("squashed", {"resize": "squash", "resize_to": p.input_size}),
        ("padded", {"resize": "longer", "resize_to": p.input_size, "fill": p.mean if p.scale > 0 else p.fill}),
    ]
    return _varied(around, "size", ways)


def interpolations(around: Convention) -> list[Convention]:
    """`around`, then the same with another interpolation, or without filtering before pictures are made smaller."""
    ways: list[tuple[str, dict[str, Any]]] = [(name, {"interpolation": name}) for name in _INTERPOLATIONS]
    return _varied(around, "interpolation", ways)


def alike(one: Preprocess, other: Preprocess) -> bool:
    """Whether two feed the same colors: every picture gets the same values, to about a hundredth of white."""
    if one.channel_order != other.channel_order:
        return False
    pairs = zip(_lines(one), _lines(other), strict=True)
    return all(abs(a - b) <= _CLOSE * max(abs(a), abs(b)) and abs(m - n) <= _CLOSE for (a, m), (b, n) in pairs)


def distance(one: Preprocess, other: Preprocess) -> int:
    """How much two colors differ: 1 for channel order or polarity, 2 for range, mean or std, 3 for both; 0 for neither."""
    turned = one.channel_order != other.channel_order or (one.scale < 0) != (other.scale < 0)
    if (one.scale < 0) != (other.scale < 0):
        other = inverted(other)
    return turned + 2 * (not alike(replace(one, channel_order="rgb"), replace(other, channel_order="rgb")))


def inverted(preprocess: Preprocess) -> Preprocess:
    """The same fed white for black: a negative factor, and the means as far from white as they were from black."""
    return replace(
        preprocess,
        mean=tuple(1 - m for m in preprocess.mean),
        fill=tuple(1 - f for f in preprocess.fill),
        scale=-preprocess.scale,
    )


def _colors(declared: Preprocess) -> Iterator[tuple[str, Preprocess]]:
    upright = inverted(declared) if declared.scale < 0 else declared
    for name, mean, std, scale, swapped in _GRAY if declared.channels == 1 else _COLOR:
        plain = replace(
            upright, mean=_for(declared, mean), std=_for(declared, std), scale=scale, channel_order="rgb", origin=""
        )
        if declared.channels == 1:
            yield name, plain
            yield f"{name}, inverted", inverted(plain)
        else:
            yield f"RGB, {name}", plain
            if swapped:
                yield f"BGR, {name}", replace(plain, channel_order="bgr")
    if declared.channels == 1:
        yield f"the declared, {'' if upright is declared else 'not '}inverted", inverted(replace(declared, origin=""))
    elif declared.channel_order == "rgb":
        yield "BGR, the declared values", replace(declared, channel_order="bgr", origin="")
    else:
        yield "RGB, the declared values", replace(declared, channel_order="rgb", origin="")


def _named(declared: Preprocess) -> str:
    for name, preprocess in _colors(declared):
        if "the declared" not in name and alike(preprocess, declared):
            return name
    mean, std = (" ".join(f"{v:.3g}" for v in values) for values in (declared.mean, declared.std))
    order = "" if declared.channels == 1 else f"{declared.channel_order.upper()}, "
    times = "" if declared.scale == 1 else f", times {declared.scale:g}"
    return f"{order}mean {mean}, std {std}{times}"


def _varied(around: Convention, kind: str, ways: list[tuple[str, dict[str, Any]]]) -> list[Convention]:
    """`around`, and what the `ways` make of it that differs from it."""
    found = [replace(around, kind=kind)]
    for name, fields in ways:
        changed = replace(around.preprocess, **fields)
        if _geometry(changed) != _geometry(around.preprocess):
            found.append(Convention(name, changed, kind))
    return found


def _geometry(p: Preprocess) -> tuple[Any, ...]:
    return p.resize, p.resize_to, p.interpolation


def _for(declared: Preprocess, values: tuple[float, ...]) -> tuple[float, ...]:
    if len(values) == declared.channels:
        return values
    return (sum(values) / len(values),) * declared.channels


def _lines(p: Preprocess) -> list[tuple[float, float]]:
    """Per channel the factor from [0, 1] to the input, and what becomes 0: all that a picture's colors go through."""
    return [(p.scale / s, m) for m, s in zip(p.mean, p.std, strict=True)]
