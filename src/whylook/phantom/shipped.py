"""The weights that come with the package, and the table of figures measured when they were trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whylook.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

FOLDER = Path(__file__).with_name("weights")
KINDS = ("clean", "shortcut")
FAMILIES = ("resnet", "vgg", "efficientnet", "mobilenet")
NAMES = tuple(family + suffix for family in FAMILIES for suffix in ("", "-shortcut"))


def parts(name: str) -> tuple[str, str]:
    """Split `vgg-shortcut` into its family and what it was trained on, `shortcut` or `clean`.

    Raises
    ------
    ModelError
        If there is no such network; the message names those there are.
    """
    if name not in NAMES:
        raise ModelError(f"There is no embedded network {name!r}; there are {', '.join(NAMES)}.")
    family, _, kind = name.partition("-")
    return family, kind or "clean"


def path(name: str) -> Path:
    """Where the weights of an embedded network lie."""
    return FOLDER / f"{name}.safetensors"


def table() -> dict[str, Any]:
    """Return the measured figures: the recipe, and for every network one row per training seed and the one shipped."""
    measured: dict[str, Any] = json.loads((FOLDER / "table.json").read_text(encoding="utf-8"))
    return measured


def network(name: str) -> nn.Module:
    """Return an embedded network with its weights, float32, in eval mode.

    Raises
    ------
    ModelError
        If there is no such network, or its weights are missing from the installation.
    """
    family, _ = parts(name)
    file = path(name)
    if not file.is_file():
        raise ModelError(f"The weights {file} are missing from this installation; install whylook again.")
    return read(family, file)


def read(family: str, file: Path) -> nn.Module:
    """Return a network of one of `FAMILIES` with the weights in a file, float32, in eval mode."""
    from safetensors.torch import load_file

    from whylook.phantom.networks import build

    net = build(family)
    own = net.state_dict()
    net.load_state_dict({key: value.to(own[key].dtype) for key, value in load_file(file).items()})
    return net.eval()
