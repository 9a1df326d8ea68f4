"""Does the map depend on what the network learned?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from whylook.explainer import explain, prepare
from whylook.explanation import Map
from whylook.image import Image
from whylook.learn.experiments.controls import Choice, Network
from whylook.learn.experiments.measures import foreign, number, saying, similarity
from whylook.learn.experiments.outcome import Outcome, Plot, Series
from whylook.learn.experiments.registration import experiment
from whylook.metrics.dummies import sobel
from whylook.models.model import Model
from whylook.report.words import facts
from whylook.trustcard.verdicts import thresholds

_METHODS = ("gradient", "input-x-gradient", "guided-backprop", "grad-cam", "lrp")
_EDGES = "edge-detector"
_STAGES, _DRAWS = 5, 3
_LITTLE = 0.3


@experiment(
    "random-weights",
    "A network that forgot everything",
    Network("model", "Network", "phantom:vgg"),
    Choice(
        "method",
        "Method",
        "guided-backprop",
        (*((m, facts(m).title) for m in _METHODS), (_EDGES, "edge detector (looks at no network)")),
    ),
)
def random_weights(image: Image, model: Model, method: str) -> Outcome:
    """Give the network random weights, from the output inward, and see how much of the map stays."""
    from whylook.randomize import forgetting

    detects = method == _EDGES
    base = "gradient" if detects else method
    explanation = explain(image, model, base)
    edges = _edges(explanation.maps[0], model, image)
    shown = edges if detects else explanation.maps[0]
    x = prepare(model, image)
    shares, courses, blank = [0.0], [], None
    for draw in range(_DRAWS):
        course = [1.0]
        for done, twin in forgetting(model.network, x, stages=_STAGES, seed=draw):
            forgot = replace(model, name=f"{model.name}, random weights", network=twin, identity="")
            made = explain(image, forgot, base, shown.target.index)
            course.append(similarity(shown, edges if detects else made.maps[0]))
            if draw == 0:
                shares.append(done)
                blank = made
        courses.append(course)
    assert blank is not None
    mean = np.mean(courses, axis=0)
    edge = similarity(edges, shown)
    level = thresholds()["learned"]
    left = float(mean[-1])
    title = "edge detector's" if detects else facts(method).title
    sentences = [
        saying(explanation, model.name),
        f"With all weights random, the {title} map of {shown.target.label} has a rank correlation of {number(round(left, 3))} "
        f"with the trained network's (mean of {_DRAWS} draws).",
        f"That is {'above' if left > level else 'not above'} {number(level)}, where the trust card draws the line: "
        + _stays(left, level),
        f"The trained map's rank correlation with the picture's edges is {number(round(edge, 3))}. An edge detector looks at "
        "no network and stays at 1, whatever the weights.",
    ]
    plot = Plot(
        title="What stays of the map",
        x="share of the layers with random weights, from the output",
        y="rank correlation with the map as trained",
        series=(
            Series(
                "lowest to highest draw",
                tuple(shares),
                _tuple(np.min(courses, axis=0)),
                "band",
                _tuple(np.max(courses, axis=0)),
            ),
            Series("mean", tuple(shares), _tuple(mean)),
        ),
        levels=(("edge detector", 1.0), ("the trust card's line", level)),
        says="; ".join(
            f"{100 * s:.0f} % random: {number(round(float(m), 2))}" for s, m in zip(shares, mean, strict=True)
        )
        + ".",
    )
    again = replace(edges, model=blank.maps[0].model)  # the same picture, so the same edges
    both = replace(
        explanation,
        models={**explanation.models, **blank.models},
        predictions={**explanation.predictions, **blank.predictions},
        maps=(edges, again) if detects else (*explanation.maps, edges, *blank.maps, again),
        fingerprints={**explanation.fingerprints, **blank.fingerprints},
    )
    return Outcome((*foreign(model, image), *sentences), {"left": left, "edges": edge}, (both,), (plot,))


def _stays(left: float, level: float) -> str:
    if left > level:
        return "much of this map is there without anything learned, so it is made of the picture and of the method."
    kept = (
        "a part of it is there without anything learned" if left > _LITTLE else "little of it stays without the weights"
    )
    return f"{kept}, and the rest depends on them, as it must in a map of what was learned. That alone does not make it right."


def _edges(like: Map, model: Model, image: Image) -> Map:
    """The picture's edges, as if they were a map."""
    values = sobel(prepare(model, image)[0].cpu().numpy()).astype(np.float32)
    geometry = model.preprocess.geometry(image)
    return Map(values, "edge detector", like.model, like.target, False, {}, geometry)


def _tuple(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
