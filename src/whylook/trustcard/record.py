"""The card as data, schema `whylook-trust/1`, and as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whylook.report.bundle import write_text, writing
from whylook.report.manifest import manifest, to_json
from whylook.report.words import plain
from whylook.trustcard import verdicts
from whylook.trustcard.card import Figure, Question, TrustCard

SCHEMA = "whylook-trust/1"
RESULT, PAGE = "trust.json", "trust.html"


def record(card: TrustCard) -> dict[str, Any]:
    """The content of `trust.json`: picture, model and map as in `result.json`, and all that the card says."""
    about = manifest([card.explanation])
    return {
        "schema": SCHEMA,
        "versions": about["versions"],
        "image": {k: v for k, v in about["images"][0].items() if k != "figure"},
        "model": about["models"][0],
        "map": {k: v for k, v in about["maps"][0].items() if k not in ("image", "model", "key", "trust", "glance")},
        **summary(card),
        "thresholds": {"made": verdicts.frozen()["made"], "rates": verdicts.frozen()["rates"]},
    }


def summary(card: TrustCard) -> dict[str, Any]:
    """What the card says of its map, without the picture, the model and the map."""
    return {
        "verdict": card.verdict,
        "because": card.because,
        "target": {
            "index": card.answer.index,
            "label": card.answer.label,
            "probability": plain(card.answer.probability),
            "calibrated": False,
            "top": {"index": card.top.index, "label": card.top.label, "probability": plain(card.top.probability)},
        },
        "questions": [_question(q) for q in card.questions],
        "warnings": list(card.warnings),
        "mask_lost": plain(card.lost),
        "second_method": card.second,
        "passes": dict(card.passes),
        "budget": card.budget,
        "seconds": plain(card.seconds),
        "seed": card.seed,
    }


def _question(question: Question) -> dict[str, Any]:
    return {
        "name": question.name,
        "asks": question.asks,
        "decides": question.decides,
        "verdict": question.verdict,
        "because": question.because,
        "statistic": plain(question.statistic),
        "threshold": plain(question.threshold),
        "supported_if": "at most" if question.name in verdicts.LOW else "at least",
        "figures": [_figure(f) for f in question.figures],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "title": figure.title,
        "value": plain(figure.value),
        "reason": figure.reason,
        "better": figure.better,
        "chance": plain(figure.chance),
        "band": plain(figure.band),
        "band_is": figure.band_is or None,
        "interval": plain(figure.interval),
        "meaning": figure.meaning,
        "curves": plain(figure.curves),
    }


def save(card: TrustCard, folder: Path) -> Path:
    """Write `trust.html` and, last, `trust.json`; an earlier one is taken away first.

    Raises
    ------
    WhylookError
        If the folder cannot be made or written to.
    """
    from whylook.trustcard.page import page

    with writing(folder, RESULT):
        write_text(folder / PAGE, page(card))
        write_text(folder / RESULT, to_json(record(card)))
    return folder
