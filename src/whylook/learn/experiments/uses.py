"""What maps are used for: which part an answer rests on, where a network fails, in what two networks differ."""

from __future__ import annotations

import numpy as np

from whylook.demo import log_odds, mass
from whylook.explainer import answer, explain
from whylook.image import Image
from whylook.learn.experiments.controls import Choice, Network, Number
from whylook.learn.experiments.films import PARTS, PATIENT, answers, as_image, drawn, film, film_image, of_films
from whylook.learn.experiments.measures import foreign, interval, number, saying, share, signed
from whylook.learn.experiments.outcome import Bar, Bars, Outcome
from whylook.learn.experiments.registration import experiment, joined
from whylook.metrics import Case, measure
from whylook.models.model import Model
from whylook.phantom import LABELS
from whylook.report.section import Table
from whylook.report.words import facts
from whylook.statistics import mcnemar, rate
from whylook.statistics.significance import ALPHA

RESTS = 1.0  # a fall of the log-odds by so much: the odds are 2.7 times smaller
_METHODS = ("hirescam", "grad-cam", "lrp", "integrated-gradients", "gradient")


@experiment(
    "counterfactual",
    "The same patient without …",
    of_films("phantom:vgg-shortcut"),
    Choice("method", "Method", "hirescam", tuple((m, facts(m).title) for m in _METHODS)),
    PATIENT,
)
def counterfactual(model: Model, method: str, patient: int) -> Outcome:
    """Draw the same patient without lesion, marker or catheter, and compare what the answer loses with what the map shows."""
    image, disc = film_image(patient), LABELS.index("disc")
    explanation = explain(image, model, method, disc)
    shown = explanation.maps[0]
    before = log_odds(explanation.predictions[model.name], disc)
    drops = {part: before - log_odds(answer(model, film_image(patient, part)), disc) for part in PARTS}
    found = {part: mass(shown.on_image(), film(patient).scoring_mask(part)) for part in PARTS}
    dense = {part: f[0] / f[1] for part, f in found.items() if f is not None}
    rests = [part for part in PARTS if drops[part] >= RESTS]
    sentences = [
        saying(explanation, model.name),
        f"Without the lesion the log-odds of disc change by {signed(-drops['lesion'])}, without the marker by "
        f"{signed(-drops['marker'])}, without the catheter by {signed(-drops['catheter'])}. "
        + (
            f"The answer rests on the {joined(rests)} (a fall of {RESTS:g} or more)."
            if rests
            else f"None of them alone makes a difference of {RESTS:g} or more."
        ),
    ]
    if dense:
        top = max(dense, key=lambda part: dense[part])
        sentences.append(
            f"The map is densest on the {top}, {number(dense[top])} times as dense as over the whole picture. "
            + (
                "That is the part whose loss costs most."
                if top == max(drops, key=lambda part: drops[part])
                else f"The part whose loss costs most is another, the {max(drops, key=lambda part: drops[part])}."
            )
        )
    else:
        sentences.append(f"The map shows nothing. {shown.reason or ''}".strip())
    bars = Bars(
        title="Taken away",
        axis="fall of the log-odds of disc",
        bars=tuple(Bar(f"without {part}", drops[part]) for part in PARTS),
        says="; ".join(f"without {part} {signed(-drops[part])}" for part in PARTS) + ".",
    )
    table = Table(
        ("part", "fall of the log-odds", "share of the map", "share of the picture"),
        tuple(
            (part, signed(drops[part]), *("–" if f is None else share(v) for v in (f or (0, 0))))
            for part, f in found.items()
        ),
        "The parts are widened by 4 pixels, for an edge is seen from both its sides.",
    )
    numbers = {**{f"drop_{p}": d for p, d in drops.items()}, **{f"dense_{p}": d for p, d in dense.items()}}
    return Outcome(tuple(sentences), numbers, (explanation,), (bars,), table)


_FILMS = 32


@experiment(
    "mistakes",
    "Where does it fail?",
    of_films("phantom:resnet-shortcut"),
    Number("which", "Mistake shown", 1, 1, 10),
)
def mistakes(model: Model, which: int) -> Outcome:
    """Show the same patients with the marker as in training and the other way round, count mistakes, and look at one."""
    sets = {
        "the marker as in training": drawn("aligned", _FILMS),
        "the marker the other way round": drawn("anti", _FILMS),
    }
    labels = np.array([p.label for p in drawn("aligned", _FILMS)])
    said = {name: answers(model, films).argmax(1) for name, films in sets.items()}
    right = {name: own == labels for name, own in said.items()}
    rows = []
    for name, hits in right.items():
        _, low, high = interval(rate(hits.astype(float)))
        rows.append((name, _FILMS, int(hits.sum()), f"{share(low)} to {share(high)}"))
    along, against = (float(hits.mean()) for hits in right.values())
    lost, won = (int((a & ~b).sum()) for a, b in zip(right.values(), list(right.values())[::-1], strict=True))
    p = mcnemar(lost, won)
    sentences = [
        f"The films show the same {_FILMS} patients twice. With the marker in discs only (but for a few), {model.name} is "
        f"right on {rows[0][2]}; with the marker in the others, on {rows[1][2]}.",
        f"It gets {lost} of them right in the first series only, {won} in the second only: p = {number(p)} by McNemar's test. "
        + (
            "The marker makes the mistakes."
            if p < ALPHA and lost > won
            else "That is no sign that it reads the marker."
        ),
    ]
    table = Table(("films", "number", "right", "95 % interval"), tuple(rows), "Interval by Wilson.")
    numbers = {"along": along, "against": against, "p": p}
    wrong = [(name, int(i)) for name in list(sets)[::-1] for i in np.flatnonzero(~right[name])]
    if not wrong:
        sentences.append("There is no mistake to look at.")
        return Outcome(tuple(sentences), numbers, (), (), table)
    name, first = wrong[min(which, len(wrong)) - 1]
    phantom, answered = sets[name][first], int(said[name][first])
    image = as_image(phantom, f"film-{first}.png")
    explanation = explain(image, model, "hirescam", [answered, int(labels[first])])
    own = explanation.maps[0].on_image()
    parts = {c: mass(own, phantom.scoring_mask(c)) for c in phantom.components}
    told = [f"{share(f[0])} on the {c} ({share(f[1])} of the picture)" for c, f in parts.items() if f is not None]
    sentences.append(
        f"Mistake {min(which, len(wrong))} of {len(wrong)}: film {first}, {name}. It shows a {LABELS[labels[first]]}, and the "
        f"network says {LABELS[answered]}. "
        + (
            f"Of the HiResCAM map of its answer lies {joined(told)}."
            if told
            else "The HiResCAM map of its answer is empty."
        )
    )
    return Outcome(tuple(sentences), numbers, (explanation,), (), table)


@experiment(
    "two-networks",
    "Two networks, one picture",
    Network("model", "Network", "phantom:resnet"),
    Network("other", "Other network", "phantom:resnet-shortcut"),
    Choice("method", "Method", "hirescam", tuple((m, facts(m).title) for m in _METHODS)),
)
def two_networks(image: Image, model: Model, other: Model, method: str) -> Outcome:
    """Compare the maps of two networks for one class: do they rank the places alike?"""
    if model.name == other.name:
        return Outcome((f"Both are {model.name}: choose two different ones.",))
    explanation = explain(image, [model, other], method)
    maps = {m.model: m for m in explanation.maps}
    sentences = [saying(explanation, model.name), saying(explanation, other.name)]
    if len(maps) < 2:
        sentences += [f"{name}: {why}" for name, _, why in explanation.failures]
        return Outcome((*foreign(model, image), *sentences), {}, (explanation,))
    one, two = maps[model.name], maps[other.name]
    score = measure("rank-correlation", Case(values=one.values, other=two.values))
    if one.target.label != two.target.label:
        sentences.append(f"Each map explains its own answer: {one.target.label} and {two.target.label}.")
    if score.value is None:
        sentences.append(f"The maps cannot be compared: {score.reason}.")
        return Outcome((*foreign(model, image), *sentences), {}, (explanation,))
    low, high = score.facts["low"], score.facts["high"]
    if score.value > high:
        verdict = "more alike than that: both rank the places of this picture alike"
    elif score.value < low:
        verdict = "less alike than that: where one looks, the other does not"
    else:
        verdict = "no more alike than that: they do not show the same places"
    sentences.append(
        f"The rank correlation of the two maps is {number(round(score.value, 3))}. Moving one map over the other gives from "
        f"{number(round(low, 3))} to {number(round(high, 3))} (95 %), by their smoothness alone; the two are {verdict}."
    )
    sentences.append("One picture says nothing about the networks in general; whylook compare measures over many.")
    return Outcome(
        (*foreign(model, image), *sentences), {"similarity": score.value, "low": low, "high": high}, (explanation,)
    )
