"""A first map, and the map of another class of the same picture."""

from __future__ import annotations

from whylook.explainer import answer, explain
from whylook.image import Image
from whylook.learn.experiments.controls import Choice, Network
from whylook.learn.experiments.measures import foreign, half_mass, number, percent, saying, share, similarity
from whylook.learn.experiments.outcome import Outcome
from whylook.learn.experiments.registration import experiment
from whylook.models.model import Model
from whylook.report.words import facts

METHODS = ("gradient", "grad-cam", "integrated-gradients", "lrp", "occlusion")


@experiment(
    "look",
    "A first map",
    Network("model", "Network", "phantom:resnet"),
    Choice("method", "Method", "grad-cam", tuple((name, facts(name).title) for name in METHODS)),
)
def look(image: Image, model: Model, method: str) -> Outcome:
    """Make the map of the network's answer, and beside it that of the class it takes for second."""
    first, second = answer(model, image).top(2)
    explanation = explain(image, model, method, [first.index, second.index])
    own, other = explanation.maps
    sentences = [saying(explanation, model.name)]
    half = half_mass(own.values)
    if half is None:
        sentences.append(f"There is nothing to see: {own.reason}")
    else:
        rows, columns = own.grid
        sentences.append(
            f"The map has {rows} × {columns} cells. Half of its mass (absolute values) lies on {share(half)} of them."
        )
    alike = similarity(own, other)
    sentences.append(
        f"The second class is {second.label}, {percent(second.probability)}. Its map of the same picture has a rank "
        f"correlation of {number(round(alike, 3))} with the first (1: the same order of places, 0: unrelated). A map "
        "belongs to a class, not to a picture; how much it changes with the class is up to the method."
    )
    numbers = {"similarity": alike, **({} if half is None else {"half": half})}
    return Outcome((*foreign(model, image), *sentences), numbers, (explanation,))
