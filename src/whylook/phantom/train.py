"""Trains the embedded networks from nothing and measures them: `python -m whylook.phantom.train`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from whylook.phantom import shipped
from whylook.phantom.data import dataset
from whylook.phantom.inputs import drawn
from whylook.phantom.measure import Exam, exam, measure
from whylook.phantom.networks import build
from whylook.phantom.page import write_table

State = dict[str, Tensor]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: AdamW with a one-cycle learning rate and smoothed labels, no augmentation."""

    epochs: int
    learning_rate: float = 4e-3
    images: int = 3000
    batch: int = 16
    weight_decay: float = 0.01
    label_smoothing: float = 0.05  # bounds the margins, so that a drop is not the noise of an overconfident network


RECIPES = {
    "resnet": Recipe(epochs=3),
    "vgg": Recipe(epochs=6, learning_rate=2e-3),  # without normalization layers it does not start at 4e-3
    "efficientnet": Recipe(epochs=3),
    "mobilenet": Recipe(epochs=4),
}


def train(family: str, x: Tensor, y: Tensor, seed: int, recipe: Recipe) -> nn.Module:
    """Return a trained network in eval mode.

    Parameters
    ----------
    family : one of `shipped.FAMILIES`.
    x, y : inputs [n, 1, 64, 64] and labels [n].
    seed : of the initial weights and of the order of the pictures.
    recipe : how.
    """
    torch.manual_seed(seed)
    network = build(family).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * -(-len(x) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps)
    for _ in range(recipe.epochs):
        for rows in torch.split(torch.randperm(len(x)), recipe.batch):
            loss = nn.functional.cross_entropy(network(x[rows]), y[rows], label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return network.to(memory_format=torch.contiguous_format).eval()


def typical(rows: Sequence[dict[str, Any]]) -> int:
    """Index of the row to ship: the median by the marker's drop in discs, not the best.

    Ties are broken by the drop when the lesion is taken away; of an even number the lower of the middle two is taken.
    """

    def rank(i: int) -> tuple[float, float]:
        return rows[i]["drop"]["marker"]["mean"], rows[i]["drop"]["lesion"]["mean"]

    return sorted(range(len(rows)), key=rank)[(len(rows) - 1) // 2]


def run(seeds: int, families: Sequence[str], folder: Path, test: Exam) -> dict[str, Any]:
    """Train every network `seeds` times, write the typical ones and the table; return the table."""
    networks = {}
    most = max(RECIPES[family].images for family in families)
    lessons = drawn([dataset(kind, most, "train") for kind in shipped.KINDS])
    for kind, (x, y) in zip(shipped.KINDS, lessons, strict=True):
        for family in families:
            states, rows = [], []
            for seed in range(seeds):
                began = time.perf_counter()
                recipe = RECIPES[family]
                network = rounded(train(family, x[: recipe.images], y[: recipe.images], seed, recipe))
                rows.append({"seed": seed, **measure(network, test)})
                states.append(network.state_dict())
                _say(f"{family} {kind} {json.dumps(rows[-1])} {time.perf_counter() - began:.0f} s")
            kept = typical(rows)
            name = family if kind == "clean" else f"{family}-{kind}"
            (folder / f"{name}.safetensors").write_bytes(save(halves(states[kept])))
            networks[name] = {
                "family": family,
                "kind": kind,
                "parameters": sum(p.numel() for p in build(family).parameters()),
                "shipped": rows[kept]["seed"],
                "seeds": rows,
            }
    recipes = {family: asdict(RECIPES[family]) for family in families}
    sizes = {"test_images": len(test.sets["aligned"][1]), "quadruples": len(test.labels)}
    return {**sizes, "recipes": recipes, "networks": networks}


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return a table with the new families' entries, and the old ones' where there is no new one, in fixed order."""
    recipes = {**old.get("recipes", {}), **new["recipes"]}
    networks = {**old.get("networks", {}), **new["networks"]}
    return {
        **new,
        "recipes": {family: recipes[family] for family in shipped.FAMILIES if family in recipes},
        "networks": {name: networks[name] for name in shipped.NAMES if name in networks},
    }


def halves(state: State) -> State:
    """Weights as they are stored: floats in half precision."""
    return {key: value.half() if value.is_floating_point() else value for key, value in state.items()}


def rounded(network: nn.Module) -> nn.Module:
    """Round the weights to what is stored, so that what is measured is what is shipped."""
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.half())
    return network


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m whylook.phantom.train", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="trainings per network; the typical one is kept")
    parser.add_argument(
        "--family", action="append", choices=shipped.FAMILIES, help="only this one (can be repeated); the rest stays"
    )
    parser.add_argument("--output", type=Path, default=shipped.FOLDER, help="folder for weights and table.json")
    asked = parser.parse_args(arguments)

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    asked.output.mkdir(parents=True, exist_ok=True)
    families = [f for f in shipped.FAMILIES if asked.family is None or f in asked.family]
    table = run(asked.seeds, families, asked.output, exam())
    file = asked.output / "table.json"
    old = (
        json.loads(file.read_text(encoding="utf-8")) if file.is_file() and len(families) < len(shipped.FAMILIES) else {}
    )
    table = merged(old, table)
    file.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    if asked.output == shipped.FOLDER:
        write_table(table)


if __name__ == "__main__":
    main()
