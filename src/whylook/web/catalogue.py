"""The models that a client may name: the reference models, the embedded networks, and what was configured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from whylook.errors import ModelError, UsageError, WhylookError
from whylook.models.online import offline
from whylook.models.timm import ALIASES
from whylook.phantom.shipped import FAMILIES, NAMES

if TYPE_CHECKING:
    from whylook.models.model import Model

Source = Literal["reference", "phantom", "configured"]
NOT_FETCHED = "this server fetches nothing"


@dataclass(frozen=True)
class Entry:
    """A model that may be named: `spec` is what `load_model` is given for it."""

    name: str
    spec: str
    source: Source


class Catalogue:
    """Which models there are.

    Parameters
    ----------
    configured : what was given with -m: names that `load_model` takes, or paths of a `model.toml`.
    device : where they are put.

    Raises
    ------
    UsageError
        If two of them have the same name.
    """

    def __init__(self, configured: Iterable[str], device: str) -> None:
        self._device = device
        self._entries: dict[str, Entry] = {}
        for name in ALIASES:
            self._entries[name] = Entry(name, name, "reference")
        for name in NAMES:
            self._entries[f"phantom:{name}"] = Entry(f"phantom:{name}", f"phantom:{name}", "phantom")
        given: set[str] = set()
        for spec in dict.fromkeys(configured):
            name = _name(spec)
            if name in given or (name != spec and name in self._entries):
                raise UsageError(f"Two models are called {name!r}; give one of them another name in its model.toml.")
            given.add(name)
            self._entries[name] = Entry(name, spec, "configured")
        self._known: dict[str, dict[str, Any]] = {}
        self._labels: dict[str, tuple[str, ...]] = {}
        self._failed: dict[str, str] = {}  # why a configured model could not be loaded

    def names(self) -> tuple[str, ...]:
        """Return the names of all models."""
        return tuple(self._entries)

    def entry(self, name: str) -> Entry:
        """Return the model called `name`; an unknown name raises `UsageError`."""
        if name not in self._entries:
            near = get_close_matches(name, self._entries, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(self._entries)}."
            raise UsageError(f"There is no model {name!r} on this server; {hint}")
        return self._entries[name]

    def load(self, name: str) -> Model:
        """Load a model from this machine; nothing is fetched.

        Raises
        ------
        UsageError
            If there is no such model.
        ModelError
            If its weights are not on this machine.
        """
        from dataclasses import replace

        from whylook.models import load_model

        entry = self.entry(name)
        with offline(NOT_FETCHED):
            if entry.source == "reference" and (remedy := self._remedy(entry)) is not None:
                raise ModelError(remedy)
            try:
                model = load_model(entry.spec, device=self._device)
            except WhylookError as error:
                self._failed[name] = str(error)
                raise
        self._failed.pop(name, None)
        self._known[name] = facts = _facts(model)
        self._labels[name] = tuple(model.label(i) for i in range(facts["classes"]))
        return model if model.name == name else replace(model, name=name)

    def listing(self) -> list[dict[str, Any]]:
        """Return what is known of each model, ready for JSON; looks for weights, loads nothing."""
        rows = [self._row(entry) for entry in self._entries.values()]
        chosen = set(self.chosen(rows))
        return [{**row, "chosen": row["name"] in chosen} for row in rows]

    def unknown(self) -> list[Entry]:
        """Return the configured models of which nothing is known, for they were never loaded."""
        return [e for e in self._entries.values() if e.source == "configured" and e.name not in self._known]

    def labels(self, name: str) -> tuple[str, ...] | None:
        """Return the names of a model's classes, or None where they are not known before it is loaded."""
        entry = self.entry(name)
        if entry.source == "phantom":
            from whylook.phantom.render import LABELS

            return LABELS
        if entry.source == "reference":
            from whylook.models.labels import imagenet

            return imagenet()
        return self._labels.get(name)

    @staticmethod
    def chosen(rows: Iterable[dict[str, Any]]) -> list[str]:
        """Return the default choice: what was configured, else the reference models, else the clean embedded networks."""
        there = [row for row in rows if row["available"]]
        for source in ("configured", "reference"):
            if names := [row["name"] for row in there if row["source"] == source]:
                return names
        return [f"phantom:{family}" for family in FAMILIES]

    def _row(self, entry: Entry) -> dict[str, Any]:
        remedy = self._remedy(entry)
        facts = self._known.get(entry.name) or _told(entry)
        return {
            "name": entry.name,
            "title": facts["title"],
            "family": facts["family"],
            "source": entry.source,
            "available": remedy is None,
            "remedy": remedy,
            "input": facts["input"],
            "classes": facts["classes"],
        }

    def _remedy(self, entry: Entry) -> str | None:
        """What to do for a model that cannot be loaded, or None."""
        if entry.source != "reference":
            return self._failed.get(entry.name)
        from huggingface_hub import try_to_load_from_cache

        from whylook.models.timm import pretrained_config

        repo = str(pretrained_config(ALIASES[entry.name]).get("hf_hub_id") or "")
        files = ("model.safetensors", "pytorch_model.bin")
        if any(isinstance(try_to_load_from_cache(repo, file), str) for file in files):
            return None
        return (
            f"The weights of {entry.name} are not on this machine. Run `hf download {repo}` where there is a "
            "connection, then load this page again."
        )


def _name(spec: str) -> str:
    if spec.lower().endswith(".toml"):
        from whylook.models.toml import name_of

        return name_of(spec)
    if spec.lower().endswith(".onnx"):
        return Path(spec.removeprefix("onnx:")).stem
    return spec


def _facts(model: Model) -> dict[str, Any]:
    """What is shown of a model that is loaded."""
    from whylook.models.network import classes

    count = len(model.labels) if model.labels is not None else classes(model.network, model.preprocess)
    return {
        "title": model.name,
        "family": type(model.network).__name__,
        "input": list(model.preprocess.input_size),
        "classes": max(2, count),
    }


def _told(entry: Entry) -> dict[str, Any]:
    """What is shown of a model that is not."""
    if entry.source == "phantom":
        from whylook.phantom.inputs import PREPROCESS
        from whylook.phantom.render import LABELS
        from whylook.phantom.shipped import parts

        family, kind = parts(entry.name.partition(":")[2])
        learned = "learned the lesion" if kind == "clean" else "learned the marker"
        title = f"embedded {_FAMILY.get(family, family)} that {learned}"
        return {"title": title, "family": family, "input": list(PREPROCESS.input_size), "classes": len(LABELS)}
    if entry.source == "reference":
        from whylook.models.timm import pretrained_config

        config = pretrained_config(ALIASES[entry.name])
        family = str(config["architecture"])
        title = _REFERENCE.get(entry.name, entry.name)
        size = [int(v) for v in config["input_size"][1:]]
        return {"title": title, "family": family, "input": size, "classes": int(config["num_classes"])}
    return {"title": entry.name, "family": "", "input": None, "classes": None}


_FAMILY = {"resnet": "ResNet", "vgg": "VGG", "efficientnet": "EfficientNet", "mobilenet": "MobileNet"}
_REFERENCE = {
    "resnet50": "ResNet-50",
    "vgg16": "VGG-16",
    "efficientnet_b0": "EfficientNet-B0",
    "mobilenet": "MobileNet",
}
