"""Gradients along a path: completeness, and scores that saturate on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from whylook import baselines
from whylook.demo import log_odds
from whylook.explainer import explain, prepare
from whylook.explanation import Explanation
from whylook.image import Image
from whylook.learn.experiments.controls import Choice, Network, Number
from whylook.learn.experiments.measures import foreign, logits, number, percent, saying, share, similarity
from whylook.learn.experiments.outcome import Outcome, Plot, Series
from whylook.learn.experiments.registration import experiment
from whylook.models.model import Model

_TOLERANCE = 0.05
_ON_PATH = 21


@experiment(
    "path",
    "Shares that add up",
    Network("model", "Network", "phantom:resnet"),
    Choice(
        "baseline",
        "Baseline",
        "mean-color",
        (
            ("mean-color", "training mean (0)"),
            ("black", "black"),
            ("white", "white"),
            ("blur", "the picture, blurred"),
        ),
    ),
    Number("steps", "Points on the path", 16, 1, 64),
)
def path(image: Image, model: Model, baseline: str, steps: int) -> Outcome:
    """Integrate the gradient along the straight path from a baseline to the picture, and check that the shares add up."""
    start = 0 if baseline == "mean-color" else baseline
    counts = sorted({*(2**i for i in range(7) if 2**i < steps), steps})
    made: list[Explanation] = []
    target = None
    for count in counts:
        own = {"integrated-gradients": {"steps": count, "baseline": start}}
        made.append(explain(image, model, "integrated-gradients", target, parameters=own))
        target = made[-1].maps[0].target.index
    final = made[-1].maps[0]
    x = prepare(model, image)
    b = baselines.one_like(baselines.prepared(start, model.preprocess, x), x)
    assert isinstance(b, Tensor)
    at, scores = _along(model.network, b, x, final.target.index)
    gain = scores[-1] - scores[0]
    total = float(np.asarray(final.values, np.float64).sum())
    misses = [abs(float(e.maps[0].facts["relative_residual"])) for e in made]
    sentences = [
        saying(made[-1], model.name),
        f"The logit of {final.target.label} is {number(scores[-1])} for the picture and {number(scores[0])} for the "
        f"baseline, a difference of {number(gain)}.",
        f"The shares of all input values add up to {number(total)}; they miss the difference by {number(abs(total - gain))}, "
        f"{share(misses[-1])} of it.",
        "To a twentieth or better, they are complete."
        if misses[-1] <= _TOLERANCE
        else "That is more than a twentieth: the sum over so few points is not yet the integral. Take more.",
    ]
    on_way = Plot(
        title="The score on its way",
        x="α: from baseline (0) to picture (1)",
        y=f"logit of {final.target.label}",
        series=(Series("logit", tuple(at), tuple(scores)),),
        says=f"The logit goes from {number(scores[0])} at the baseline to {number(scores[-1])} at the picture.",
    )
    residual = Plot(
        title="What is missing",
        x="points on the path",
        y="|sum of shares − difference| / |difference|",
        series=(Series("residual", tuple(map(float, counts)), tuple(misses)),),
        levels=(("a twentieth", _TOLERANCE),),
        says="; ".join(f"{c} points miss {share(m)}" for c, m in zip(counts, misses, strict=True)) + ".",
    )
    numbers = {"gain": gain, "total": total, "missing": misses[-1]}
    return Outcome((*foreign(model, image), *sentences), numbers, (made[-1],), (on_way, residual))


class Sharpened(nn.Module):
    """A network whose logits are multiplied by a number: the same answers, more sure of them."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network = network
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Logits [n, classes] of inputs [n, …]."""
        out: Tensor = logits(self.network, x) * self.factor
        return out


@experiment(
    "saturation",
    "A score that no longer reacts",
    Network("model", "Network", "phantom:resnet"),
    Number("sure", "Logits multiplied by", 4, 1, 40),
)
def saturation(image: Image, model: Model, sure: int) -> Outcome:
    """Explain the probability instead of the logit, with a network that is as right as before and more sure of it."""
    sharp = replace(model, network=Sharpened(model.network, sure).eval())
    by_logit = explain(image, sharp, ["gradient", "integrated-gradients"])
    target = by_logit.maps[0].target.index
    by_probability = explain(image, sharp, ["gradient", "integrated-gradients"], target, score="probability")
    both = replace(by_logit, maps=(*by_logit.maps, *by_probability.maps))
    p = float(by_logit.predictions[model.name].probabilities[target])
    odds = log_odds(by_logit.predictions[model.name], target)
    factor = 1 / (2 + np.exp(odds) + np.exp(-odds))  # p (1 − p), where 1 − p is too small for single precision
    x = prepare(model, image)
    at, probabilities, sizes = _slopes(sharp, torch.zeros_like(x), x, target)
    here, most = sizes[-1], max(sizes)
    left = here / most if most else 0.0
    sentences = [
        saying(both, model.name),
        f"The gradient of a probability is that of the log-odds times p (1 − p), here {number(factor)}.",
        f"Its size (the sum of its map) is {number(here)} at the picture; on the way from the training mean to the "
        f"picture it reaches {number(most)}.",
    ]
    if most == 0:
        sentences.append("It is zero all along the way: in single precision nothing is left of it.")
    elif left < 0.1:
        rest = share(left) if left else "nothing"
        sentences.append(
            f"At the picture {rest} of that is left: the score is saturated. The gradient there says nothing of what "
            "made the network sure; the logit's gradient, and the integral over the way, still do."
        )
    else:
        sentences.append(
            f"At the picture {share(left)} of that is left: this score is not saturated here. Multiply the logits by more."
        )
    g_logit, _, g_probability, _ = both.maps
    if g_probability.values.any() and g_logit.values.any():
        alike = similarity(g_logit, g_probability)
        sentences.append(
            f"The maps by logit and by probability have a rank correlation of {number(round(alike, 3))}; drawn each in colors "
            "of its own, the faint one looks as strong as the other. Look at the numbers under the maps."
        )
    plot = Plot(
        title="Probability, and what is left of its gradient",
        x="α: from the training mean (0) to the picture (1)",
        y="share",
        series=(
            Series("probability", tuple(at), tuple(probabilities)),
            Series("size of its gradient, of the largest", tuple(at), tuple(s / most if most else 0.0 for s in sizes)),
        ),
        says=f"At the picture the probability is {percent(p)} and the gradient's size {share(left)} of its largest.",
    )
    return Outcome(
        (*foreign(model, image), *sentences),
        {"probability": p, "factor": float(factor), "left": left},
        (both,),
        (plot,),
    )


def _along(network: nn.Module, start: Tensor, x: Tensor, target: int) -> tuple[list[float], list[float]]:
    """Scores at points of the straight path."""
    at = torch.linspace(0, 1, _ON_PATH)
    with torch.no_grad():
        rows = [logits(network, start + float(a) * (x - start))[0, target] for a in at]
    return [float(a) for a in at], [float(r) for r in rows]


def _slopes(model: Model, start: Tensor, x: Tensor, target: int) -> tuple[list[float], list[float], list[float]]:
    """Points on the straight path, the probability there, and the size of its gradient."""
    from whylook.attribution import attribute

    at = torch.linspace(0, 1, _ON_PATH)
    rows = torch.cat([start + float(a) * (x - start) for a in at])
    sizes: list[float] = []
    told: list[float] = []
    for part in torch.split(rows, 8):
        maps: Any = attribute(model.network, part, "gradient", target, score="probability")
        sizes += [float(v) for v in maps.cpu().double().sum((1, 2))]
        with torch.no_grad():
            told += [float(v) for v in model.probabilities(logits(model.network, part))[:, target]]
    return [float(a) for a in at], told, sizes
