"""How a picture becomes a network's input, and where that input lies in the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from whylook.errors import ImageError, UsageError
from whylook.geometry import Geometry

if TYPE_CHECKING:
    from torch import Tensor

    from whylook.image import Image

Resize = Literal["shorter", "squash", "longer", "none"]
INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
MAX_RESIZED = 200_000_000  # pixels: very thin pictures grow to strips that no memory holds
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class _Axis(NamedTuple):
    """One axis of the way from picture to input, in pixels."""

    resized: int
    pad: int  # before the resized picture
    crop: int  # from its beginning


@dataclass(frozen=True)
class Preprocess:
    """Resize, center crop (or pad) and normalization, as data.

    Parameters
    ----------
    input_size : (height, width) of the network's input.
    resize : `shorter` (both sides by one factor, until they cover `resize_to`), `longer` (until they fit into it),
        `squash` (each side to its own), or `none`.
    resize_to : (height, width); before the crop.
    interpolation : Pillow's name of it: `nearest`, `box`, `bilinear`, `hamming`, `bicubic` or `lanczos`.
    mean, std : one per channel in red, green, blue order, of values in [0, 1].
    channels : 3, or 1 for gray networks.
    scale : factor after normalization; 255 for networks fed 0 to 255.
    channel_order : `rgb`, or `bgr` for networks fed blue first.
    fill : color, in [0, 1] and red, green, blue order, of padding where the resized picture is smaller than the input.
    origin : a sentence on where the numbers came from.

    Notes
    -----
    A gray picture is repeated for networks with 3 channels. A color picture becomes gray, for networks with 1, by the
    ITU-R 601 luma (Pillow's `convert("L")`) before it is resized. Pictures of 8 bits are resized at 8 bits, which is
    bit-identical to timm's and torchvision's evaluation transforms; others are resized as floats and clipped to [0, 1].
    """

    input_size: tuple[int, int] = (224, 224)
    resize: Resize = "shorter"
    resize_to: tuple[int, int] = (256, 256)
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    channels: int = 3
    scale: float = 1.0
    channel_order: Literal["rgb", "bgr"] = "rgb"
    fill: tuple[float, ...] = (0.0, 0.0, 0.0)
    origin: str = ""

    def __post_init__(self) -> None:
        for name in ("input_size", "resize_to"):
            object.__setattr__(self, name, _pair(name, getattr(self, name)))
        if self.channels not in (1, 3):
            raise UsageError(f"A network is fed pictures of 1 or 3 channels here, not {self.channels}.")
        for name in ("mean", "std", "fill"):
            object.__setattr__(self, name, _per_channel(name, getattr(self, name), self.channels))
        if any(not 0 <= m <= 1 for m in self.mean):
            raise UsageError(
                f"mean={self.mean} must lie in [0, 1]; divide by 255 what was given for values of 0 to 255 (std, too)."
            )
        if any(s <= 0 for s in self.std):
            raise UsageError(f"std={self.std} must be positive.")
        if self.resize not in ("shorter", "squash", "longer", "none"):
            raise UsageError(f"resize={self.resize!r} is not known; it is shorter, squash, longer or none.")
        if self.interpolation not in INTERPOLATIONS:
            raise UsageError(
                f"interpolation={self.interpolation!r} is not known; it is one of {', '.join(INTERPOLATIONS)}."
            )
        if self.channel_order not in ("rgb", "bgr"):
            raise UsageError(f"channel_order={self.channel_order!r} is not known; it is rgb or bgr.")

    def apply(self, image: Image) -> Tensor:
        """Return the network's input, float32 [channels, height, width], of `image`.

        Raises
        ------
        ImageError
            If the picture is so thin that it would grow beyond `MAX_RESIZED` pixels before the crop.
        """
        return self.normalize(self.unit(image))

    def unit(self, image: Image) -> Tensor:
        """Resize and crop only: float32 [channels, height, width] in [0, 1], RGB order; `normalize` is what follows.

        Raises
        ------
        ImageError
            As `apply`.
        """
        import torch

        self.check(image)
        rows, columns = self._axes(image.height, image.width)
        values = self._resized(image, rows.resized, columns.resized)
        tensor = torch.from_numpy(self._cropped(values, rows, columns)).permute(2, 0, 1).contiguous()
        # 8-bit values are divided here, in torch, as torchvision does it: the last bit may differ elsewhere
        return tensor.to(torch.float32).div(255) if tensor.dtype == torch.uint8 else tensor

    def check(self, image: Image) -> None:
        """Raise the `ImageError` that `apply` would raise, without the work."""
        rows, columns = self._axes(image.height, image.width)
        pixels = rows.resized * columns.resized
        if pixels > max(MAX_RESIZED, image.height * image.width):
            raise ImageError(
                f"{image.name} is too thin, {image.width} pixels wide and {image.height} high: it would have to grow to "
                f"{columns.resized}×{rows.resized} before the crop to {self.input_size[1]}×{self.input_size[0]}; "
                "cut out the part that matters first."
            )

    def normalize(self, unit: Tensor) -> Tensor:
        """Bring values in [0, 1], float [..., channels, h, w] in RGB order, to the network's input space."""
        mean, std = self._columns(unit)
        out = (unit - mean) / std
        out = out if self.scale == 1 else out * self.scale
        return out.flip(-3) if self.channel_order == "bgr" else out

    def unnormalize(self, x: Tensor) -> Tensor:
        """Undo `normalize`: float [..., channels, h, w] in [0, 1] and RGB order, for showing what the network saw."""
        x = x.flip(-3) if self.channel_order == "bgr" else x
        mean, std = self._columns(x)
        return x / self.scale * std + mean

    def geometry(self, image: Image) -> Geometry:
        """Where the input lies in `image`: the affine map between them, with the sizes rounded as `apply` does."""
        axes = self._axes(image.height, image.width)
        rows, columns = axes
        return Geometry(
            picture=(image.height, image.width),
            input=self.input_size,
            scale=(rows.resized / image.height, columns.resized / image.width),
            offset=(float(rows.pad - rows.crop), float(columns.pad - columns.crop)),
        )

    def describe(self) -> str:
        """Everything that is done to a picture, as one sentence."""
        (h, w), (rh, rw) = self.input_size, self.resize_to
        how = {
            "shorter": f"shorter side to {rh}" if rh == rw else f"scaled to cover {rh}×{rw}",
            "longer": f"longer side to {rh}" if rh == rw else f"scaled to fit into {rh}×{rw}",
            "squash": f"squashed to {rh}×{rw}",
            "none": "not resized",
        }[self.resize]
        if self.resize != "none":
            how += f" ({self.interpolation})"
        color = "gray" if self.channels == 1 else self.channel_order.upper()
        mean, std = (" ".join(f"{v:.4g}" for v in values) for values in (self.mean, self.std))
        last = "" if self.scale == 1 else f", times {self.scale:g}"
        return f"{how[0].upper()}{how[1:]}, center {h}×{w}, {color} in [0, 1] less {mean}, divided by {std}{last}."

    def as_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON; `from_dict` undoes it."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make one from `as_dict`'s output; an unknown field raises `UsageError`."""
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                raise UsageError(f"A preprocessing has no field {name!r}; it has {', '.join(known)}.")
        return cls(**values)

    @classmethod
    def from_timm(cls, config: Any, *, test_size: bool = False) -> Self:
        """Make one from timm's data config (or pretrained config), or from a timm network.

        Parameters
        ----------
        config : dict with any of `input_size` (c, h, w), `interpolation`, `mean`, `std`, `crop_pct`, `crop_mode`, or a
            network with a `pretrained_cfg`; timm's defaults stand in for what is not there.
        test_size : take the test size and crop, where a network has one of its own.

        Raises
        ------
        UsageError
            If the config asks for something that is not done here.
        """
        import timm.data

        if isinstance(config, Mapping):
            given: dict[str, Any] = dict(config)
            origin = "timm's data config, as given."
        elif hasattr(config, "pretrained_cfg"):
            given = dict(config.pretrained_cfg)
            name = ".".join(str(given[k]) for k in ("architecture", "tag") if given.get(k))
            origin = f"timm's pretrained config of {name or type(config).__name__}."
        else:
            raise UsageError(f"{type(config).__name__} is neither a timm config nor a network with a pretrained_cfg.")
        if given.get("crop_border_pixels"):
            raise UsageError("crop_border_pixels of the timm config is not supported.")
        data = timm.data.resolve_data_config(pretrained_cfg=given or {"input_size": None}, use_test_size=test_size)
        channels, height, width = data["input_size"]
        resize_to = (math.floor(height / data["crop_pct"]), math.floor(width / data["crop_pct"]))
        resize: Resize = {"squash": "squash", "border": "longer"}.get(data["crop_mode"], "shorter")  # type: ignore[assignment]
        mean, std = (_fitting(data[k], channels) for k in ("mean", "std"))
        # timm pads with the mean, rounded to 8 bits, in its border mode, and with black in the others
        fill = tuple(round(255 * m) / 255 for m in mean) if resize == "longer" else (0.0,) * channels
        return cls(
            (height, width), resize, resize_to, data["interpolation"], mean, std, channels, fill=fill, origin=origin
        )

    @classmethod
    def from_torchvision(cls, transforms: Any) -> Self:
        """Make one from torchvision: a weights enum entry, its `transforms()`, or a `Compose` of evaluation transforms.

        A `Compose` may hold Resize, CenterCrop, Grayscale, Normalize and conversions to a float tensor (timm's own
        are understood, too).

        Raises
        ------
        UsageError
            Naming the transform that is not understood, or what is missing.
        """
        from whylook.transforms import read

        return cls(**read(transforms))

    def _columns(self, like: Tensor) -> tuple[Tensor, Tensor]:
        import torch

        # made in float32 first, as the libraries do it
        mean, std = (torch.tensor(v, dtype=torch.float32).to(like).view(-1, 1, 1) for v in (self.mean, self.std))
        return mean, std

    def _axes(self, height: int, width: int) -> tuple[_Axis, _Axis]:
        sizes = self._resized_size(height, width)
        rows, columns = (_center(n, size) for n, size in zip(sizes, self.input_size, strict=True))
        return rows, columns

    def _resized_size(self, height: int, width: int) -> tuple[int, int]:
        """Size after the resize, rounded as torchvision does (square `shorter`) or as timm does (the rest)."""
        rows, columns = self.resize_to
        if self.resize == "none":
            return height, width
        if self.resize == "squash":
            return rows, columns
        if self.resize == "shorter" and rows == columns:
            if height <= width:
                return rows, int(rows * width / height)
            return int(rows * height / width), rows
        pick = min if self.resize == "shorter" else max
        ratio = pick(height / rows, width / columns)
        return max(1, round(height / ratio)), max(1, round(width / ratio))

    def _resized(self, image: Image, height: int, width: int) -> NDArray[Any]:
        """Picture values [height, width, channels] in RGB order: uint8, or float32 in [0, 1]."""
        from PIL import Image as PilImage

        method = PilImage.Resampling[self.interpolation.upper()]
        if image.pixels.dtype == np.uint8 and image.window is None:
            picture = PilImage.fromarray(image.pixels if image.channels == 3 else image.pixels[:, :, 0])
            picture = picture.convert("L") if self.channels == 1 else picture
            if self.resize != "none":
                picture = picture.resize((width, height), method)
            values: NDArray[Any] = np.array(picture)
            values = values.reshape(*values.shape[:2], -1)
        else:
            unit = image.unit()
            if self.channels == 1 and image.channels == 3:
                unit = unit @ np.array([[0.299], [0.587], [0.114]], np.float32)
            planes = [PilImage.fromarray(np.ascontiguousarray(unit[:, :, c])) for c in range(unit.shape[2])]
            if self.resize != "none":
                planes = [p.resize((width, height), method) for p in planes]
            values = np.clip(np.stack([np.asarray(p) for p in planes], axis=2), 0, 1)  # bicubic overshoots
        return np.repeat(values, 3, axis=2) if values.shape[2] < self.channels else values

    def _cropped(self, values: NDArray[Any], rows: _Axis, columns: _Axis) -> NDArray[Any]:
        height, width = self.input_size
        part = values[rows.crop : rows.crop + height, columns.crop : columns.crop + width]
        if part.shape[:2] == (height, width):
            return part
        color = np.array(self.fill, np.float32)
        if values.dtype == np.uint8:
            color = np.rint(color * 255)
        out = np.empty((height, width, self.channels), values.dtype)
        out[:] = color.astype(values.dtype)
        out[rows.pad : rows.pad + part.shape[0], columns.pad : columns.pad + part.shape[1]] = part
        return out


def _center(size: int, wanted: int) -> _Axis:
    """Center crop or pad of one axis, rounded as torchvision does it."""
    if size < wanted:
        return _Axis(size, (wanted - size) // 2, 0)
    return _Axis(size, 0, round((size - wanted) / 2))


def _pair(name: str, value: Any) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int | float) else tuple(value)
    if len(pair) != 2 or any(int(v) != v or v < 1 for v in pair):
        raise UsageError(f"{name}={value!r} must be a positive whole number, or two of them (height, width).")
    return int(pair[0]), int(pair[1])


def _per_channel(name: str, value: float | Sequence[float], channels: int) -> tuple[float, ...]:
    values = tuple(float(v) for v in ([value] if isinstance(value, int | float) else value))
    values = values * channels if len(values) == 1 else values
    if channels == 1 and len(values) == 3 and len(set(values)) == 1:  # a gray network with the defaults of color
        values = values[:1]
    if len(values) != channels or not all(map(math.isfinite, values)):
        raise UsageError(f"{name}={value!r} must be {channels} number{'s' if channels > 1 else ''}, one per channel.")
    return values


def _fitting(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """A color statistic for a network of another number of channels: timm leaves three where one is needed."""
    if len(values) == channels:
        return tuple(values)
    return (sum(values) / len(values),) * channels
