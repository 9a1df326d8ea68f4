"""The story that `whylook demo` tells: the same right answer for two reasons, and how to see which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whylook.engine.targets import Score
from whylook.explainer import answer, explain, load_models
from whylook.explanation import Explanation, Map, Prediction, Ranked
from whylook.image import Image
from whylook.models.model import Model
from whylook.phantom import DEMO_SEED, Phantom, picture, render
from whylook.report.section import Section, Table

TITLE = "The right answer for the wrong reason"
FAMILIES = ("resnet", "vgg", "efficientnet", "mobilenet")
METHODS = ("gradient", "hirescam", "grad-cam")
READS = "hirescam"  # the method whose share on the marker the table gives: right for a flatten head, too


def story(progress: Callable[[int, int, str], None] = lambda done, total, what: None) -> tuple[Section, ...]:
    """Compute the page's sections; its numbers are measured when it is made.

    Parameters
    ----------
    progress : called as `progress(done, total, what)`.
    """
    models = load_models([f"phantom:{family}{kind}" for family in FAMILIES for kind in ("", "-shortcut")])
    patient = _patient()
    explanation = explain(picture(DEMO_SEED), models, METHODS, "disc", progress=progress)
    without = {name: _without(name) for name in ("lesion", "marker")}
    return (
        Section(
            title="One picture, eight networks, one answer",
            text=(
                "This film is drawn, so its truth is known. The class is the shape of the lesion: a disc. The boxed "
                "letter L in a corner is a marker such as X-ray rooms put on their films; it says nothing about the "
                "lesion, and neither does the bright line of the catheter.",
                "Four networks learned from films where the marker came by chance. The other four, of the same "
                "architectures, learned from films where it hung in 97 % of the discs and in 3 % of all others. "
                f"{_agreement(explanation)} Accuracy on such films cannot tell them apart. The maps can, and so can "
                "the experiment that a drawn film allows: the same patient once more, without the lesion or without "
                "the marker.",
            ),
            table=Table(
                columns=(
                    "network",
                    "says",
                    "probability",
                    "lesion removed",
                    "marker removed",
                    "map on the marker",
                    "says without the lesion",
                ),
                rows=tuple(_row(model, explanation, patient, without) for model in models),
                note=(
                    "Removed: by how much the log-odds of disc fall when the same film is drawn without it. Map on the "
                    f"marker: the share of the {READS} map's mass there, over the marker's share of the picture; a map "
                    "that knows nothing has 1. Last: what the network says when only the marker is left; it knows no "
                    "class for none."
                ),
            ),
        ),
        Section(
            title="Where they look",
            text=(
                "Pairs of one architecture: above, the network that learned the lesion; below, the one that learned the "
                "marker, and looks at the corner. On the VGG, whose head reads every position by itself, Grad-CAM "
                "averages that away and can point elsewhere; HiResCAM does not.",
                "A map of one picture shows this; how much it can be trusted, and what holds for all pictures, takes "
                "measurements over many.",
            ),
            explanations=(explanation,),
        ),
    )


def _row(
    model: Model, explanation: Explanation, patient: Phantom, without: dict[str, Image]
) -> tuple[str | float | None, ...]:
    said = explanation.predictions[model.name]
    answers = {dropped: answer(model, changed) for dropped, changed in without.items()}
    before = log_odds(said, patient.label)
    drops = [before - log_odds(answer, patient.label) for answer in answers.values()]
    share = enrichment(explanation.map(model.name, READS), patient.scoring_mask("marker"))
    top, left = said.top(1)[0], answers["lesion"].top(1)[0]
    return (
        model.name,
        top.label,
        _percent(top),
        *(f"{d:+.1f}".replace("-", "−") for d in drops),
        "no map" if share is None else f"{share:.1f} ×",
        f"{left.label} ({_percent(left)})",
    )


def _percent(answer: Ranked) -> str:
    return f"{answer.probability * 100:.0f} %"


def enrichment(m: Map, mask: NDArray[np.bool_]) -> float | None:
    """Share of a map's mass (absolute values) on `mask`, over the mask's share of what the model saw.

    Parameters
    ----------
    m : the map.
    mask : bool [H, W], on the original picture.

    Returns
    -------
    1 for a map that knows nothing of the mask; None where the map is all zero.
    """
    found = mass(m.on_image(), mask)
    return None if found is None else found[0] / found[1]


def mass(on: NDArray[np.floating[Any]], mask: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Share of a map's mass (absolute values) on `mask`, and the mask's share of what the model saw.

    Parameters
    ----------
    on : [H, W], the map on the picture, NaN where the model was not shown it.
    mask : bool [H, W].

    Returns
    -------
    Both in [0, 1]; None where the map is all zero, or the mask outside of what was seen.
    """
    sizes, seen = np.abs(on), np.isfinite(on)
    total = float(sizes[seen].sum())
    area = float(mask[seen].mean())
    return None if total == 0 or area == 0 else (float(sizes[mask & seen].sum()) / total, area)


def _patient(*dropped: str) -> Phantom:
    return render(DEMO_SEED, lesion="disc", marker=True, catheter=True, drop=dropped)


def _without(dropped: str) -> Image:
    """The same patient, drawn without one component."""
    from whylook.image import load_image

    return load_image(_patient(dropped).pixels)


def log_odds(prediction: Prediction, label: int) -> float:
    """The margin: the label's logit less the log-sum-exp of the others."""
    logits = torch.from_numpy(prediction.logits).double()[None]
    return float(Score("margin")(logits, torch.tensor([[label]])))


def _agreement(explanation: Explanation) -> str:
    answers = [p.top(1)[0] for p in explanation.predictions.values()]
    discs = [a for a in answers if a.label == "disc"]
    if len(discs) == len(answers):
        least = min(discs, key=lambda a: a.probability)
        return f"Of this film all {len(discs)} say disc, each with a probability of {_percent(least)} or more."
    return f"Of this film {len(discs)} of {len(answers)} say disc."
