"""Feed a network otherwise than it was trained, and see that nothing complains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from whylook.explainer import device_of, explain, prepare
from whylook.image import Image
from whylook.learn.experiments.controls import Choice, Network
from whylook.learn.experiments.films import drawn
from whylook.learn.experiments.measures import foreign, number, percent, saying, similarity
from whylook.learn.experiments.outcome import Outcome
from whylook.learn.experiments.registration import experiment
from whylook.models.model import Model
from whylook.phantom import Phantom
from whylook.preprocess import Preprocess

CAFFE_MEAN = tuple(v / 255 for v in (123.68, 116.779, 103.939))  # of the ILSVRC models, red first
_FILMS = 40
_WAYS = (
    ("caffe", "as for Caffe: 0 to 255 less the mean, blue first"),
    ("bytes", "0 to 255"),
    ("unit", "0 to 1"),
    ("symmetric", "−1 to 1"),
    ("inverted", "white for black"),
    ("bgr", "blue first"),
    ("declared", "as it was trained"),
)


def fed(declared: Preprocess, way: str) -> Preprocess:
    """Return a preprocessing that differs from the declared one in range, mean or order of the channels.

    Parameters
    ----------
    declared : how the network was trained.
    way : `caffe`, `bytes`, `unit`, `symmetric`, `inverted`, `bgr` or `declared`.
    """
    gray = declared.channels == 1
    zero, one, half = ((v,) * declared.channels for v in (0.0, 1.0, 0.5))
    mean = (sum(CAFFE_MEAN) / 3,) if gray else CAFFE_MEAN
    order: Literal["rgb", "bgr"] = declared.channel_order if gray else "bgr"
    match way:
        case "caffe":
            return replace(declared, mean=mean, std=one, scale=255.0, channel_order=order)
        case "bytes":
            return replace(declared, mean=zero, std=one, scale=255.0)
        case "unit":
            return replace(declared, mean=zero, std=one, scale=1.0)
        case "symmetric":
            return replace(declared, mean=half, std=half, scale=1.0)
        case "inverted":
            from whylook.auditing.conventions import inverted

            return inverted(declared)
        case "bgr":
            if gray:
                return declared
            return replace(declared, channel_order="rgb" if declared.channel_order == "bgr" else "bgr")
        case _:
            return declared


@experiment(
    "preprocessing",
    "The wrong food",
    Network("model", "Network", "phantom:resnet"),
    Choice("way", "Fed", "caffe", _WAYS),
)
def preprocessing(image: Image, model: Model, way: str) -> Outcome:
    """Feed the network in a way it was not trained on: no error, another answer, another map."""
    wrong = replace(model, name=f"{model.name}, fed wrongly", preprocess=fed(model.preprocess, way))
    if wrong.preprocess == model.preprocess:
        reason = (
            "That is how it was trained; choose another way."
            if way == "declared"
            else "A gray picture has no order of channels, so nothing changes; choose another way."
        )
        return Outcome((reason,), {}, (explain(image, model, ["gradient", "grad-cam"]),))
    explanation = explain(image, [model, wrong], ["gradient", "grad-cam"])
    target = explanation.predictions[model.name].top(1)[0]
    after = explanation.predictions[wrong.name].top(1)[0]
    same = explain(image, wrong, ["gradient", "grad-cam"], target.index)
    ranges = [prepare(m, image) for m in (model, wrong)]
    spans = [f"{number(float(x.min()))} to {number(float(x.max()))}" for x in ranges]
    kept = float(explanation.predictions[wrong.name].probabilities[target.index])
    alike = {m.method: similarity(explanation.map(model.name, m.method), m) for m in same.maps}
    sentences = [
        saying(explanation, model.name),
        f"The input ranges from {spans[0]} as it was trained, and from {spans[1]} this way. No error is raised: the shape "
        "is the same.",
        f"Fed this way it says {after.label}, with a probability of {percent(after.probability)}"
        + (
            f"; that of {target.label} goes from {percent(target.probability)} to {percent(kept)}."
            if after.index != target.index
            else f", where it was {percent(target.probability)}: the answer is the same."
        ),
        f"The maps for {target.label}, right and wrong food, have a rank correlation of "
        + " and ".join(
            f"{number(round(v, 3))} ({'gradient' if k == 'gradient' else 'Grad-CAM'})" for k, v in alike.items()
        )
        + ". Both look like maps; nothing in the wrong one tells that it is wrong.",
    ]
    numbers = {"before": target.probability, "after": kept, **{f"similarity_{k}": v for k, v in alike.items()}}
    if model.name.startswith("phantom:"):
        films = drawn("independent", _FILMS)
        right = [_right(m, films) for m in (model, wrong)]
        numbers |= {"right": right[0] / _FILMS, "right_fed_wrongly": right[1] / _FILMS}
        sentences.append(
            f"Of {_FILMS} drawn films whose truth is known it is right on {right[0]} as trained, and on {right[1]} this way. "
            "whylook audit makes such a comparison for a network of your own."
        )
    return Outcome((*foreign(model, image), *sentences), numbers, (explanation,))


def _right(model: Model, films: Sequence[Phantom]) -> int:
    import torch

    from whylook.image import load_image

    x = torch.stack([model.preprocess.apply(load_image(f.pixels)) for f in films]).to(device_of(model))
    with torch.no_grad():
        said = model.network(x).argmax(1).cpu().numpy()
    return int(np.sum(said == [f.label for f in films]))
