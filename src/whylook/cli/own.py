"""The options that describe a network of a person's own, the same for every command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter, Token


def whole(_: Any, tokens: Sequence[Token]) -> int:
    """A whole number as such: 1.5 is none, where cyclopts would round it."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is not a whole number") from None


Whole = Parameter(converter=whole)
Many = Parameter(negative_iterable=(), consume_multiple=False)
Flag = Parameter(negative=())
OWN = Group("Your own network", sort_key=10)


@Parameter(name="*", group=OWN)
@dataclass(frozen=True, kw_only=True)
class OwnNetwork:
    """A network of a person's own: its architecture, its weights, and how it is fed.

    Parameters
    ----------
    arch : str | None
        Architecture: a timm name, torchvision:NAME, or package.module:factory.
    checkpoint : Path | None
        Its weights: .safetensors, or a state dict in .pth or .pt.
    arch_option : list[str] | None
        An option of the architecture, as NAME=VALUE (pad_type=same); may be repeated.
    num_classes : int | None
        Number of classes.
    in_chans : int | None
        Input channels, 1 or 3.
    mean : str | None
        Three numbers (or one) in [0, 1], as 0.5,0.5,0.5.
    std : str | None
        As for mean.
    input_size : str | None
        Side of the input in pixels, or HEIGHT,WIDTH.
    interpolation : str | None
        nearest, bilinear, bicubic or lanczos.
    crop : float | None
        Share of the resized picture's side that the center crop keeps, as 0.875.
    resize : int | None
        Instead of crop: pixels of the shorter side before the crop.
    crop_mode : str | None
        center (crop), squash (to the input's shape) or border (pad).
    scale : float | None
        Factor after normalization; 255 for networks fed 0 to 255.
    channel_order : str | None
        rgb, or bgr for networks fed blue first.
    head : str | None
        softmax (one class of many), sigmoid (each class by itself), binary (one logit).
    name : str | None
        What to call it.
    """

    arch: str | None = None
    checkpoint: Path | None = None
    arch_option: Annotated[list[str] | None, Many] = None
    num_classes: Annotated[int | None, Whole] = None
    in_chans: Annotated[int | None, Whole] = None
    mean: str | None = None
    std: str | None = None
    input_size: str | None = None
    interpolation: str | None = None
    crop: float | None = None
    resize: Annotated[int | None, Whole] = None
    crop_mode: Literal["center", "squash", "border"] | None = None
    scale: float | None = None
    channel_order: Literal["rgb", "bgr"] | None = None
    head: Literal["softmax", "sigmoid", "binary"] | None = None
    name: str | None = None

    def given(self, labels: Path | None = None) -> dict[str, Any]:
        """What was given, by the names that `load_model` knows; with the `labels`, which commands call by other names."""
        values = {k: v for k, v in asdict(self).items() if v is not None}
        if "arch_option" in values:
            values["arch_options"] = values.pop("arch_option")
        return values if labels is None else {**values, "labels": labels}


NONE = OwnNetwork()
