"""The gradient's definition, and what averaging over noise makes of it."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch

from whylook.explainer import explain, prepare
from whylook.image import Image
from whylook.learn.experiments.controls import Network, Number
from whylook.learn.experiments.measures import foreign, logits, number, roughness, saying, share, signed, similarity
from whylook.learn.experiments.outcome import Outcome, Plot, Series
from whylook.learn.experiments.registration import experiment
from whylook.models.model import Model

_STEP = 1e-6
_POINTS = 41


@experiment(
    "gradient",
    "The gradient is a slope",
    Network("model", "Network", "phantom:resnet"),
    Number("reach", "Change of one pixel, up to ±", 1.0, 0.1, 4.0, 0.1, "units of input"),
)
def gradient(image: Image, model: Model, reach: float) -> Outcome:
    """Change the one pixel to which the score reacts most, and compare the score with the straight line of its gradient."""
    explanation = explain(image, model, "gradient")
    shown = explanation.maps[0]
    target = shown.target
    network = deepcopy(model.network).cpu().double()  # differences of 10⁻⁶ need more than single precision
    x = prepare(model, image).cpu().double()
    leaf = x.clone().requires_grad_()
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(logits(network, leaf)[0, target.index], leaf)
    place = int(slopes.abs().argmax())
    slope = float(slopes.flatten()[place])
    channel, row, column = (int(i) for i in np.unravel_index(place, tuple(x.shape[1:])))

    def changed(by: list[float]) -> list[float]:
        batch = x.expand(len(by), *x.shape[1:]).clone()
        batch[:, channel, row, column] += torch.tensor(by, dtype=batch.dtype)
        with torch.no_grad():
            return [
                float(v) for v in torch.cat([logits(network, part)[:, target.index] for part in torch.split(batch, 8)])
            ]

    low, high, middle = changed([-_STEP, _STEP, 0.0])
    difference = (high - low) / (2 * _STEP)
    at = [float(v) for v in np.linspace(-reach, reach, _POINTS)]
    truth = [v - middle for v in changed(at)]
    line = [slope * v for v in at]
    off = max(abs(a - b) for a, b in zip(truth, line, strict=True)) / max(max(map(abs, line)), 1e-300)
    where = f"row {row + 1}, column {column + 1}" + (f", channel {channel + 1}" if x.shape[1] > 1 else "")
    sentences = [
        saying(explanation, model.name),
        f"The logit of {target.label} reacts most to the input value at {where}: ∂S/∂x = {number(slope)} there.",
        f"Changed by ±{number(_STEP)}, the value moves the logit by {number(difference)} per unit: "
        + (
            "the gradient, to five digits."
            if abs(difference - slope) <= 1e-5 * abs(slope)
            else "not quite the gradient, for a kink of the network (a rectifier that switches) lies within the step."
        ),
    ]
    if slope == 0:
        sentences.append("The gradient is zero everywhere: the score does not react to small changes at all.")
    else:
        kept = "the straight line is a good account of the score here" if off < 0.05 else "the slope holds only nearby"
        sentences.append(
            f"Changed by {signed(reach, 1)}, it moves the logit by {signed(truth[-1])}; the slope alone says "
            f"{signed(line[-1])}. Over the whole range the two are apart by up to {share(off)} of the line's own reach: {kept}."
        )
    plot = Plot(
        title="One pixel changed",
        x="change of the input value",
        y="change of the logit",
        series=(
            Series("network", tuple(at), tuple(truth)),
            Series("slope", tuple(at), tuple(line)),
        ),
        says=f"At {signed(reach, 1)} the logit has changed by {signed(truth[-1])}, the slope says {signed(line[-1])}.",
    )
    numbers = {"slope": slope, "difference": difference, "off": off}
    return Outcome((*foreign(model, image), *sentences), numbers, (explanation,), (plot,))


@experiment(
    "smoothing",
    "Average over noise",
    Network("model", "Network", "phantom:resnet"),
    Number("samples", "Noisy copies", 16, 1, 64),
    Number("noise", "Noise, share of the input's range", 0.15, 0.0, 0.5, 0.05),
)
def smoothing(image: Image, model: Model, samples: int, noise: float) -> Outcome:
    """Average the gradient over noisy copies of the picture, and watch how rough the map stays."""
    counts = sorted({1, *(2**i for i in range(7) if 2**i < samples), samples})
    own = {"samples": samples, "noise": noise}
    explanation = explain(image, model, ["gradient", "smoothgrad"], parameters={"smoothgrad": own})
    plain, smooth = explanation.maps
    target = plain.target.index
    rough = []
    for count in counts:
        if count == samples:
            made = smooth
        else:
            less = {"smoothgrad": {"samples": count, "noise": noise}}
            made = explain(image, model, "smoothgrad", target, parameters=less).maps[0]
        rough.append(roughness(made.values) or 0.0)
    before = roughness(plain.values)
    sentences = [saying(explanation, model.name)]
    if before is None:
        return Outcome(
            (*foreign(model, image), *sentences, plain.reason or "The gradient is zero."), {}, (explanation,)
        )
    after = rough[-1]
    sentences.append(
        f"Neighboring pixels of the gradient differ by {number(before)} times its mean value; after averaging over {samples} "
        f"noisy {'copy' if samples == 1 else 'copies'}, by {number(after)} times."
    )
    if after < 0.98 * before:
        sentences.append(f"The average is smoother, by {share(1 - after / before)}.")
    elif after > 1.02 * before:
        sentences.append("The average is rougher, not smoother: too few copies for this much noise.")
    else:
        sentences.append("The average is as rough as the gradient itself.")
    alike = similarity(plain, smooth)
    sentences.append(
        f"The rank correlation of the two maps is {number(round(alike, 3))}: "
        + (
            "they tell nearly the same."
            if alike > 0.9
            else "SmoothGrad is not the gradient with its noise wiped off, but the answer to another question, the mean "
            "slope around the picture."
        )
    )
    plot = Plot(
        title="Roughness of the map",
        x="noisy copies",
        y="mean difference of neighbors / mean value",
        series=(Series("SmoothGrad", tuple(map(float, counts)), tuple(rough)),),
        levels=(("gradient", before),),
        says=f"Gradient {number(before)}; SmoothGrad {number(rough[0])} with one copy, {number(after)} with {samples}.",
    )
    numbers = {"before": before, "after": after, "similarity": alike}
    return Outcome((*foreign(model, image), *sentences), numbers, (explanation,), (plot,))
