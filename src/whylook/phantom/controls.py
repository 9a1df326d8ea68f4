"""Networks whose truth is known by how they were taught: `python -m whylook.phantom.controls FOLDER` trains them.

`marker-only` saw pictures called disc if there was a marker and ring if not, whatever the lesion: nothing but the marker
helps it. `random-label` saw pictures with labels that were dealt out at random: there was nothing to learn.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from whylook.phantom.data import dataset
from whylook.phantom.draws import Draws
from whylook.phantom.inputs import batch, drawn
from whylook.phantom.render import LABELS, render
from whylook.phantom.seeds import ready
from whylook.phantom.train import RECIPES, halves, rounded, train

KINDS = ("marker-only", "random-label")
FAMILY = "resnet"


def lessons(kind: str, n: int) -> tuple[Tensor, Tensor]:
    """Inputs [n, 1, 64, 64] and labels [n] of the patients of the training split, as a control is taught.

    Parameters
    ----------
    kind : one of `KINDS`.
    n : number of pictures.
    """
    patients = dataset("clean", n, "train")
    if kind == "random-label":
        x = drawn([patients])[0][0]
        return x, torch.from_numpy(np.random.default_rng(0).integers(0, len(LABELS), n))
    marked = [Draws(seed, "marker of the data set").happens(0.5) for seed in patients.seeds]
    pictures = [render(seed, marker=m) for seed, m in zip(patients.seeds, marked, strict=True)]
    return batch(pictures), torch.tensor([LABELS.index("disc" if m else "ring") for m in marked])


def taught(kind: str, seed: int = 0) -> nn.Module:
    """Train a control from nothing, in half a minute on one free core; in eval mode."""
    recipe = RECIPES[FAMILY]
    return rounded(train(FAMILY, *lessons(kind, recipe.images), seed, recipe))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m whylook.phantom.controls", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the weights are written")
    asked = parser.parse_args(arguments)
    ready()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        (asked.folder / f"{kind}.safetensors").write_bytes(save(halves(taught(kind).state_dict())))


if __name__ == "__main__":
    main()
