"""What is written beside the page: scores.csv, one value a line, and compare.json, schema `whylook-compare/1`."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whylook.comparison.contrasts import Contrast, Level
from whylook.report.bundle import NARRATIVE, save_narratives, write_text, writing
from whylook.report.manifest import to_json, versions
from whylook.report.words import plain

if TYPE_CHECKING:
    from whylook.comparison.run import Comparison
    from whylook.narration.narrative import Narrative
    from whylook.statistics import Estimate

SCHEMA = "whylook-compare/1"
RESULT, SCORES, PAGE = "compare.json", "scores.csv", "compare.html"
COLUMNS = ("picture", "group", "model", "method", "metric", "value", "chance", "beside", "reason")


def rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One row per picture, model, method and metric.

    Accuracy has the metric `right` and no method. A dummy's method is `dummy:random`, …, and `beside` names the method
    whose maps it has the grain of. Metrics given the second mask begin with `suspicious-`. A missing value has a reason.
    """
    found: list[dict[str, Any]] = []
    for picture in comparison.gathered.pictures:
        for model in comparison.gathered.models:
            start = {"picture": picture.name, "group": picture.group, "model": model}
            said = picture.answers[model]
            found.append(_row(start, "", "right", said["right"], 1 / said["classes"] if said["classes"] > 1 else None))
            scores = picture.scores.get(model)
            if scores is None:
                continue
            for method, why in scores["failures"].items():
                found += [_row(start, method, metric, None, None, why) for metric in comparison.plan.metrics]
            for where, dummies, prefix in (
                ("maps", "dummies", ""),
                ("suspicious", "suspicious_dummies", "suspicious-"),
            ):
                for method, by_metric in scores[where].items():
                    found += [_row(start, method, prefix + k, v[0], v[1], v[2]) for k, v in by_metric.items()]
                    for dummy, values in scores[dummies].get(method, {}).items():
                        for metric, value in values.items():
                            chance = by_metric.get(metric, (None, None))[1]
                            row = _row(start, f"dummy:{dummy}", prefix + metric, value, chance)
                            found.append({**row, "beside": method})
    return found


def _row(
    start: dict[str, Any], method: str, metric: str, value: Any, chance: float | None, reason: str | None = None
) -> dict[str, Any]:
    row = {
        **start,
        "method": method,
        "metric": metric,
        "value": value,
        "chance": chance,
        "beside": "",
        "reason": reason,
    }
    return {name: row[name] for name in COLUMNS}


def document(comparison: Comparison) -> dict[str, Any]:
    """The content of compare.json."""
    gathered = comparison.gathered
    told = {
        "schema": SCHEMA,
        "versions": versions(),
        "data": {
            "name": comparison.data.name,
            "notes": list(comparison.data.notes),
            "marked": comparison.data.marked,
            "suspicious": comparison.data.suspicious,
            "pictures": len(gathered.pictures),
            "all_right": len(gathered.common),
            "units": len({p.unit for p in gathered.common}),
            "left_out": [{"picture": o.name, "kind": o.kind, "why": o.why} for o in comparison.left_out],
            "left_out_by_kind": dict(Counter(o.kind for o in comparison.left_out)),
        },
        "models": [
            {
                "name": name,
                "source": model.source,
                "fingerprint": model.fingerprint or None,
                "preprocess": model.preprocess.as_dict(),
                "notes": list(model.notes),
                "accuracy": _estimate(comparison.accuracy[name]),
            }
            for name, model in comparison.models.items()
        ],
        "plan": comparison.plan.facts(),
        "sentences": comparison.sentences(),
        "findings": [
            {
                "kind": f.kind, "metric": f.metric, "first": f.pair[0], "second": f.pair[1],
                "verdict": f.verdict.kind, "words": f.verdict.words,
            }
            for f in comparison.findings
        ],
        "contrasts": [_contrast(c) for c in comparison.contrasts],
        "levels": [_level(v) for v in comparison.levels],
        "failures": [
            {"model": m, "method": x, "why": why}
            for m in gathered.models
            for x in comparison.plan.methods
            if (why := gathered.why_missing(m, x))
        ],
    }  # fmt: skip
    clean: dict[str, Any] = plain(told)
    return clean


def _contrast(contrast: Contrast) -> dict[str, Any]:
    return {
        "kind": contrast.kind,
        "metric": contrast.metric,
        "method": contrast.method,
        "first": contrast.first,
        "second": contrast.second,
        "difference": _estimate(contrast.tested.difference),
        "p": contrast.tested.p,
        "p_holm": contrast.tested.p_holm,
        "missing": contrast.tested.missing,
        "comparisons": contrast.tested.comparisons,
        "needed_units": contrast.needed,
    }


def _level(level: Level) -> dict[str, Any]:
    return {
        "kind": level.kind,
        "metric": level.metric,
        "method": level.method,
        "model": level.model,
        "mean": _estimate(level.estimate),
        "chance": level.chance,
        "dummies": dict(level.dummies),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "units": estimate.units,
        "n": estimate.n,
        "interval": estimate.kind,
        "level": estimate.level,
        "coverage": estimate.coverage,
        "reason": estimate.reason,
    }


def to_csv(comparison: Comparison) -> str:
    """The text of scores.csv."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(comparison))
    return stream.getvalue()


def save(comparison: Comparison, folder: Path, narrative: Narrative | None = None) -> Path:
    """Write everything, compare.json last: a folder that has one is whole. What an earlier run told is taken away."""
    told = _told(folder)
    with writing(folder, RESULT):
        write_text(folder / SCORES, to_csv(comparison))
        write_text(folder / PAGE, comparison.html(narrative))
        if narrative is not None:
            save_narratives([narrative], folder)
        elif told:
            for name in NARRATIVE:
                (folder / name).unlink(missing_ok=True)
        about = {} if narrative is None else {"narrative": NARRATIVE[0]}
        write_text(folder / RESULT, to_json({**document(comparison), **about}))
    return folder


def _told(folder: Path) -> bool:
    """Whether the narrative in a folder is an earlier comparison's own; another's may be somebody's file."""
    try:
        return bool(json.loads((folder / RESULT).read_text("utf-8")).get("narrative") == NARRATIVE[0])
    except (OSError, ValueError, AttributeError):
        return False
