"""Names of classes: ImageNet's, or those of a file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from whylook.errors import ModelError


@cache
def imagenet() -> tuple[str, ...]:
    """The 1,000 class names of ImageNet-1k in the usual order (0 is tench), each one unique."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    return unique([info.index_to_description(i) for i in range(info.num_classes())])


def unique(descriptions: Sequence[str]) -> tuple[str, ...]:
    """Shorten `a, b, c` to `a` where that names one class only; number those that are alike altogether."""
    short = [d.partition(",")[0].strip() for d in descriptions]
    seen = Counter(short)
    full = [s if seen[s] == 1 else d for s, d in zip(short, descriptions, strict=True)]
    seen = Counter(full)
    return tuple(f if seen[f] == 1 else f"{f} ({i})" for i, f in enumerate(full))


def of_timm(network: Any, classes: int) -> tuple[str, ...] | None:
    """Class names that timm knows for a network, by its pretrained config or its data set; None if there are none."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    config = getattr(network, "pretrained_cfg", None) or {}
    names = config.get("label_names")
    if isinstance(names, Mapping):
        names = [names[key] for key in sorted(names, key=int)]
    if names and len(names) == classes:
        said = config.get("label_descriptions") or {}
        return unique([str(said.get(n, n)) for n in names])
    if classes == 1000:
        return imagenet()
    try:
        subset = infer_imagenet_subset(config)
        info = ImageNetInfo(subset) if subset else None
    except (KeyError, ValueError, AssertionError, TypeError):
        return None
    if info is None or info.num_classes() != classes:
        return None
    return unique([info.index_to_description(i) for i in range(classes)])


def read(labels: Any, classes: int) -> tuple[str, ...]:
    """Class names from a sequence, or from a file: one per line, a JSON list, or a JSON object by index.

    Parameters
    ----------
    labels : sequence of names, or path of the file.
    classes : how many there must be (one-output networks: two, or the one of the positive class).

    Raises
    ------
    ModelError
        If the file cannot be read, or holds another number of names.
    """
    where = "The labels"
    if isinstance(labels, str | Path):
        where, labels = str(labels), _file(Path(labels))
    names = tuple(str(n) for n in labels)
    wanted = 2 if classes == 1 else classes
    if wanted == 2 and len(names) == 1:
        names = (f"not {names[0]}", names[0])
    if len(names) != wanted:
        raise ModelError(f"{where} hold {len(names)} names, but the model has {wanted} classes.")
    return names


def described(
    labels: Any, told: Mapping[str, str], network: Any, outputs: int
) -> tuple[tuple[str, ...] | None, list[str]]:
    """Class names from what a person or a file says, or else by their number; and what was assumed about them.

    Parameters
    ----------
    labels : names or a file of them, or None.
    told : a file's metadata.
    network : of timm, or any other.
    outputs : how many there are.
    """
    if labels is not None:
        return read(labels, outputs), []
    text = told.get("labels", "")
    listed = from_json(text)
    if isinstance(listed, list) and len(listed) == outputs:
        return tuple(map(str, listed)), ["Class names from the file's metadata."]
    known = of_timm(network, outputs)
    if known is None and outputs == 1000:
        known = imagenet()
    if known is None:
        return None, ["No class names are known; classes are called by their number (--labels FILE names them)."]
    if "imagenet" in text.lower():
        return known, [f"Class names of ImageNet, as the file's metadata say ({text})."]
    return known, [f"No class names were given; with {outputs} classes, ImageNet's in their usual order are assumed."]


def from_json(text: str) -> Any:
    """Return what a JSON text holds, or None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _file(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ModelError(f"The labels file {path} is not there.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"The labels file {path} cannot be read: {error}.") from error
    if path.suffix.lower() != ".json" and not text.lstrip().startswith(("[", "{")):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        data = json.loads(text)
        if isinstance(data, Mapping):
            if sorted(int(k) for k in data) != list(range(len(data))):
                raise ModelError(f"The labels file {path} must name the classes 0 to {len(data) - 1}, without gaps.")
            data = [data[key] for key in sorted(data, key=int)]
        # ImageNet's usual file: "0": ["n01440764", "tench"]
        return [str(n[-1] if isinstance(n, list) and n else n) for n in data]
    except (ValueError, TypeError) as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise ModelError(f"The labels file {path} is not a JSON list of names: {reason}.") from error
