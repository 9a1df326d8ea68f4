"""What a network learned from phantoms: how often it is right, and what it loses when one component is taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whylook.phantom.data import dataset, quadruples
from whylook.phantom.inputs import batch, drawn
from whylook.phantom.render import LABELS

SETS = ("independent", "aligned", "anti")


@dataclass(frozen=True, eq=False)
class Exam:
    """Test pictures, ready to be fed to any of the networks.

    Parameters
    ----------
    sets : data set to inputs [n, 1, 64, 64] and labels [n].
    quadruples : four inputs [m, 1, 64, 64], in the order of `Quadruple`.
    labels : labels of the quadruples, [m].
    """

    sets: dict[str, tuple[Tensor, Tensor]]
    quadruples: tuple[Tensor, ...]
    labels: Tensor


def exam(n: int = 800, m: int = 400) -> Exam:
    """Draw `n` test pictures of each of `SETS` and `m` quadruples."""
    names = (*SETS, "marker-only")
    sets = dict(zip(names, drawn([dataset(name, n) for name in names]), strict=True))
    fours = [(batch(four), four.whole.label) for four in quadruples(m)]
    inputs = torch.stack([x for x, _ in fours]).unbind(1)
    return Exam(sets, inputs, torch.tensor([label for _, label in fours]))


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-odds of the true class, [n], from logits [n, classes]: its logit less the logsumexp of all others."""
    own = torch.nn.functional.one_hot(labels, logits.shape[1]).bool()
    return logits[own] - logits.masked_fill(own, -torch.inf).logsumexp(1)


@torch.no_grad()
def measure(network: nn.Module, test: Exam) -> dict[str, Any]:
    """Return the figures of a network in eval mode.

    Returns
    -------
    dict with `accuracy` per data set of `SETS`; `marker_only_disc`, how often a picture with a marker and no lesion is
    called a disc; and `drop`: how much the margin of the true class falls when a component is taken away, as the mean
    and its 95 % interval over patients: `marker` in discs, `marker_others` in the three other classes, `lesion` and
    `catheter` in all.
    """
    logits = {name: _forward(network, x) for name, (x, _) in test.sets.items()}
    right = {name: (logits[name].argmax(1) == test.sets[name][1]).double().mean().item() for name in SETS}
    only = (logits["marker-only"].argmax(1) == LABELS.index("disc")).double().mean().item()
    whole, lesion, marker, catheter = (margin(_forward(network, x), test.labels) for x in test.quadruples)
    disc = test.labels == LABELS.index("disc")
    drops = {
        "marker": (whole - marker)[disc],
        "marker_others": (whole - marker)[~disc],
        "lesion": whole - lesion,
        "catheter": whole - catheter,
    }
    return {
        "accuracy": {name: round(value, 4) for name, value in right.items()},
        "marker_only_disc": round(only, 4),
        "drop": {name: _interval(values.double()) for name, values in drops.items()},
    }


def _forward(network: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([network(part) for part in torch.split(x, 250)])


def _interval(values: Tensor) -> dict[str, float]:
    """Mean and normal 95 % interval of the mean."""
    mean, half = values.mean().item(), 1.96 * values.std().item() / len(values) ** 0.5
    return {"mean": round(mean, 3), "low": round(mean - half, 3), "high": round(mean + half, 3)}


@torch.no_grad()
def strangeness(networks: Sequence[nn.Module], n: int = 100) -> Tensor:
    """How far each of the first `n` test patients, drawn with a disc, is from the average patient, float64 [n].

    The distance is taken over the disc's margin in all networks and its drops when the lesion, the marker and the
    catheter are taken away, each in standard deviations: the demonstration picture is the patient nearest to average.
    """
    four = torch.stack([batch(versions) for versions in quadruples(n, lesion="disc")]).unbind(1)
    disc = torch.full((n,), LABELS.index("disc"))
    columns = []
    for network in networks:
        whole, *without = (margin(_forward(network, x), disc).double() for x in four)
        columns += [whole, *(whole - other for other in without)]
    drops = torch.stack(columns, 1)
    return ((drops - drops.mean(0)) / drops.std(0)).square().mean(1).sqrt()
