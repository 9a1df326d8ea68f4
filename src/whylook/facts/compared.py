"""From a comparison of models over a data set to its table of facts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from whylook.comparison.words import CAUSE, SEEDS, title, uncapital
from whylook.facts.fact import Fact, Facts, Subject, shown
from whylook.facts.measure import share
from whylook.report import words

if TYPE_CHECKING:
    from whylook.comparison.contrasts import Finding, Level
    from whylook.comparison.run import Comparison
    from whylook.statistics import Estimate

_LIMITS = (
    ("cause", CAUSE),
    ("seeds", SEEDS),
    ("no-finding", "These sentences describe attribution maps. They are no finding about a patient."),
)


def of_comparison(comparison: Comparison) -> Facts:
    """Return the facts of a comparison: accuracies, means of metrics with intervals and chance levels, findings, limits.

    A finding's text is the comparison's own, in its fixed words; nothing is tested again.
    """
    suspicious = comparison.data.suspicious
    made = [Fact("n.models", "models", str(len(comparison.models)), "number of models", float(len(comparison.models)))]
    pictures = len(comparison.gathered.common)
    about = "number of pictures that every model gets right, on which maps are compared"
    made.append(Fact("n.pictures", "pictures", str(pictures), about, float(pictures)))
    for number, (model, estimate) in enumerate(comparison.accuracy.items(), 1):
        about = f"how often {model} is right"
        made.append(_estimated(f"m{number}.accuracy", "accuracy", about, estimate, "%", Subject((model,))))
    for number, level in enumerate(comparison.levels, 1):
        made.append(_level(f"l{number}", level, suspicious))
    for number, finding in enumerate(comparison.findings, 1):
        made.append(_finding(f"f{number}", finding, suspicious))
    made += [Fact(f"limit.{key}", "limit", text, "a limit", required=True) for key, text in _LIMITS]
    methods = dict.fromkeys(level.method for level in comparison.levels)
    return Facts(tuple(made), comparison.data.name, {name: words.facts(name).title for name in methods})


def _name(kind: str, metric: str, suspicious: str | None) -> str:
    return uncapital(shown(title(kind, metric, suspicious)))  # type: ignore[arg-type]


def _level(key: str, level: Level, suspicious: str | None) -> Fact:
    name = _name(level.kind, level.metric, suspicious)
    about = f"mean {name} of the {words.facts(level.method).title} maps of {level.model}"
    return _estimated(key, name, about, level.estimate, "", Subject((level.model,), (level.method,)), level.chance)


def _estimated(
    key: str, name: str, about: str, estimate: Estimate, unit: str, subject: Subject, chance: float | None = None
) -> Fact:
    def text(value: float) -> str:
        return share(value) if unit == "%" else words.number(value)

    known = math.isfinite(estimate.value)
    ends = None if estimate.low is None or estimate.high is None else (estimate.low, estimate.high)
    return Fact(
        key, name, text(estimate.value) if known else "not assessable", about, estimate.value if known else None, unit,
        interval=ends, interval_text="" if ends is None else f"{text(ends[0])} to {text(ends[1])}",
        chance=chance, chance_text="" if chance is None else text(chance), n=estimate.n,
        verdict="" if known else "not assessable", subject=subject,
    )  # fmt: skip


def _finding(key: str, finding: Finding, suspicious: str | None) -> Fact:
    name = f"{_name(finding.kind, finding.metric, suspicious)} finding"
    models = finding.pair[:1] if finding.kind == "chance" else finding.pair
    return Fact(
        key, name, shown(finding.verdict.words), f"what may be said of {' and '.join(finding.pair)}",
        verdict=finding.verdict.kind,
        significant=finding.verdict.kind in ("higher", "lower"), subject=Subject(models),
    )  # fmt: skip
