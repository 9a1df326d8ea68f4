"""The networks of every training seed, trained when they are first asked for and kept in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from whylook.phantom import shipped
from whylook.phantom.data import dataset
from whylook.phantom.inputs import drawn
from whylook.phantom.train import RECIPES, halves, rounded, train


def trained(
    folder: Path, seeds: Iterable[int], families: Sequence[str] = shipped.FAMILIES
) -> Iterator[tuple[str, int, nn.Module]]:
    """Yield `(name, seed, network)` for both kinds of each family and every seed, in eval mode.

    What lies in `folder` is read; what does not is trained (half a minute each, on one thread) and written there whole
    or not at all, so that a run that was broken off goes on where it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lessons: dict[str, tuple[Tensor, Tensor]] = {}
    for seed in seeds:
        for family in families:
            for kind in shipped.KINDS:
                name = family if kind == "clean" else f"{family}-{kind}"
                file = folder / f"{name}-{seed}.safetensors"
                if not file.is_file():
                    if not lessons:
                        most = max(recipe.images for recipe in RECIPES.values())
                        both = drawn([dataset(k, most, "train") for k in shipped.KINDS])
                        lessons = dict(zip(shipped.KINDS, both, strict=True))
                    recipe = RECIPES[family]
                    x, y = (part[: recipe.images] for part in lessons[kind])
                    network = rounded(train(family, x, y, seed, recipe))
                    unfinished = file.with_suffix(".part")
                    unfinished.write_bytes(save(halves(network.state_dict())))
                    unfinished.replace(file)
                yield name, seed, shipped.read(family, file)


def ready() -> None:
    """Make training the same wherever it is broken off: one thread, deterministic kernels."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
