"""From an explanation to its table of facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whylook.errors import UsageError
from whylook.facts import regions
from whylook.facts.evidence import Evidence, MapEvidence, of_explanation
from whylook.facts.fact import Fact, Facts, Subject, shown
from whylook.facts.limits import limits
from whylook.metrics.grids import shifted_ranks
from whylook.metrics.metric import NotAssessable
from whylook.report import words

if TYPE_CHECKING:
    from whylook.explanation import Explanation

Masks = Mapping[str, NDArray[np.bool_]]

AGREE = 0.7
"""Rank correlation from which two maps are said to agree; below, partly, and not where smoothness alone gives as much."""
FEWEST = 9
"""Cells that two maps must have in common."""
CELLS = 14
"""Cells a side over which maps are correlated, at most."""
EVEN = 0.1
"""Share of the mass that may lie elsewhere than the area does for a map to be called even."""

# How the questions of a trust card are called in sentences; the card's own verdict has no question.
_TRUST = {
    "": "trust verdict",
    "dependence": "answer dependence",
    "reliance": "picture dependence",
    "learned": "training dependence",
    "stability": "mirror stability",
    "agreement": "cross-method agreement",
    "place": "region match",
}


def facts(explanation: Explanation | Evidence, mask: ArrayLike | Mapping[str, ArrayLike] | None = None) -> Facts:
    """Measure an explanation.

    Parameters
    ----------
    explanation : of one picture, or what a folder keeps of one (`whylook.facts.evidence.of_folder`).
    mask : bool, or 0 and not 0, [H, W] in the picture's coordinates, or several by name.

    Returns
    -------
    The table: answers and margins of each model; for each map its warnings, its mass in the nine parts of the picture
    and in the masks, its peak, its own numbers; agreement of maps between models and between methods; limits.

    Raises
    ------
    UsageError
        If a mask has not the size of the picture, or marks nothing or everything.
    """
    evidence = explanation if isinstance(explanation, Evidence) else of_explanation(explanation)
    masks = named_masks(mask, evidence.size)
    made = [*_counts(evidence), *_answers(evidence), *_same_class(evidence)]
    for number, m in enumerate(evidence.maps, 1):
        made += _map(f"a{number}", m, evidence.size, masks)
    made += _agreement(evidence)
    for number, (model, method, why) in enumerate(evidence.failures, 1):
        subject = Subject((model,) if model else (), (method,) if method else ())
        made.append(Fact(f"failure{number}", "failure", shown(why), "why there is no map", subject=subject))
    made += limits(evidence)
    methods = dict.fromkeys([m.method for m in evidence.maps] + [f[1] for f in evidence.failures if f[1]])
    return Facts(tuple(made), evidence.picture, {name: words.facts(name).title for name in methods})


def share(value: float) -> str:
    """Return a share as it is shown: as a probability is, but nothing is nothing and all is all."""
    if not np.isfinite(value):
        return "not assessable"
    return f"{100 * value:.0f} %" if value in (0.0, 1.0) else words.percent(value)


def named_masks(mask: ArrayLike | Mapping[str, ArrayLike] | None, size: tuple[int, int]) -> Masks:
    """Read masks: bool [H, W] by name as it is shown; one alone is called `mask`.

    Raises
    ------
    UsageError
        If one has not the size (rows, columns), marks nothing or everything, or has the name of another region.
    """
    given = {} if mask is None else mask if isinstance(mask, Mapping) else {"mask": mask}
    masks: dict[str, NDArray[np.bool_]] = {}
    for name, values in given.items():
        array = np.asarray(values) != 0
        if array.shape != size:
            raise UsageError(f"The mask {name!r} has shape {array.shape}; the picture is {size} (rows, columns).")
        if array.all() or not array.any():
            raise UsageError(f"The mask {name!r} marks {'everything' if array.any() else 'nothing'} in the picture.")
        if shown(name) in (*regions.THIRDS, *masks):
            raise UsageError(f"The mask {name!r} has the name of another region; choose another.")
        masks[shown(name)] = array
    return masks


def _counts(evidence: Evidence) -> list[Fact]:
    maps = evidence.maps
    counted = {
        "models": len(evidence.answers) or len({m.model for m in maps}),
        "methods": len({m.method for m in maps}),
        "maps": len(maps),
    }
    return [Fact(f"n.{k}", k, str(v), f"number of {k}", float(v)) for k, v in counted.items()]


def _answers(evidence: Evidence) -> list[Fact]:
    made = []
    for number, (model, top) in enumerate(evidence.answers.items(), 1):
        for rank, r in enumerate(top, 1):
            known = np.isfinite(r.probability)
            verdict = {1: "largest", 2: "second"}.get(rank, "") if known else "not assessable"
            made.append(
                Fact(
                    f"m{number}.p{rank}", "probability", words.percent(r.probability) if known else "not finite",
                    f"probability that {model} gives its class of rank {rank}, {shown(r.label)}",
                    float(r.probability) if known else None, "%", verdict=verdict,
                    subject=Subject((model,), target=shown(r.label), rank=rank),
                )
            )  # fmt: skip
        if len(top) > 1 and np.isfinite(gap := float(top[0].logit) - float(top[1].logit)):
            made.append(
                Fact(
                    f"m{number}.margin", "margin", words.number(gap),
                    f"logit of the first class of {model} less that of its second", gap,
                    subject=Subject((model,), target=shown(top[0].label)),
                )
            )  # fmt: skip
        seen = next((m.visible for m in evidence.maps if m.model == model), None)
        if seen is not None:
            part = (seen[2] - seen[0]) * (seen[3] - seen[1]) / (evidence.size[0] * evidence.size[1])
            part = 1.0 if part > 1 - 1e-9 else float(part)
            made.append(
                Fact(
                    f"m{number}.shown", "shown", share(part), f"part of the picture's area that {model} was shown", part,
                    "%", subject=Subject((model,)),
                )
            )  # fmt: skip
    return made


def _same_class(evidence: Evidence) -> list[Fact]:
    made = []
    for number, ((a, first), (b, second)) in enumerate(combinations(evidence.answers.items(), 2), 1):
        if first and second:
            same = shown(first[0].label) == shown(second[0].label)
            made.append(
                Fact(
                    f"c{number}", "same class", "same class" if same else "different classes",
                    f"whether {a} and {b} give the same class first", verdict="same" if same else "different",
                    subject=Subject((a, b)),
                )
            )  # fmt: skip
    return made


def _map(key: str, m: MapEvidence, size: tuple[int, int], masks: Masks) -> list[Fact]:
    subject = Subject((m.model,), (m.method,), shown(m.target.label))
    of = f"the {words.facts(m.method).title} map of {m.model} for {m.target}"
    made = []
    if m.warning:
        made.append(Fact(f"{key}.warning", "warning", shown(m.warning), f"warning of {of}", subject=subject))
    values = np.asarray(m.values, np.float64)
    why = m.reason
    if not np.isfinite(values).all():
        why = why or "Its values are not finite."
    elif not (values > 0).any():
        why = why or "Nothing in it speaks for the class."
    if why:
        verdict = "zero" if not values.any() else "not assessable"
        made.append(
            Fact(f"{key}.empty", "empty", shown(why), f"why {of} shows nothing", verdict=verdict, subject=subject)
        )
    else:
        made += _mass(key, m, np.maximum(values / values.max(), 0), size, masks, subject, of)
        made += _peak(key, m, size, masks, subject, of)
        if m.signed and (values < 0).any():
            scaled = abs(values) / abs(values).max()
            against = float(scaled[values < 0].sum() / scaled.sum())
            made.append(
                Fact(
                    f"{key}.against", "negative share", share(against),
                    f"part of {of} that counts against the class, of the sum of magnitudes", against, "%", subject=subject,
                )
            )  # fmt: skip
    for value, (name, text) in zip(m.facts.values(), words.numbers(m), strict=True):
        unit = "%" if text.endswith("%") else ""
        known = float(value) if np.isfinite(value) else None
        made.append(
            Fact(f"{key}.{name.replace(' ', '-')}", name, text, f"{name} of {of}", known, unit, subject=subject)
        )
    for name, count in m.passes.items():
        if isinstance(count, int):
            made.append(
                Fact(
                    f"{key}.passes-{name}", f"{name} passes", str(count), f"{name} passes for {of}", float(count), "passes",
                    subject=subject,
                )
            )  # fmt: skip
    for question, (verdict, asked) in m.trust.items():
        about = f"trust card of {of}: {asked}"
        kind = _TRUST.get(question, question)
        made.append(
            Fact(f"{key}.trust-{question or 'verdict'}", kind, verdict, about, verdict=verdict, subject=subject)
        )
    return made


def _mass(
    key: str,
    m: MapEvidence,
    positive: NDArray[np.float64],
    size: tuple[int, int],
    masks: Masks,
    subject: Subject,
    of: str,
) -> list[Fact]:
    part = "positive part" if m.signed else "mass"
    mass, area, padding = regions.thirds(positive, m.placement, m.visible, size)
    if not mass.any():
        text = "Its mass lies outside of the picture."
        return [
            Fact(f"{key}.empty", "empty", text, f"why {of} shows nothing", verdict="not assessable", subject=subject)
        ]
    made = []
    texts = [share(float(v)) for v in mass]
    best = int(mass.argmax())
    for name, value, chance, text in zip(regions.THIRDS, mass, area, texts, strict=True):
        if chance <= 0:
            continue
        largest = name == regions.THIRDS[best] and texts.count(text) == 1
        made.append(
            Fact(
                f"{key}.{name.replace(' ', '-')}", "share", text, f"share of the {part} of {of} in the {name} of the picture",
                float(value), "%", chance=float(chance), chance_text=share(float(chance)), n=int(m.values.size),
                verdict="largest" if largest else _against_chance(text, share(float(chance)), value, chance),
                subject=_at(subject, name),
            )
        )  # fmt: skip
    moved = float(abs(mass - area).sum() / 2)
    made.append(
        Fact(
            f"{key}.spread", "spread", share(moved),
            f"share of the {part} of {of} that lies elsewhere than the area does, over the nine parts of the picture",
            moved, "%", verdict="even" if moved < EVEN else "uneven", subject=subject,
        )
    )  # fmt: skip
    if padding > 1e-6:
        about = f"share of the {part} of {of} on padding, outside of the picture"
        made.append(Fact(f"{key}.padding", "padding", share(padding), about, padding, "%", subject=subject))
    densities = []
    for number, (name, mask) in enumerate(masks.items(), 1):
        inside, covered = regions.masked(positive, mask, m.placement, m.visible)
        if not 0 < covered < 1 or not np.isfinite(inside):
            continue
        made.append(
            Fact(
                f"{key}.r{number}", "share", share(inside), f"share of the {part} of {of} in {name}", inside, "%",
                chance=covered, chance_text=share(covered), n=int(m.values.size),
                verdict=_against_chance(share(inside), share(covered), inside, covered), subject=_at(subject, name),
            )
        )  # fmt: skip
        densities.append((number, name, inside / covered))
    for number, name, value in densities:
        text = _times(value)
        top = len(densities) > 1 and all(value > v for n, _, v in densities if n != number)
        made.append(
            Fact(
                f"{key}.d{number}", "density", text, f"how many times denser the {part} of {of} is in {name} than overall",
                value, "times", chance=1.0, chance_text="1 times", subject=_at(subject, name),
                verdict="largest" if top and value > 1 else _against_chance(text, "1 times", value, 1.0),
            )
        )  # fmt: skip
    return made


def _times(value: float) -> str:
    return (
        "< 0.01 times"
        if value < 0.005
        else f"{words.number(float(f'{value:.2g}' if value >= 0.1 else f'{value:.2f}'))} times"
    )


def _against_chance(text: str, chance_text: str, value: float, chance: float) -> str:
    return "as much" if text == chance_text else "more" if value > chance else "less"


def _at(subject: Subject, region: str) -> Subject:
    return Subject(subject.models, subject.methods, subject.target, region)


def _peak(key: str, m: MapEvidence, size: tuple[int, int], masks: Masks, subject: Subject, of: str) -> list[Fact]:
    at = words.peak_at(m.values, m.placement, size)
    if at is None:
        return [Fact(f"{key}.even", "even", "the same everywhere", f"what {of} is", subject=subject)]
    x, y = at
    made = [
        Fact(
            f"{key}.peak", "peak", f"x {x:.0f}, y {y:.0f}", f"where {of} is largest, in picture pixels", unit="px",
            subject=_at(subject, regions.third_of(x, y, size)),
        )
    ]  # fmt: skip
    for number, (name, mask) in enumerate(masks.items(), 1):
        inside = bool(mask[min(int(y), size[0] - 1), min(int(x), size[1] - 1)])
        word = "inside" if inside else "outside"
        made.append(
            Fact(
                f"{key}.peak{number}", "peak", word, f"whether {of} is largest in {name}", verdict=word,
                subject=_at(subject, name),
            )
        )  # fmt: skip
    return made


def _agreement(evidence: Evidence) -> list[Fact]:
    """Rank correlation of every two maps of one class that differ in the model, or in the method, alone.

    Of the positive parts, as all that is said of places, and over at most `CELLS` cells a side: at single pixels the
    noise of gradients would decide. Its chance level is the end of the band that the maps' smoothness alone gives (97.5 % of
    the correlations with one of them moved over the other, see `shifted_ranks`).
    """
    made: list[Fact] = []
    for a, b in combinations(evidence.maps, 2):
        same = (a.model == b.model, a.method == b.method)
        if sum(same) != 1 or (a.target.label, a.target.index) != (b.target.label, b.target.index):
            continue
        subject = Subject(
            (a.model,) if same[0] else (a.model, b.model),
            (a.method,) if same[1] else (a.method, b.method),
            shown(a.target.label),
        )
        names = [f"the {words.facts(m.method).title} map of {m.model}" for m in (a, b)]
        about = (
            f"rank correlation of the evidence in {names[0]} and {names[1]} for {a.target}, over what both were shown"
        )
        made.append(_correlated(f"g{len(made) + 1}", a, b, about, subject))
    return [*made, *_pairs("models", "pairs between models", made), *_pairs("methods", "pairs within a model", made)]


def _pairs(dimension: str, name: str, made: list[Fact]) -> list[Fact]:
    """How many of several pairs that differ in the model, or in the method, agree, and how many do not."""
    these = [f for f in made if len(getattr(f.subject, dimension)) == 2]
    if len(these) < 2:
        return []
    counts = {"agree": 0} | Counter(f.verdict for f in these)
    what = "two models by one method" if dimension == "models" else "one model by two methods"
    return [
        Fact(
            f"g.{dimension}.{verdict.replace(' ', '-')}", name, str(count),
            f"how many of {len(these)} pairs of maps of {what} and for one class have the verdict {verdict}",
            float(count), n=len(these), verdict=verdict,
        )
        for verdict, count in counts.items()
    ]  # fmt: skip


def _correlated(key: str, a: MapEvidence, b: MapEvidence, about: str, subject: Subject) -> Fact:
    def unknown(why: str) -> Fact:
        return Fact(key, "agreement", f"not assessable: {why}", about, verdict="not assessable", subject=subject)

    first, second = np.asarray(a.values, np.float64), np.asarray(b.values, np.float64)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return unknown("a map is not finite")
    if not ((first > 0).any() and (second > 0).any()):
        return unknown("nothing in one of them speaks for the class")
    boxes = (a.placement, a.visible), (b.placement, b.visible)
    both = regions.common(np.maximum(first / first.max(), 0), np.maximum(second / second.max(), 0), boxes, CELLS)
    if both is None or both[0].size < FEWEST:
        return unknown("too small a part of the picture was shown to both models")
    try:
        alike = shifted_ranks(*both)
    except NotAssessable as why:
        return unknown(str(why))
    verdict = "not better than chance" if alike.own <= alike.high else "agree" if alike.own >= AGREE else "partly agree"
    text, chance_text = (f"{round(v, 2) + 0.0:.2f}".replace("-", "−") for v in (alike.own, alike.high))
    return Fact(
        key, "agreement", text, about, alike.own, chance=alike.high, chance_text=chance_text, n=int(both[0].size),
        verdict=verdict, subject=subject,
    )  # fmt: skip
