"""A person's own weights in a file, for an architecture that is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whylook.errors import UsageError
from whylook.models import labels as names
from whylook.models import weights
from whylook.models.architecture import architecture, options_of
from whylook.models.feeding import settle
from whylook.models.network import classes, head
from whylook.models.sources import source

if TYPE_CHECKING:
    from whylook.models.model import Model
    from whylook.preprocess import Preprocess


@source("checkpoint", title="your own weights", example="--arch mobilenetv2_100 --checkpoint weights.safetensors")
def checkpoint_model(
    arch: str,
    *,
    checkpoint: str | Path,
    arch_options: Mapping[str, Any] | Iterable[str] | None = None,
    num_classes: int | None = None,
    in_chans: int | None = None,
    labels: Sequence[str] | str | Path | None = None,
    preprocess: Preprocess | None = None,
    mean: Sequence[float] | str | None = None,
    std: Sequence[float] | str | None = None,
    input_size: int | Sequence[int] | str | None = None,
    interpolation: str | None = None,
    crop: float | None = None,
    resize: int | None = None,
    crop_mode: str | None = None,
    scale: float | None = None,
    channel_order: str | None = None,
) -> Model:
    """Load a state dict (safetensors, or PyTorch with weights only) into an architecture.

    What is not given is read from the metadata of a safetensors file (`mean`, `std`, `input_size`, `interpolation`,
    `crop`, `resize`, `labels`, `num_classes`, `in_chans`, `arch_options`), then taken from what is usual for the
    architecture; the model's notes say which.

    Parameters
    ----------
    arch : a timm name, `torchvision:NAME`, or `package.module:function`.
    checkpoint : the file of weights.
    arch_options : further options of the architecture, as a mapping or as texts `name=value` (`pad_type=same`).
    num_classes, in_chans : of the architecture.
    labels : class names, or a file of them (one per line, or JSON).
    preprocess : all of the preprocessing at once; what follows is for saying parts of it.
    mean, std : per channel, of values in [0, 1].
    input_size : pixels, or (height, width).
    interpolation : `bilinear`, `bicubic`, ….
    crop : share of the shorter side that the center crop keeps, such as 0.875.
    resize : instead of `crop`, the shorter side's pixels before the crop.
    crop_mode : `center` (default), `squash` or `border`, as in timm.
    scale, channel_order : as in `Preprocess`; 255 and `bgr` for networks from Caffe.

    Raises
    ------
    ModelError
        If the file cannot be read, or does not fit the architecture.
    """
    from whylook.models.model import Model

    path = Path(checkpoint)
    stored = weights.read(path)
    told = stored.metadata
    num_classes = num_classes if num_classes is not None else _whole(told, "num_classes")
    in_chans = in_chans if in_chans is not None else _whole(told, "in_chans")
    options = options_of(arch_options)
    if arch_options is None and told.get("arch_options"):
        options = options_of(names.from_json(told["arch_options"]) or told["arch_options"].split())
    built = architecture(arch, num_classes=num_classes, in_chans=in_chans, **options)
    shell = weights.outline(built.build)
    fit = weights.fitted(
        stored, shell.state_dict(keep_vars=True), what=f"The weights in {path} and {arch}", network=shell
    )
    network = weights.fill(built.build, fit.state, shell)
    usual = built.preprocess(network)
    if preprocess is None:
        given = {
            "mean": mean, "std": std, "input_size": input_size, "interpolation": interpolation, "crop": crop,
            "resize": resize, "crop_mode": crop_mode, "scale": scale, "channel_order": channel_order,
        }  # fmt: skip
        preprocess = settle(given, told, usual, in_chans, arch)
    outputs = classes(network, preprocess)
    found, said = names.described(labels, told, network, outputs)
    return Model(
        name=path.stem,
        network=network,
        preprocess=preprocess,
        labels=found,
        head=head(outputs, None),
        source=f"{arch} with {path}",
        notes=tuple(n for n in (*fit.notes, *_claim(told, options), preprocess.origin, *said) if n),
    )


def _claim(told: Mapping[str, str], options: Mapping[str, Any]) -> list[str]:
    """What the file says of its architecture, next to what was asked for: a wrong padding type fits, and is wrong."""
    if not told.get("architecture"):
        return []
    used = ", ".join(f"{k}={v}" for k, v in options.items()) or "none"
    return [f"The file says it was made for {told['architecture']}; the architecture options here: {used}."]


def _whole(told: Mapping[str, str], name: str) -> int | None:
    text = told.get(name, "").strip()
    if text and not text.isdigit():
        raise UsageError(
            f"The file's metadata say {name}={text!r}, which is not a number; give --{name.replace('_', '-')}."
        )
    return int(text) if text else None
