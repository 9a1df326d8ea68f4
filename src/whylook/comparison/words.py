"""What may be said, and what has to be said with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product
from typing import TYPE_CHECKING

from whylook.comparison.contrasts import Finding, Kind, Level
from whylook.metrics import METRICS
from whylook.report.words import facts, number
from whylook.statistics.intervals import COVERAGE, FEW
from whylook.statistics.significance import EXACT, fewest_units

if TYPE_CHECKING:
    from whylook.comparison.run import Comparison
    from whylook.statistics import Estimate

SEEDS = (
    "What is compared are these trained networks. That one family of networks is better than another is more than they "
    "can show: it takes several training seeds of each, compared in the same way."
)
CAUSE = (
    "A map on the mask does not prove that a network decides by it, and a difference here is one of where maps lie, on "
    "pictures that every model gets right."
)


def title(kind: Kind, metric: str, suspicious: str | None = None) -> str:
    """What a metric is called in a heading."""
    if kind == "accuracy":
        return "Accuracy"
    if kind in ("suspicious", "chance"):
        return METRICS[metric].title.replace("mask", f"{suspicious or 'suspicious region'}")
    return METRICS[metric].title


def sentences(comparison: Comparison) -> list[str]:
    """What may be said of a comparison, each sentence supported by its own intervals."""
    common = comparison.gathered.common
    said = [accuracy(name, estimate) for name, estimate in comparison.accuracy.items()]
    said += _of("Accuracy", [f for f in comparison.findings if f.kind == "accuracy"])
    if not common:
        return [*said, "There is no picture that all models get right, so their maps cannot be compared."]
    said.append(compared(comparison))
    of_maps = [f for f in comparison.findings if f.kind in ("maps", "suspicious")]
    if len(comparison.models) == 2:
        said += _together(comparison, of_maps)
    else:
        for kind, metric in dict.fromkeys((f.kind, f.metric) for f in of_maps):
            said += of_metric(comparison, kind, metric)
    said += [shortcut(comparison, f) for f in comparison.findings if f.kind == "chance"]
    if len(comparison.models) > 1:
        said.append(SEEDS)
    return said


def _together(comparison: Comparison, found: Sequence[Finding]) -> list[str]:
    """Of two models: what differs, metric by metric, and in one sentence what does not."""
    alike: dict[str, list[str]] = {}
    said = []
    for f in found:
        if f.verdict.kind in ("higher", "lower"):
            said += of_metric(comparison, f.kind, f.metric)
        else:
            heading = title(f.kind, f.metric, comparison.data.suspicious)
            alike.setdefault(f.verdict.words, []).append(
                heading if not alike.get(f.verdict.words) else uncapital(heading)
            )
    return said + [f"{listed(headings)}: {words}." for words, headings in alike.items()]


def uncapital(heading: str) -> str:
    """A heading within a sentence; abbreviations stay as they are."""
    first = heading.partition(" ")[0]
    return heading if any(letter.isupper() for letter in first[1:]) else heading[:1].lower() + heading[1:]


def of_metric(comparison: Comparison, kind: Kind, metric: str) -> list[str]:
    """What may be said by one metric; nothing where there is no pair of models."""
    members = [f for f in comparison.findings if (f.kind, f.metric) == (kind, metric)]
    return _of(title(kind, metric, comparison.data.suspicious), members) if members else []


def accuracy(name: str, estimate: Estimate) -> str:
    """How often a model is right."""
    right = round(estimate.value * estimate.n)
    return f"{name} is right on {right} of {estimate.n} pictures: {rate(estimate)}."


def rate(estimate: Estimate) -> str:
    """A rate with its interval: `96.7 % [88.6, 99.1]`."""
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f} %"
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def interval(estimate: Estimate) -> str:
    """A number with its interval: `1.2 [0.4, 2.1]`."""
    if estimate.low is None or estimate.high is None:
        value = number(estimate.value) if math.isfinite(estimate.value) else "–"
        return f"{value} ({estimate.reason})"
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def p_value(p: float | None) -> str:
    """A p-value as papers print it: `.034`, `< .001`."""
    if p is None:
        return "–"
    if p >= 0.9995:
        return "1"
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def dummies(level: Level) -> str:
    """The lowest and the highest mean of the dummies."""
    return span(list(level.dummies.values())) if level.dummies else "–"


def lost(comparison: Comparison) -> str | None:
    """How much of the masks the models' crops cut away, where it is more than a little."""
    said = []
    for model in comparison.gathered.models:
        shares = [p.scores[model]["lost"] for p in comparison.gathered.common]
        cut = [v for v in shares if v is not None and v > 0.01]
        if cut:
            most = f"{100 * max(cut):.0f} %"
            said.append(f"{model} in {len(cut)} of {len(shares)} pictures (at most {most})")
    return f"The crop cuts away more than 1 % of the mask's area for {listed(said)}." if said else None


def missing(comparison: Comparison) -> list[str]:
    """Where maps have no number by a metric, and why: what is compared are the pictures where both models have one."""
    gathered = comparison.gathered
    without: dict[str, dict[tuple[str, str, int], list[str]]] = {}
    for model, method, metric in product(gathered.models, comparison.plan.methods, comparison.plan.metrics):
        cells = [p.scores[model]["maps"].get(method, {}).get(metric) for p in gathered.common]
        for why, count in Counter(c[2] for c in cells if c is not None and c[0] is None).items():
            heading = METRICS[metric].title
            without.setdefault(why or "it was not measured", {}).setdefault((model, method, count), []).append(heading)
    total = len(gathered.common)
    return [
        f"No number where {why}: "
        + "; ".join(
            f"{listed([headings[0], *map(uncapital, headings[1:])])} of {model} by {facts(method).title} in {count} of {total} "
            "pictures"
            for (model, method, count), headings in found.items()
        )
        + ". These pictures are left out of that measure."
        for why, found in without.items()
    ]


def compared(comparison: Comparison) -> str:
    """On what maps are compared."""
    pictures = comparison.gathered.common
    units = len({p.unit for p in pictures})
    grouped = f" of {units} {'group' if units == 1 else 'groups'}" if units < len(pictures) else ""
    count = len(comparison.models)
    all_of = {1: "the model gets", 2: "both models get"}.get(count, f"all {count} models get")
    return f"Maps are compared on the {len(pictures)} pictures{grouped} that {all_of} right."


def _of(heading: str, members: Sequence[Finding]) -> list[str]:
    """Sentences on one metric: who is higher than whom, and how many pairs show nothing."""
    if len(members) == 1:
        first, second = members[0].pair
        words = members[0].verdict.words
        directed = members[0].verdict.kind in ("higher", "lower")
        return [f"{heading}: {words}." if directed else f"{heading}, {first} and {second}: {words}."]
    above: dict[tuple[str, str], list[str]] = {}
    others: dict[str, int] = {}
    for found in members:
        if found.verdict.kind in ("higher", "lower"):
            high, low = found.pair if found.verdict.kind == "higher" else found.pair[::-1]
            evidence = found.verdict.words[found.verdict.words.rindex("(") :]
            above.setdefault((high, evidence), []).append(low)
        else:
            others[found.verdict.words] = others.get(found.verdict.words, 0) + 1
    said = [f"{heading}: {high} higher than {listed(low)} {evidence}." for (high, evidence), low in above.items()]
    return said + [f"{heading}: in {n} of {len(members)} pairs, {words}." for words, n in others.items()]


def shortcut(comparison: Comparison, found: Finding) -> str:
    """What is said of one model's maps and the suspicious region."""
    model = found.pair[0]
    where = comparison.data.suspicious or "suspicious region"
    levels = [v for v in comparison.levels if (v.kind, v.metric, v.model) == ("suspicious", "mass", model)]
    masses = [v.estimate.value for v in levels]
    area = next((v.chance for v in levels if v.chance is not None), None)
    shares = span([100 * m for m in masses], " %")
    told = f"{shares} of the mass on {number(100 * area) if area is not None else '?'} % of the area"
    n = levels[0].estimate.n if levels else 0
    words = found.verdict.words
    if found.verdict.kind in ("higher", "lower"):
        return f"Shortcut check, {model}: {words}: {told}, over {n} pictures with a {where}."
    return f"Shortcut check, {model}, mass on the {where} against its area share: {words}: {told}, over {n} pictures."


def span(values: Sequence[float], unit: str = "") -> str:
    """One number, or the lowest and the highest of several."""
    low, high = number(min(values)), number(max(values))
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def listed(names: Iterable[str]) -> str:
    """Names with commas and an `and`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def fine_print(comparison: Comparison) -> list[str]:
    """How the numbers were made, and what they cannot show."""
    made = len(comparison.contrasts)
    units = len({p.unit for p in comparison.gathered.common})
    kinds = dict.fromkeys(c.tested.difference.kind for c in comparison.contrasts)
    said = [
        "Differences are paired: both models on the same picture. Their intervals are nominal 95 %"
        + (", with whole groups resampled." if comparison.gathered.units() else "."),
    ]
    said += [f"{_kind(kind)}: {COVERAGE[kind]}." for kind in kinds]
    if units < FEW:
        said.append(f"There are {units} units, fewer than {FEW}: intervals of means are Student's t.")
    if made:
        fewest = fewest_units(made)
        said.append(
            f"{made} comparisons were made and their p-values adjusted together by Holm. p is that of flipped signs, "
            f"exact up to {EXACT} units that differ and (b + 1) / (B + 1) of random patterns beyond; for hits, of "
            "McNemar's exact test: if two models do not differ, either sign of a unit's difference is as likely. With "
            f"fewer than {fewest} units no p could pass, and the words are “not assessable”."
        )
    said.append(
        "“Higher” is said only if, for every method, the interval excludes 0 and the adjusted p is below .05, all with "
        "the same sign. “No detectable difference” is not “equal”: see the number of units that a difference would take."
    )
    said.append(
        "Raw deletion areas are not compared, for they depend on how steeply a network falls for any order "
        "(arXiv:2408.08137); the gap is in units of each network's own fall. IoU at equal area follows from the rank "
        "accuracy of each picture, and is no second witness."
    )
    said.append(
        "The band behind each strip reaches from the lowest to the highest mean of four dummies of the same grain that "
        "know nothing of the model: random, Sobel edges, center, uniform."
    )
    for method in comparison.plan.methods:
        grids = comparison.gathered.grids(method)
        if len(set(grids.values())) > 1:
            told = listed(f"{grid} ({model})" for model, grid in grids.items())
            said.append(
                f"The maps of {facts(method).title} have different grids: {told}. A coarse map cannot be as dense on a "
                "small mask as a fine one; compare each with its own dummies, and rely on what all methods agree in."
            )
    return [*said, CAUSE, *([SEEDS] if len(comparison.models) > 1 else [])]


def _kind(kind: str) -> str:
    return {
        "bootstrap": "Bootstrap intervals",
        "t": "Student's t intervals",
        "Bonett-Price": "Bonett and Price's intervals of differences of hits",
    }.get(kind, f"{kind}'s intervals")
