"""Measures whether one map of an explanation can be believed, and says it in words that are ready to be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whylook.trustcard import TrustCard
    from whylook.trustcard.card import Figure
    from whylook.web.house import House
    from whylook.web.jobs.job import Job
    from whylook.web.jobs.queue import Report

SCHEMA = "whylook-card/1"


def trust(house: House, job: Job, report: Report) -> None:
    """Make the map once more, which gives the same bits, then its card: `trust.html`, `trust.json`, `result.json`."""
    from whylook.explainer import explain
    from whylook.report.bundle import write_text
    from whylook.report.manifest import to_json
    from whylook.trustcard import trust as measured
    from whylook.web.jobs.store import RESULT

    asked = job.request
    of = house.store.job(str(job.of)).request
    report(0, 0, f"loading {asked['model']}")
    method = asked["method"]
    parameters = {name: own for name, own in of["parameters"].items() if name == method}
    made = explain(
        house.picture(asked["pictures"][0]), house.models.load(asked["model"]), method, asked["target"],
        against=of["against"], score=of["score"], seed=of["seed"], parameters=parameters,
        progress=lambda done, total, what: report(0, 0, "making the map"),
    )  # fmt: skip
    card = measured(made, seed=of["seed"], thorough=asked["thorough"], progress=report)
    report(1, 1, "writing")
    folder = house.store.folder(job)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    card.save(folder)
    write_text(folder / RESULT, to_json(shown(card, asked["picture"])))


def shown(card: TrustCard, picture: int) -> dict[str, Any]:
    """Return a card as a page shows it: every number in words, and beside them what a drawing needs.

    Parameters
    ----------
    card : the card.
    picture : which of the explanation's pictures it is of.
    """
    from whylook.report.words import facts, percent
    from whylook.trustcard.words import error_rates, spent

    m, first = card.map, card.top.index != card.answer.index
    return {
        "schema": SCHEMA,
        "picture": picture,
        "model": m.model,
        "method": m.method,
        "title": facts(m.method).title,
        "target": {"index": m.target.index, "label": m.target.label, "text": str(m.target)},
        "probability": f"{percent(card.answer.probability)}, not calibrated",
        "first_answer": f"{card.top.label} ({percent(card.top.probability)})" if first else None,
        "verdict": card.verdict,
        "because": card.because,
        "warnings": list(card.warnings),
        "questions": [
            {
                "name": q.name,
                "asks": q.asks,
                "verdict": q.verdict,
                "because": q.because,
                "decides": q.decides,
                "figures": [_figure(f) for f in q.figures],
            }
            for q in card.questions
        ],
        "compared_with": facts(card.second).title if card.second else None,
        "spent": spent(card),
        "budget": card.budget,
        "error_rates": error_rates(),
        "summary": card.summary(),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    from whylook.report.words import plain
    from whylook.trustcard.words import chance

    return {
        "name": figure.name,
        "title": figure.title,
        "text": figure.text,
        "meaning": figure.meaning,
        "chance_text": chance(figure) if figure.value is not None else "",
        "better": figure.better,
        "reason": figure.reason,
        "value": plain(figure.value),
        "axis": plain(figure.axis),
        "chance": plain(figure.chance),
        "band": plain(figure.band),
        "interval": plain(figure.interval),
        "curves": plain(figure.curves),
    }
