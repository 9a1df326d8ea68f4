"""Freezes the thresholds of the trust card on pictures with known truth: `python -m whylook.phantom.calibrate`.

A map is *right* where it is dense on the component that the network rests on: the one without which the answer falls
furthest when the same patient is drawn without it. A map is *blind* where it cannot know the network: numbers drawn by
lot, the method's map of the same network with random weights, and the other dummies. Thresholds are laid so that 5 % of
the blind ones pass; how often they are wrong is measured on training seeds (and patients) that were left out.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from whylook.errors import Unsupported
from whylook.evaluate import cases, dummy_cases
from whylook.explainer import explain
from whylook.explanation import Explanation, Map
from whylook.image import load_image
from whylook.metrics import Case, Score, measure
from whylook.metrics.grids import entire
from whylook.metrics.metric import Floats
from whylook.metrics.region import Region
from whylook.models.model import Model
from whylook.phantom import shipped
from whylook.phantom.data import Quadruple, quadruples
from whylook.phantom.inputs import PREPROCESS, batch
from whylook.phantom.measure import margin
from whylook.phantom.page import write_between
from whylook.phantom.rank import COMPONENTS
from whylook.phantom.render import LABELS
from whylook.phantom.seeds import ready, trained
from whylook.phantom.thresholds import frozen, markdown
from whylook.randomize import forgetting
from whylook.trustcard import measured, verdicts
from whylook.trustcard.measured import USUAL, Plan
from whylook.trustcard.reliance import falls_of_copies, reliance
from whylook.trustcard.second import candidates
from whylook.trustcard.warn import empty

METHODS = (
    "gradient", "input-x-gradient", "integrated-gradients", "grad-cam", "hirescam", "layercam", "lrp", "guided-backprop",
    "occlusion",
)  # fmt: skip
PAGE = Path(__file__).parents[3] / "docs" / "trust.md"
_TWIN = 1_000_003  # seed of the random weights whose maps are passed off as the network's
_LEAST = Plan(draws=1, flip=False, left=None)  # for maps of which only the card's verdict is asked
Row = dict[str, Any]


def measure_all(networks: Iterable[tuple[str, int, nn.Module]], patients: int, file: Path) -> list[Row]:
    """Measure what `file` (one JSON document a line) does not hold yet; return all of it.

    Every network has patients of its own, so that leaving out a training seed leaves out its patients, too.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []
    there = {(row["network"], row["seed"], row["patient"]) for row in rows}
    for name, seed, network in networks:
        for number in range(patients):
            patient = 1000 * seed + 100 * shipped.NAMES.index(name) + number
            if (name, seed, patient) in there:
                continue
            found = list(_one(name, seed, patient, network))
            with file.open("a", encoding="utf-8") as stream:  # all of a picture, or nothing
                stream.write("".join(json.dumps(row) + "\n" for row in found))
            rows += found
            sys.stderr.write(f"{name} {seed}: patient {patient}, {len(found)} maps\n")
    return rows


def _one(name: str, seed: int, patient: int, network: nn.Module) -> Iterator[Row]:
    four = quadruples(patient + 1)[patient]
    target, drops, probability = _answer(network, four)
    about = {
        "network": name, "seed": seed, "patient": patient, "drops": drops, "probability": probability,
        "right answer": target == four.whole.label,
    }  # fmt: skip
    image = load_image(four.whole.pixels)
    regions = {c: Region.of(four.whole.scoring_mask(c), PREPROCESS.geometry(image)) for c in COMPONENTS}
    x = batch(four)[:1]
    drawn = next(iter(forgetting(network, x, seed=_TWIN)))[1]
    explanation = explain(image, Model(name, network, PREPROCESS, LABELS), METHODS, target)
    blind = _maps(image, Model(name, drawn, PREPROCESS, LABELS), target)
    for row in _measured(explanation, regions, blind):
        yield {**about, **row}
    # Random weights do not depend on what was there: without a seed of their own, every training would give the same.
    untrained = next(iter(forgetting(network, x, seed=_TWIN + 1 + patient)))[1]
    for kind, other in (("untrained", untrained), ("shuffled", shuffled(network, seed=_TWIN + patient))):
        made = explain(image, Model(name, other, PREPROCESS, LABELS), METHODS)
        for row in _measured(made, regions, None):
            yield {**about, **row, "kind": kind}


def _measured(
    explanation: Explanation, regions: Mapping[str, Region], blind: Mapping[str, Floats] | None
) -> Iterator[Row]:
    """What the card measures of every map of a network, of `blind` maps passed off as its own, and of dummies."""
    values = {m.method: _whole(m) for m in explanation.maps}
    seen: set[tuple[int, ...]] = set()
    done: list[Floats] = []
    with cases(explanation) as given:
        copies = falls_of_copies(given[0])
        for made, case in zip(explanation.maps, given, strict=True):
            # Grad-CAM is HiResCAM behind global average pooling: one map, counted once.
            if empty(made) is not None or any(same(case.values, other) for other in done):
                continue
            done.append(np.asarray(case.values))
            other = next((values[c] for c in candidates(made.method) if c in values), None)
            cost = max(1, int(made.passes.get("forward", 1)))
            plan = _LEAST if blind is None else USUAL.plan(cost)

            def scores(case: Case, other: Floats | None = other, cost: int = cost, plan: Plan = plan) -> Row:
                return _scores(case, other, regions, copies, plan, cost)

            yield {"kind": "map", "method": made.method, **scores(case)}
            if blind is None:
                continue
            if made.method in blind:
                fake = replace(case, values=blind[made.method])
                yield {"kind": "random weights", "method": made.method, **scores(fake)}
            if case.values.shape not in seen:
                seen.add(case.values.shape)
                for dummy, dummy_case in dummy_cases(case):
                    if dummy != "uniform":  # the card does not measure what is the same everywhere
                        yield {"kind": dummy, "method": made.method, **scores(dummy_case)}


@torch.no_grad()
def shuffled(network: nn.Module, seed: int) -> nn.Module:
    """A copy whose every parameter holds its own numbers in another order: as large as trained ones, and no use."""
    twin = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    for p in twin.parameters():
        p.copy_(p.flatten()[torch.randperm(p.numel(), generator=generator)].view_as(p))
    return twin.eval()


def same(a: Any, b: Any) -> bool:
    """Whether two maps are one, but for rounding and scale."""
    return a.shape == b.shape and bool(np.allclose(a / abs(a).max(), b / abs(b).max(), atol=1e-4))


def _answer(network: nn.Module, four: Quadruple) -> tuple[int, list[float], float]:
    """The network's top class, how far its margin falls without each component, and its probability."""
    with torch.no_grad():
        logits = network(batch(four)).double()
    target = int(logits[0].argmax())
    whole, *without = margin(logits, torch.full((len(logits),), target)).tolist()
    return target, [whole - other for other in without], float(logits[0].softmax(0)[target])


def _maps(image: Any, model: Model, target: int) -> dict[str, Floats]:
    try:
        made = explain(image, model, METHODS, target).maps
    except Unsupported:
        return {}
    return {m.method: _whole(m) for m in made if m.reason is None and np.ptp(m.values) > 0}


def _whole(made: Map) -> Floats:
    return entire(np.asarray(made.values, np.float64), made.geometry)


def _scores(
    case: Case, other: Floats | None, regions: Mapping[str, Region], copies: Sequence[float], plan: Plan, cost: int
) -> Row:
    """What the card measures, the figures of all questions as numbers."""
    scores = measured.dependence(case, USUAL)
    scores["reliance"] = reliance(case, copies)
    marked = measured.marked(case)
    scores |= measured.remade(marked, plan, cost)
    scores["sobel"] = measured.edges(marked)
    scores["rank-correlation"] = Score(None) if other is None else measured.agreement(marked, other)
    places = {c: measure("enrichment", replace(case, region=region)) for c, region in regions.items()}
    found = {name: statistic(scores).value for name, statistic in verdicts.STATISTICS.items() if name != "place"}
    return {
        "cells": case.values.size,
        "statistics": found,
        "fall": scores["reliance"].facts.get("fall"),
        "values": {name: score.value for name, score in scores.items()},
        "z": {name: score.facts.get("z") for name, score in scores.items()},
        "enrichment": {c: [s.value, s.facts.get("z")] for c, s in places.items()},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m whylook.phantom.calibrate", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where weights and figures are kept between runs")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each network; what is missing is trained")
    parser.add_argument("--patients", type=int, default=1, help="of each trained network, its own")
    parser.add_argument("--output", type=Path, default=verdicts.FILE, help="where the thresholds go")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page whose tables are written anew")
    asked = parser.parse_args(arguments)

    ready()
    networks = trained(asked.folder / "weights", range(asked.seeds))
    rows = measure_all(networks, asked.patients, asked.folder / "trust.jsonl")
    found = frozen(rows, asked.patients)
    asked.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    write_between(markdown(found), asked.page)


if __name__ == "__main__":
    main()
