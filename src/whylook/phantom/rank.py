"""Ranks attribution methods by how well they follow what networks rest on: `python -m whylook.phantom.rank`.

The reference is counterfactual: how far the disc's logit falls when a component is taken out of the picture. What is
ranked is the enrichment of a map, the share of its mass on the component over the component's share of the picture.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from whylook.demo import enrichment
from whylook.errors import Unsupported
from whylook.explainer import explain
from whylook.image import Image, load_image
from whylook.methods import METHODS
from whylook.models.model import Model
from whylook.phantom import shipped
from whylook.phantom.data import Quadruple, quadruples
from whylook.phantom.inputs import PREPROCESS, batch
from whylook.phantom.page import write_between
from whylook.phantom.render import LABELS
from whylook.phantom.seeds import ready, trained

COMPONENTS = ("lesion", "marker", "catheter")  # in the order in which a quadruple leaves them out
SHIPPED = "shipped"
PAGE = Path(__file__).parents[3] / "docs" / "ranking.md"
_DISC = LABELS.index("disc")
# With their defaults these would take most of a day; what they are run with is part of their name in the table.
QUICKER: dict[str, dict[str, Any]] = {
    "guided-ig": {"steps": 50},
    "lime": {"samples": 500},
    "kernel-shap": {"samples": 512},
    "rise": {"samples": 1000},
    "shapley-sampling": {"samples": 512},
    "partition-shap": {"samples": 300},
    "sobol": {"samples": 500},
    "hsic": {"samples": 500},
    "ss-cam": {"samples": 3},
    "is-cam": {"steps": 3},
}
_RESAMPLED = 1000
_STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}

Array = NDArray[np.float64]
Result = dict[str, Any]


def entries(names: Sequence[str] | None = None) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return what is ranked, label to method and parameters: every method as it comes, and a baseline that is no gray.

    The slowest are run with fewer samples than they have by default, which their label says.
    """
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for name in names or METHODS.names():
        own = QUICKER.get(METHODS[name].name, {})
        found[", ".join([name, *(f"{k}={v}" for k, v in own.items())])] = (METHODS[name].name, own)
    if "integrated-gradients" in found:
        found["integrated-gradients, baseline=blur"] = ("integrated-gradients", {"baseline": "blur"})
    return found


def drops(network: nn.Module, patients: Sequence[Quadruple]) -> list[list[float]]:
    """How far the disc's logit falls without each of `COMPONENTS`, per patient."""
    rows = []
    for patient in patients:
        with torch.no_grad():
            whole, *without = network(batch(patient))[:, _DISC].double().tolist()
        rows.append([round(whole - other, 6) for other in without])
    return rows


def enrichments(
    model: Model, method: str, parameters: Mapping[str, Any], patients: Sequence[Quadruple], images: Sequence[Image]
) -> list[list[float]]:
    """Enrichment of each of `COMPONENTS` per patient; 1, which is chance, where a map is zero everywhere."""
    rows = []
    for patient, image in zip(patients, images, strict=True):
        made = explain(image, model, method, _DISC, parameters={method: parameters}).maps[0]
        found = [enrichment(made, patient.whole.scoring_mask(c)) for c in COMPONENTS]
        rows.append([1.0 if value is None else round(value, 6) for value in found])
    return rows


def measure(
    networks: Iterable[tuple[str, int | str, nn.Module]],
    wanted: Mapping[str, tuple[str, dict[str, Any]]],
    patients: int,
    file: Path,
) -> Result:
    """Measure what `file` does not hold yet, writing it after every network and method; return all of it."""
    result: Result = {"patients": patients, "drops": {}, "enrichments": {}, "refused": {}}
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
        if before["patients"] == patients:
            result = before
    four = list(quadruples(patients, lesion="disc"))
    images = [load_image(patient.whole.pixels) for patient in four]
    for name, seed, network in networks:
        key = f"{name} {seed}"
        model = Model(key, network, PREPROCESS, LABELS)
        if key not in result["drops"]:
            result["drops"][key] = drops(network, four)
        for label, (method, parameters) in wanted.items():
            cells = result["enrichments"].setdefault(label, {})
            if key in cells:
                continue
            try:
                cells[key] = enrichments(model, method, parameters, four, images)
            except Unsupported as why:
                result["refused"][label] = str(why)
            _write(result, file)
            sys.stderr.write(f"{key}: {label}\n")
    return result


def _write(result: Result, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps(result) + "\n", encoding="utf-8")
    unfinished.replace(file)


def spearman(a: Array, b: Array) -> float:
    """Rank correlation of two vectors, ties at their mean rank; NaN where one of them is constant."""

    def ranks(values: Array) -> Array:
        _, where, count = np.unique(values, return_inverse=True, return_counts=True)
        last = np.cumsum(count)
        middle = (last - (count - 1) / 2)[where]
        return np.asarray(middle - middle.mean(), np.float64)

    u, v = ranks(a), ranks(b)
    norm = float(np.sqrt((u @ u) * (v @ v)))
    return float(u @ v) / norm if norm else float("nan")


def correlation(result: Result, label: str, seed: int | str, rows: Sequence[int] | None = None) -> float | None:
    """Spearman's ρ of mean enrichment and |mean drop| over the networks of one seed, all components; None if there are
    fewer than two networks.

    Parameters
    ----------
    rows : the patients that count; None: all.
    """
    keys = [key for key in result["enrichments"].get(label, {}) if key.endswith(f" {seed}")]
    if len(keys) < 2:
        return None
    pick = slice(None) if rows is None else list(rows)
    mass = np.concatenate([np.asarray(result["enrichments"][label][key])[pick].mean(0) for key in keys])
    fall = np.concatenate([np.abs(np.asarray(result["drops"][key])[pick].mean(0)) for key in keys])
    return spearman(mass, fall)


def over_patients(result: Result, label: str, seed: int | str) -> tuple[float, float]:
    """Bootstrap 95 % interval of `correlation` over patients."""
    rng = np.random.Generator(np.random.PCG64(0))
    n = result["patients"]
    draws = rng.integers(0, n, (_RESAMPLED, n)).tolist()
    values = [correlation(result, label, seed, rows) for rows in draws]
    low, high = np.nanquantile(np.array(values, float), [0.025, 0.975])
    return float(low), float(high)


def over_seeds(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and Student's 95 % interval of it; the interval is kept within −1 and 1."""
    mean, n = float(np.mean(values)), len(values)
    half = _STUDENT.get(n, 1.96) * float(np.std(values, ddof=1)) / n**0.5 if n > 1 else float("nan")
    return mean, max(mean - half, -1.0), min(mean + half, 1.0)


def markdown(result: Result) -> str:
    """Return the ranking as a Markdown table, best first, and what could not be ranked.

    A training seed counts for a method once it was measured on as many networks as were shipped.
    """
    seeds = sorted({int(key.split()[-1]) for key in result["drops"] if not key.endswith(SHIPPED)})
    lines: list[tuple[float, list[str]]] = []
    most = 0
    for label, cells in result["enrichments"].items():
        count = _networks(cells, SHIPPED)
        rho = correlation(result, label, SHIPPED)
        if rho is None:
            continue
        each = [correlation(result, label, seed) for seed in seeds if _networks(cells, seed) == count]
        whole = [value for value in each if value is not None]
        most = max(most, len(whole))
        of = "" if count == len(shipped.NAMES) else f" ({count} of {len(shipped.NAMES)} networks)"
        trained_too = f"{_interval(*over_seeds(whole))} ({len(whole)})" if len(whole) > 1 else ""
        marker = [f"{_mean(result, label, 'marker', shortcut):.1f} ×" for shortcut in (True, False)]
        lines.append(
            (rho, [f"`{label}`{of}", _interval(rho, *over_patients(result, label, SHIPPED)), trained_too, *marker])
        )
    lines.sort(key=lambda line: -line[0])
    columns = [
        "method",
        "ρ, shipped networks",
        "ρ, training seeds (how many)",
        "marker, shortcut networks",
        "marker, clean networks",
    ]
    keep = [i for i in range(len(columns)) if i != 2 or most > 1]
    rows = [columns, ["---"] * len(columns), *(cells for _, cells in lines)]
    text = "".join(f"| {' | '.join(row[i] for i in keep)} |\n" for row in rows)
    left_out = [f"`{label}`" for label in result["refused"] if not result["enrichments"].get(label)]
    if left_out:
        text += f"\nNot ranked, because they have no meaning for these networks: {', '.join(left_out)}.\n"
    return text


def _networks(cells: Mapping[str, Any], seed: int | str) -> int:
    return sum(key.endswith(f" {seed}") for key in cells)


def _mean(result: Result, label: str, component: str, shortcut: bool) -> float:
    which = COMPONENTS.index(component)
    cells = {key: v for key, v in result["enrichments"][label].items() if key.endswith(SHIPPED)}
    return float(
        np.mean([np.asarray(v)[:, which].mean() for key, v in cells.items() if ("-shortcut" in key) == shortcut])
    )


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


def _shipped() -> Iterable[tuple[str, str, nn.Module]]:
    for name in shipped.NAMES:
        yield name, SHIPPED, shipped.network(name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m whylook.phantom.rank", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where weights and figures are kept between runs")
    parser.add_argument("--seeds", type=int, default=0, help="also train this many of each network, and measure them")
    parser.add_argument("--patients", type=int, default=16, help="quadruples measured per network")
    parser.add_argument("--method", action="append", help="only this one (can be repeated)")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page whose table is written anew")
    asked = parser.parse_args(arguments)

    ready()
    file, wanted = asked.folder / "ranking.json", entries(asked.method)
    result = measure(_shipped(), wanted, asked.patients, file)
    result = measure(trained(asked.folder / "weights", range(asked.seeds)), wanted, asked.patients, file)
    write_between(markdown(result), asked.page)


if __name__ == "__main__":
    main()
