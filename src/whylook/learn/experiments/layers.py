"""Class activation maps and rules: what a layer, and a backward pass of its own, make of a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from whylook.explainer import explain
from whylook.explanation import Explanation
from whylook.image import Image
from whylook.learn.experiments.controls import Choice, Network
from whylook.learn.experiments.measures import foreign, number, saying, share
from whylook.learn.experiments.outcome import Bar, Bars, Outcome
from whylook.learn.experiments.registration import experiment
from whylook.models.model import Model

_SAME = 1e-4  # of the largest value: single precision


@experiment("cam", "Channels of the last layer, weighted", Network("model", "Network", "phantom:resnet"))
def cam(image: Image, model: Model) -> Outcome:
    """Make CAM, Grad-CAM and HiResCAM of one layer, and check what they have in common."""
    explanation = explain(image, model, ["cam", "grad-cam", "hirescam"])
    made = {m.method: np.asarray(m.values, np.float64) for m in explanation.maps}
    target = explanation.maps[0].target
    grid = explanation.map(model.name, "grad-cam").grid
    layer = explanation.map(model.name, "grad-cam").layer
    sentences = [saying(explanation, model.name), f"The layer is {layer}, with a grid of {grid[0]} × {grid[1]} cells."]
    numbers: dict[str, float] = {}
    if "cam" in made:
        logit = float(explanation.predictions[model.name].logits[target.index])
        mean = float(made["cam"].mean())
        black = _blackened(image)
        dark = explain(black, model, "cam", target.index)
        rest = float(dark.predictions[model.name].logits[target.index]) - float(
            dark.maps[0].values.mean(dtype=np.float64)
        )
        numbers |= {"bias": logit - mean, "bias_black": rest}
        sentences.append(
            f"The mean of the CAM is {number(mean)}, the logit of {target.label} {number(logit)}. The rest, "
            f"{number(logit - mean)}, is the bias of the last layer: of a black picture the same subtraction leaves "
            f"{number(rest)}. The map is the logit, spread over places."
        )
        positive, grad = np.maximum(made["cam"], 0), made["grad-cam"]
        if positive.any() and grad.any():
            factor = float((positive * grad).sum() / (positive * positive).sum())
            off = float(np.abs(grad - factor * positive).max() / grad.max())
            numbers["off"] = off
            sentences.append(
                f"Grad-CAM is the positive part of the CAM times {number(factor)}"
                + (", cell by cell." if off < _SAME else f", but for up to {share(off)} of its largest value.")
            )
        else:
            sentences.append("Nothing in the layer speaks for the class, so Grad-CAM is empty.")
    else:
        why = next(reason for _, method, reason in explanation.failures if method == "cam")
        sentences.append(f"This network has no CAM. {why}")
    apart = _apart(made["grad-cam"], made["hirescam"])
    numbers["apart"] = apart
    sentences.append(
        "Grad-CAM and HiResCAM are the same map here, because each channel's gradient is the same at every place."
        if apart < _SAME
        else f"Grad-CAM and HiResCAM differ by up to {share(apart)} of the larger one's peak: the head does not weigh all "
        "places alike, and Grad-CAM averages over that."
    )
    return Outcome((*foreign(model, image), *sentences), numbers, (explanation,))


COMPOSITES = (
    ("zero", "LRP-0"),
    ("epsilon", "epsilon"),
    ("epsilon-plus", "epsilon-plus"),
    ("epsilon-gamma-box", "epsilon-gamma-box"),
    ("alpha-beta", "alpha-beta"),
)


@experiment(
    "rules",
    "Relevance, handed back by rules",
    Network("model", "Network", "phantom:vgg"),
    Choice("composite", "Composite of LRP", "epsilon-plus", COMPOSITES),
)
def rules(image: Image, model: Model, composite: str) -> Outcome:
    """Hand the logit back layer by layer, and see how much of it arrives at the input."""
    simple = explain(image, model, ["input-x-gradient", "lrp"], parameters={"lrp": {"composite": "zero"}})
    target = simple.maps[0].target
    chosen = explain(image, model, "lrp", target.index, parameters={"lrp": {"composite": composite}})
    logit = float(simple.predictions[model.name].logits[target.index])
    product, zero = (np.asarray(m.values, np.float64) for m in simple.maps)
    apart = _apart(product, zero)
    relevance = chosen.maps[0]
    sums = {
        "logit": logit,
        "input × gradient": float(product.sum()),
        "LRP-0": float(zero.sum()),
        dict(COMPOSITES)[composite]: float(np.asarray(relevance.values, np.float64).sum()),
    }
    sentences = [
        saying(simple, model.name),
        "LRP-0 and input × gradient are the same map, to rounding."
        if apart < _SAME
        else f"LRP-0 and input × gradient differ by up to {share(apart)} of the larger one's peak: this network has "
        "more than sums and plain rectifiers (clipped or smooth activations, gates), and LRP passes them otherwise.",
    ]
    arrived = sums[dict(COMPOSITES)[composite]]
    if logit:
        sentences.append(
            f"The logit of {target.label} is {number(logit)}. Of it, {number(arrived)} arrives at the input under "
            f"{composite}; the difference is what biases kept or added, which are no places in the picture."
        )
    if relevance.warning:
        sentences.append(relevance.warning)
    maps = (*simple.maps[:1], *chosen.maps)
    bars = Bars(
        title="Where the sum goes",
        axis="sum over the map, in units of the logit",
        bars=tuple(Bar(name, value) for name, value in sums.items()),
        says="; ".join(f"{name} {number(value)}" for name, value in sums.items()) + ".",
    )
    numbers = {"logit": logit, "arrived": arrived, "apart": apart}
    shown: Explanation = replace(simple, maps=maps)
    return Outcome((*foreign(model, image), *sentences), numbers, (shown,), (bars,))


def _apart(
    one: np.ndarray[tuple[int, ...], np.dtype[np.float64]], other: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> float:
    """Largest difference over the largest magnitude of either."""
    most = max(float(np.abs(one).max()), float(np.abs(other).max()))
    return float(np.abs(one - other).max()) / most if most else 0.0


def _blackened(image: Image) -> Image:
    """A black picture of the same size."""
    from whylook.image import load_image

    return load_image(np.zeros(image.pixels.shape[:2], np.uint8))
