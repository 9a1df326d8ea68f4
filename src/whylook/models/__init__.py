"""Models: where they come from, and what is needed to feed them and to read their answers."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whylook.errors import UsageError
from whylook.models.sources import SOURCES, Source

if TYPE_CHECKING:
    from whylook.models.model import Model
    from whylook.preprocess import Preprocess

# Every file in this folder may hold sources; importing them registers those, and imports no torch.
for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def load_model(
    spec: Any,
    *,
    preprocess: Any = None,
    labels: Any = None,
    name: str | None = None,
    head: str | None = None,
    device: str | None = None,
    **options: Any,
) -> Model:
    """Load a model, with all that is needed to feed it.

    Parameters
    ----------
    spec : one of

        - an alias: `resnet50`, `vgg16`, `efficientnet_b0`, `mobilenet`, the four reference models;
        - a timm name, `hf-hub:OWNER/NAME` (or `hf:`), `local-dir:FOLDER`, `torchvision:NAME`, `phantom:NAME`;
        - an architecture (timm's, `torchvision:NAME`, `package.module:function`) with `checkpoint=FILE`, and whatever
          else `whylook.models.checkpoint.checkpoint_model` takes;
        - the path of a `model.toml`, or of a file of weights with `arch=NAME`;
        - `package.module:function`, which makes the network;
        - a `torch.nn.Module`, put into eval mode; with `preprocess`, unless timm made it;
        - a function `images -> scores` with `preprocess`, or `onnx:FILE` (or a path that ends in .onnx): black boxes,
          for methods that need neither gradients nor layers;
        - a `Model`.
    preprocess : a `Preprocess`, timm's data config (a dict), or torchvision's transforms, instead of the model's own.
    labels : class names, or a file of them (one per line, or JSON), instead of the model's own.
    name : what tables and reports call it.
    head : `sigmoid` for networks whose classes are each by themselves; `softmax` and `binary` (one output) are found.
    device : `auto`, `cpu`, `cuda`, `cuda:1`, `mps`: where to put the network; by default a network in memory stays
        where it is, others are on the CPU.
    options : what the source takes.

    Returns
    -------
    Model, its network in eval mode; a `Model` given comes back itself where nothing is to be changed.

    Raises
    ------
    ModelError
        If there is no such model, or its weights are not to be had or do not fit.
    UsageError
        If an argument cannot be right.
    """
    from whylook.models import labels as names
    from whylook.models import network as nets

    feeding = _preprocess(preprocess)
    model, left = _load(spec, options, {"preprocess": feeding, "labels": labels})
    change: dict[str, Any] = {}
    if left.get("preprocess") is not None:
        change["preprocess"] = feeding
        change["notes"] = tuple(n for n in model.notes if n != model.preprocess.origin)  # they told of the other
    if left.get("labels") is not None or head is not None:
        outputs = nets.classes(model.network, change.get("preprocess", model.preprocess))
        if left.get("labels") is not None:
            change["labels"] = names.read(labels, outputs)
        if head is not None:
            change["head"] = nets.head(outputs, head)
    if name is not None:
        change["name"] = name
    if device is not None:
        from whylook.engine.devices import pick

        model.network.to(pick(device))
    return replace(model, **change) if change else model


def _load(spec: Any, options: dict[str, Any], common: dict[str, Any]) -> tuple[Model, dict[str, Any]]:
    """The model, and those of the common arguments that its source did not take."""
    from whylook.models.model import Model

    if isinstance(spec, Model):
        if options:
            raise UsageError(f"A model that is loaded takes no further options ({', '.join(options)}).")
        return spec, common
    if not isinstance(spec, str | Path):
        from torch import nn

        kind = "function" if callable(spec) and not isinstance(spec, nn.Module | type) else "module"
        return _call(SOURCES[kind], spec, options, common)
    source, rest = _source(str(spec), options)
    model, left = _call(source, rest, options, common)
    from whylook.models.timm import ALIASES

    return (replace(model, name=str(spec)) if spec in ALIASES and source.name == "timm" else model), left


def _source(spec: str, options: dict[str, Any]) -> tuple[Source, str]:
    """Which source a text means, and what it is to be asked for."""
    from whylook.models.timm import ALIASES
    from whylook.models.weights import SUFFIXES

    prefix, colon, rest = spec.partition(":")
    if options.get("checkpoint") is not None:
        return SOURCES["checkpoint"], spec
    options.pop("checkpoint", None)
    if spec.lower().endswith(".toml"):
        return SOURCES["toml"], spec
    if spec.lower().endswith(".onnx") and not (colon and len(prefix) > 1):
        return SOURCES["onnx"], spec
    if spec.lower().endswith(SUFFIXES) and not (colon and len(prefix) > 1):
        if not options.get("arch"):
            raise UsageError(f"{spec} is a file of weights; say of what: --arch NAME --checkpoint {spec}.")
        options["checkpoint"] = spec
        return SOURCES["checkpoint"], str(options.pop("arch"))
    if prefix in ("hf-hub", "hf_hub", "hf", "local-dir"):
        return SOURCES["timm"], spec
    if not colon:
        return SOURCES["timm"], ALIASES.get(spec, spec)
    if prefix in SOURCES:
        return SOURCES[prefix], ALIASES.get(rest, rest) if prefix == "timm" else rest
    if "." in prefix or not get_close_matches(prefix, SOURCES.names(), cutoff=0.8):
        return SOURCES["factory"], spec
    return SOURCES[prefix], rest  # a slip of the pen: the registry says what was meant


def _call(source: Source, rest: Any, options: dict[str, Any], common: dict[str, Any]) -> tuple[Model, dict[str, Any]]:
    """Call a source with the options and with those of the common arguments that it names."""
    signature = inspect.signature(source.load)
    takes = {k: v for k, v in common.items() if k in signature.parameters}
    try:
        signature.bind(rest, **takes, **options)
    except TypeError as error:
        known = ", ".join(list(signature.parameters)[1:]) or "none"
        raise UsageError(f"The source {source.name} cannot take these options: {error}; it takes {known}.") from error
    return source.load(rest, **takes, **options), {k: v for k, v in common.items() if k not in takes}


def _preprocess(given: Any) -> Preprocess | None:
    """A `Preprocess` from ours, timm's config or torchvision's transforms."""
    from whylook.preprocess import Preprocess

    if given is None or isinstance(given, Preprocess):
        return given
    if isinstance(given, Mapping):
        return Preprocess.from_timm(given)
    return Preprocess.from_torchvision(given)


__all__ = ["SOURCES", "load_model"]
