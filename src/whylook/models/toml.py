"""A `model.toml` beside the weights: everything about a person's own model in one place."""

from __future__ import annotations

import inspect
import tomllib
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whylook.errors import ModelError
from whylook.models.checkpoint import checkpoint_model
from whylook.models.network import head
from whylook.models.sources import source

if TYPE_CHECKING:
    from whylook.models.model import Model


@source("toml", title="a model.toml beside the weights", example="path/to/model.toml")
def toml_model(file: str | Path, *, preprocess: Any = None, labels: Any = None) -> Model:
    """Load the model that a TOML file describes.

    Parameters
    ----------
    file : TOML with `arch`, `checkpoint`, and any of `arch_options` (a table), `num_classes`, `in_chans`, `labels` (a
        list or a file), `mean`, `std`, `input_size`, `interpolation`, `crop`, `resize`, `crop_mode`, `scale`,
        `channel_order`, `name`, `head`. Paths in it are relative to its folder.
    preprocess, labels : instead of those in the file.

    Raises
    ------
    ModelError
        If the file cannot be read, or says something that is not understood.
    """
    path = Path(file)
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ModelError(f"The model file {path} is not there.") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"The model file {path} cannot be read: {error}.") from error
    known = [n for n in inspect.signature(checkpoint_model).parameters if n != "preprocess"] + ["name", "head"]
    for key in told:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it may say {', '.join(known)}."
            raise ModelError(f"The model file {path} says {key}, which is not known; {hint}")
    for key in ("arch", "checkpoint"):
        if not isinstance(told.get(key), str):
            raise ModelError(f"The model file {path} must say {key}, as a text.")
    told["checkpoint"] = path.parent / told["checkpoint"]
    if isinstance(told.get("labels"), str):
        told["labels"] = path.parent / told["labels"]
    told["labels"] = labels if labels is not None else told.get("labels")
    name, wanted = told.pop("name", None), told.pop("head", None)
    model = checkpoint_model(told.pop("arch"), preprocess=preprocess, **told)
    outputs = 1 if model.head == "binary" else 2
    return replace(
        model, name=name or _stem(path), head=head(outputs, wanted) if wanted else model.head, source=str(path)
    )


def name_of(file: str | Path) -> str:
    """Return what the model of a `model.toml` is called, without loading it; for a file that cannot be read, by its place."""
    path = Path(file)
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("name")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        told = None
    return str(told) if told else _stem(path)


def _stem(path: Path) -> str:
    return path.parent.resolve().name if path.stem == "model" else path.stem
