"""Take parts of the picture away and watch the score."""

from __future__ import annotations

import numpy as np

from whylook import baselines
from whylook.evaluate import evaluate
from whylook.explainer import explain, prepare
from whylook.image import Image
from whylook.learn.experiments.controls import Choice, Network
from whylook.learn.experiments.measures import foreign, number, saying, share
from whylook.learn.experiments.outcome import Outcome, Plot, Series
from whylook.learn.experiments.registration import experiment
from whylook.models.model import Model
from whylook.report.words import peak

_WINDOWS = (("4", "a quarter of each side"), ("8", "an eighth"), ("16", "a sixteenth"))
_FILLS = (("mean-color", "training mean"), ("black", "black"), ("blur", "the picture, blurred"))


@experiment(
    "removal",
    "Hide, and watch the score",
    Network("model", "Network", "phantom:vgg"),
    Choice("window", "Window", "8", _WINDOWS),
    Choice("fill", "Filled with", "mean-color", _FILLS),
)
def removal(image: Image, model: Model, window: str, fill: str) -> Outcome:
    """Hide one window after the other; then hide blocks in the order of the map, and in random orders."""
    x = prepare(model, image)
    sides = x.shape[2:]
    span = tuple(max(2, -(-n // int(window))) for n in sides)
    baseline = 0 if fill == "mean-color" else fill
    own = {"occlusion": {"window": span, "stride": tuple(max(1, s // 2) for s in span), "baseline": baseline}}
    explanation = explain(image, model, "occlusion", parameters=own)
    shown = explanation.maps[0]
    logit = float(explanation.predictions[model.name].logits[shown.target.index])
    most = float(shown.values.max())
    sentences = [saying(explanation, model.name)]
    where = peak(shown)
    if most > 0 and where is not None:
        sentences.append(
            f"Hiding the window around x {where[0]:.0f}, y {where[1]:.0f} costs most: the logit of {shown.target.label} falls "
            f"by {number(most)}, from {number(logit)} to {number(logit - most)}. The window is {share(_area(span, sides))} of "
            "what the network sees."
        )
    else:
        sentences.append(f"No window lowers the logit of {shown.target.label} when it is hidden.")
    least = float(shown.values.min())
    if least < 0:
        sentences.append(
            f"Somewhere hiding raises it, by up to {number(-least)}: what is there speaks for other classes."
        )
    filled = baselines.prepared(baseline, model.preprocess, x)
    deleting = {"deletion": {"score": "margin", "baseline": filled}}
    score = evaluate(explanation, ["deletion"], parameters=deleting)[0].scores["deletion"]
    plots: tuple[Plot, ...] = ()
    numbers = {"most": most}
    if score.value is None:
        sentences.append(f"Blocks in the order of the map could not be hidden: {score.reason}.")
    else:
        assert score.chance is not None
        curves = score.curves
        numbers |= {"area": score.value, "chance": score.chance}
        better = score.value < score.chance
        lies = "lies below" if better else "does not lie below"
        follows = "so the map's order does matter" if better else "so the map's order is no better than chance"
        sentences.append(
            f"Filled in, in the order of the map, highest first, the log-odds stay at {number(score.value)} on average; in "
            f"{score.n} random orders, at {number(score.chance)}. The map's curve {lies} that of chance, {follows}."
        )
        along = curves["share"]
        plots = (
            Plot(
                title="Deletion",
                x="share of the picture that is filled in",
                y=f"log-odds of {shown.target.label}",
                series=(
                    Series(f"{score.n} random orders", along, curves["random low"], "band", curves["random high"]),
                    Series("the map's order", along, curves["map"]),
                ),
                says=f"Mean over the curve: {number(score.value)} in the map's order, {number(score.chance)} in random ones.",
            ),
        )
    return Outcome((*foreign(model, image), *sentences), numbers, (explanation,), plots)


def _area(span: tuple[int, ...], sides: tuple[int, ...]) -> float:
    return float(np.prod(span)) / float(np.prod(sides))
