"""The story that `whylook demo` tells: the same right answer for two reasons, and how to see which."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from whylook.attribution import run
from whylook.explainer import explain, load_models, predict
from whylook.explanation import Explanation, Map, Prediction
from whylook.image import Image
from whylook.models.model import Model
from whylook.phantom import DEMO_SEED, Phantom, picture, render
from whylook.report.section import Section, Table
from whylook.targets import Score, resolve

TITLE = "The right answer for the wrong reason"
FAMILIES = ("resnet", "vgg", "efficientnet", "mobilenet")
METHODS = ("gradient", "hirescam", "grad-cam")
READS = "hirescam"  # the method whose share on the marker the table gives: right for a flatten head, too


def story(progress: Callable[[int, int, str], None] = lambda done, total, what: None) -> tuple[Section, ...]:
    """Compute the page's sections: nothing in them is written down beforehand.

    Parameters
    ----------
    progress : called as `progress(done, total, what)`.
    """
    clean = load_models([f"phantom:{f}" for f in FAMILIES])
    shortcut = load_models([f"phantom:{f}-shortcut" for f in FAMILIES])
    patient = render(DEMO_SEED, lesion="disc", marker=True, catheter=True)
    image = picture(DEMO_SEED)
    total = 2 * len(FAMILIES)

    def advance(done: int, _: int, what: str, before: int = 0) -> None:
        progress(before + done, total, what)

    right = explain(image, clean, METHODS, "disc", progress=advance)
    wrong = explain(image, shortcut, METHODS, "disc", progress=lambda d, t, w: advance(d, t, w, before=len(FAMILIES)))
    without = {name: _shown(patient, name) for name in ("lesion", "marker")}
    ring = picture(DEMO_SEED, lesion="ring")
    rows = [
        _row(model, explanation, patient, without, ring)
        for explanation, models in ((right, clean), (wrong, shortcut))
        for model in models
    ]
    return (
        Section(
            title="One picture, eight networks, one answer",
            text=(
                "This film is drawn, so its truth is known. The class is the shape of the lesion: a disc. The boxed "
                "letter L in a corner is a marker such as X-ray rooms put on their films; it says nothing about the "
                "lesion, and neither does the bright line of the catheter.",
                "Four networks learned from films where the marker came by chance. The other four, of the same "
                "architectures, learned from films where it hung in 97 % of the discs and in 3 % of all others. "
                f"{_agreement(right, wrong)} Accuracy on such films cannot tell them apart. The maps can, and so can "
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
                    "a ring with the marker",
                ),
                rows=tuple(rows),
                note=(
                    "Removed: by how much the log-odds of disc fall when the same film is drawn without it. Map on the "
                    f"marker: the share of the {READS} map's mass there, over the marker's share of the picture; a map "
                    "that knows nothing has 1. Last: what the network says of the same patient with a ring instead."
                ),
            ),
        ),
        Section(
            title="Networks that learned the lesion",
            text=("Their maps gather on the disc in the lung.",),
            explanations=(right,),
        ),
        Section(
            title="Networks that learned the marker",
            text=(
                "The same picture, the same answer; but these look at the corner. A map of one picture shows it; "
                "how much it can be trusted, and what holds for all pictures, takes measurements over many.",
            ),
            explanations=(wrong,),
        ),
    )


def _row(
    model: Model, explanation: Explanation, patient: Phantom, without: dict[str, Image], ring: Image
) -> tuple[str | float | None, ...]:
    said = explanation.predictions[model.name]
    top = said.top(1)[0]
    before = _log_odds(said, patient.label)
    drops = [before - _log_odds(_answer(model, changed), patient.label) for changed in without.values()]
    share = enrichment(explanation.map(model.name, READS), patient.scoring_mask("marker"))
    other = _answer(model, ring).top(1)[0]
    return (
        model.name, top.label, f"{top.probability:.1%}", *(f"{d:+.1f}" for d in drops),
        "no map" if share is None else f"{share:.1f} ×", f"{other.label} ({other.probability:.0%})",
    )  # fmt: skip


def enrichment(m: Map, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float | None:
    """Share of a map's mass (absolute values) on `mask`, over the mask's share of what the model saw.

    Parameters
    ----------
    m : the map.
    mask : bool [H, W], on the original picture.

    Returns
    -------
    1 for a map that knows nothing of the mask; None where the map is all zero.
    """
    on = np.abs(m.on_image())
    seen = np.isfinite(on)
    mass = float(on[seen].sum())
    area = float(mask[seen].mean())
    return None if mass == 0 or area == 0 else float(on[mask & seen].sum()) / mass / area


def _shown(patient: Phantom, dropped: str) -> Image:
    """The same patient, drawn without one component."""
    from whylook.image import load_image

    return load_image(render(DEMO_SEED, lesion="disc", marker=True, catheter=True, drop=(dropped,)).pixels)


def _answer(model: Model, image: Image) -> Prediction:
    x = model.preprocess.apply(image)[None]
    seen, _ = run(model.network, (x,), [], lambda z, one: resolve(None, z, one), Score())
    return predict(model, seen.logits)


def _log_odds(prediction: Prediction, label: int) -> float:
    """The margin: the label's logit less the log-sum-exp of the others."""
    logits = torch.from_numpy(prediction.logits).double()[None]
    return float(Score("margin")(logits, torch.tensor([[label]])))


def _agreement(*explanations: Explanation) -> str:
    answers = [p.top(1)[0] for e in explanations for p in e.predictions.values()]
    discs = sum(a.label == "disc" for a in answers)
    least = min(a.probability for a in answers if a.label == "disc")
    if discs == len(answers):
        return f"Of this film all {discs} say disc, each with a probability of {least:.0%} or more."
    return f"Of this film {discs} of {len(answers)} say disc."
