"""Networks of timm: its registry, the Hugging Face Hub, and local folders."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whylook.errors import ModelError, UsageError
from whylook.models import labels, weights
from whylook.models.network import classes, head
from whylook.models.online import obstacle
from whylook.models.sources import source

if TYPE_CHECKING:
    from torch import nn

    from whylook.models.model import Model
    from whylook.preprocess import Preprocess

# The reference models, pinned to weights whose softmax is a confidence: none was trained with a sigmoid per class.
ALIASES = {
    "resnet50": "resnet50.tv_in1k",
    "vgg16": "vgg16.tv_in1k",
    "efficientnet_b0": "efficientnet_b0.ra_in1k",
    "mobilenet": "mobilenetv1_100.ra4_e3600_r224_in1k",
}
# What is known of their training beside the sizes, which timm's config holds.
_RECIPES = {
    "resnet50.tv_in1k": "Trained on ImageNet-1k by torchvision's first recipe, with cross-entropy.",
    "vgg16.tv_in1k": "Trained on ImageNet-1k by torchvision's first recipe, with cross-entropy.",
    "efficientnet_b0.ra_in1k": "Trained on ImageNet-1k by timm's RandAugment recipe, with smoothed cross-entropy.",
    "mobilenetv1_100.ra4_e3600_r224_in1k": "Trained on ImageNet-1k by timm's recipe after MobileNet-V4.",
}
# Recipes of "ResNet strikes back" (arXiv:2110.00476) that train each class by itself.
_BINARY_RECIPES = ("a1", "a1h", "a2", "a3")
_FILES = ("model.safetensors", "pytorch_model.bin")


@source("timm", title="timm's pretrained networks", example="resnet50.tv_in1k, hf-hub:OWNER/NAME, local-dir:FOLDER")
def timm_model(name: str, *, test_size: bool = False, **options: Any) -> Model:
    """Load a pretrained network by its timm name, `hf-hub:OWNER/NAME` or `local-dir:FOLDER`.

    Parameters
    ----------
    name : timm's name, with or without a tag, or one of the two prefixes and what they need.
    test_size : feed it at the larger size it is recommended to be tested at, where it has one.
    options : passed on to `timm.create_model` (`in_chans`, `img_size`, `pad_type`, …).

    Returns
    -------
    Model, fed by the preprocessing of its own pretrained config.

    Raises
    ------
    ModelError
        If there is no such network, or its weights are neither on this machine nor to be had.
    """
    if "num_classes" in options:
        raise UsageError("Pretrained weights bring their own classes; num_classes belongs to --arch and --checkpoint.")
    prefix, _, rest = name.partition(":")
    notes: list[str] = []
    if prefix in ("hf-hub", "hf_hub", "hf"):
        folder = _hub_folder(rest)
        return _model(f"local-dir:{folder}", _in_folder(folder), f"hf-hub:{rest}", test_size, options, notes)
    if prefix == "local-dir":
        folder = Path(rest)
        return _model(name, _in_folder(folder), name, test_size, options, notes)
    config = pretrained_config(name)
    full = ".".join(str(config[k]) for k in ("architecture", "tag") if config.get(k))
    if full != name:
        notes.append(f"{name} without a tag is {full}, timm's default.")
    notes += [_RECIPES[full]] if full in _RECIPES else []
    tag = str(config.get("tag") or "")
    if tag.partition("_")[0] in _BINARY_RECIPES and tag.endswith("in1k"):
        notes.append("It was trained with one sigmoid per class, so its softmax is not the confidence it learned.")
    return _model(full, _file(full, config), f"timm:{full}", test_size, options, notes)


def pretrained_config(name: str) -> dict[str, Any]:
    """Timm's pretrained config of `name`; an unknown architecture or tag raises `ModelError` with the nearest ones."""
    import timm

    arch = name.partition(".")[0]
    if not timm.is_model(arch):
        near = get_close_matches(arch, timm.list_models(), n=3, cutoff=0.7)
        hint = f"did you mean {' or '.join(near)}?" if near else "`timm.list_models()` lists those there are."
        raise ModelError(f"timm has no architecture called {arch!r}; {hint}")
    try:
        config = timm.get_pretrained_cfg(name)
    except (RuntimeError, ValueError, KeyError):
        config = None
    if config is None:
        known = ", ".join(timm.list_pretrained(f"{arch}.*")) or "none"
        raise ModelError(f"timm has no weights called {name!r}; of {arch} it has: {known}.")
    return {**config.to_dict(), "architecture": arch}


def _model(name: str, file: Path, origin: str, test_size: bool, options: Mapping[str, Any], notes: list[str]) -> Model:
    from whylook.models.model import Model

    network = _network(name, file, options)
    preprocess = _preprocess(network, options, test_size)
    outputs = classes(network, preprocess)
    return Model(
        name=origin,
        network=network,
        preprocess=preprocess,
        labels=labels.of_timm(network, outputs),
        head=head(outputs, None),
        source=origin,
        notes=(*notes, *_size_notes(network.pretrained_cfg, preprocess)),
    )


def _network(name: str, file: Path, options: Mapping[str, Any]) -> nn.Module:
    """The network with the weights of `file`: as they are where they fit at once, else brought to fit by timm."""
    import timm

    def build() -> nn.Module:
        return timm.create_model(name, pretrained=False, **options)  # type: ignore[no-any-return]

    try:
        if file.suffix != ".npz":
            state = weights.read(file).state
            shell = weights.outline(build)
            own = shell.state_dict()
            if own.keys() == state.keys() and all(own[k].shape == state[k].shape for k in own):
                return weights.fill(build, state, shell)
        overlay = {} if name.startswith("local-dir:") else {"pretrained_cfg_overlay": {"file": str(file)}}
        return timm.create_model(name, pretrained=True, **overlay, **options).eval()  # type: ignore[no-any-return]
    except TypeError as error:
        raise UsageError(f"{name} does not take these options: {error}.") from error
    except (RuntimeError, KeyError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ModelError(f"The weights in {file} could not be put into {name}: {reason}.") from error


def _preprocess(network: nn.Module, options: Mapping[str, Any], test_size: bool) -> Preprocess:
    from whylook.preprocess import Preprocess

    preprocess = Preprocess.from_timm(network, test_size=test_size)
    if "img_size" not in options and options.get("in_chans", preprocess.channels) == preprocess.channels:
        return preprocess
    config: dict[str, Any] = dict(network.pretrained_cfg)  # type: ignore[arg-type]
    size = options.get("img_size", preprocess.input_size)
    height, width = (size, size) if isinstance(size, int) else size
    config["input_size"] = (options.get("in_chans", preprocess.channels), height, width)
    return replace(Preprocess.from_timm(config), origin=f"{preprocess.origin[:-1]}, at the input size asked for.")


def _size_notes(config: Any, used: Preprocess) -> list[str]:
    train, test = config.get("input_size"), config.get("test_input_size")
    fed = "{}×{}".format(*used.input_size)
    if not train:
        return []
    said = "Trained at {1}×{2}".format(*train)
    if test and tuple(test) != tuple(train):
        return [f"{said}, recommended for tests at {{1}}×{{2}}; fed at {fed} here.".format(*test)]
    return [f"{said}; fed at {fed} here."]


def _in_folder(folder: Path) -> Path:
    """The file of weights in a folder as timm saves it."""
    if not folder.is_dir():
        raise ModelError(f"The folder {folder} is not there.")
    if not (folder / "config.json").is_file():
        raise ModelError(f"The folder {folder} holds no config.json, so it is not a model that timm saved.")
    for pattern in (*_FILES, "*.safetensors", "*.pth", "*.bin"):
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
    raise ModelError(f"The folder {folder} holds no weights (model.safetensors or pytorch_model.bin).")


def _hub_folder(repo: str) -> Path:
    """The folder of the cache that holds a Hub repository's config and weights, fetched if they are not in it."""
    config = _hub_file(repo, ("config.json",), f"hf-hub:{repo}", "--arch NAME")
    file = _hub_file(repo, _FILES, f"hf-hub:{repo}", "--arch NAME")
    if config.parent != file.parent:
        raise ModelError(f"The cache holds {repo} in parts of two revisions; fetch it anew with `hf download {repo}`.")
    return config.parent


def _file(name: str, config: Mapping[str, Any]) -> Path:
    """The file of a registry network's weights, from the cache or fetched."""
    repo, arch = config.get("hf_hub_id"), str(config["architecture"])
    if repo:
        filename = config.get("hf_hub_filename")
        files = (str(filename),) if filename else _FILES
        return _hub_file(str(repo), files, name, f"--arch {arch}")
    url = config.get("url")
    if not url:
        import timm

        known = [n for n in timm.list_pretrained(f"{arch}.*") if n != name]
        hint = f"it has {', '.join(known)}" if known else f"give your own with --arch {arch} --checkpoint FILE"
        raise ModelError(f"timm has no weights for {name}; {hint}.")
    return url_file(str(url), name, f"--arch {arch}")


def _hub_file(repo: str, files: tuple[str, ...], name: str, arch: str) -> Path:
    """The first of `files` that the cache holds, or else that the Hub has."""
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError

    repo, _, revision = repo.partition("@")
    for file in files:
        found = try_to_load_from_cache(repo, file, revision=revision or None)
        if isinstance(found, str):
            return Path(found)
    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    why = obstacle(f"{endpoint.rstrip('/')}/{repo}/resolve/{revision or 'main'}/{files[0]}")
    if why is None:
        for file in files:
            try:
                return Path(hf_hub_download(repo, file, revision=revision or None))
            except EntryNotFoundError:
                why = f"{repo} has no {' or '.join(files)}"
            except Exception as error:  # noqa: BLE001 - whatever the download met, it is one thing to the person
                why = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
                break
    raise ModelError(
        f"The weights of {name} are not in the cache ({constants.HF_HUB_CACHE}) and cannot be fetched: {why}. "
        f"Run `hf download {repo}` where there is a connection, give a file you have with {arch} --checkpoint FILE, "
        "or use an embedded network (phantom:resnet), which needs no download."
    )


def url_file(url: str, name: str, arch: str) -> Path:
    """The file in torch.hub's cache that `url` names, fetched if it is not there."""
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rpartition("/")[2]
    if path.is_file():
        return path
    why = obstacle(url)
    if why is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            digest = re.search(r"-([a-f0-9]{8,})\.", path.name)  # the name carries the beginning of its SHA-256
            torch.hub.download_url_to_file(url, str(path), digest.group(1) if digest else None)
            return path
        except Exception as error:  # noqa: BLE001 - whatever the download met, it is one thing to the person
            why = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
    raise ModelError(
        f"The weights of {name} are not in the cache ({path}) and cannot be fetched: {why}. "
        f"Put the file of {url} there, give a file you have with {arch} --checkpoint FILE, "
        "or use an embedded network (phantom:resnet), which needs no download."
    )
