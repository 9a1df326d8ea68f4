"""A trust card of the reader's own picture."""

from __future__ import annotations

from whylook.image import Image
from whylook.learn.experiments.controls import Choice, Network
from whylook.learn.experiments.measures import foreign
from whylook.learn.experiments.outcome import Outcome, Plot, Series
from whylook.learn.experiments.registration import experiment
from whylook.models.model import Model
from whylook.report.section import Table
from whylook.report.words import facts
from whylook.trustcard import trust
from whylook.trustcard.words import figure_line

_METHODS = ("grad-cam", "hirescam", "gradient", "input-x-gradient", "lrp")


@experiment(
    "trust-card",
    "A trust card",
    Network("model", "Network", "phantom:resnet"),
    Choice("method", "Method", "grad-cam", tuple((m, facts(m).title) for m in _METHODS)),
)
def trust_card(image: Image, model: Model, method: str) -> Outcome:
    """Measure whether the map can be believed: the verdict, the questions, and what was measured for each."""
    card = trust(image, model, method)
    sentences = [
        f"{card.verdict[0].upper()}{card.verdict[1:]}. {card.because}",
        *(
            f"{'Decides' if q.decides else 'Informs'}: {q.asks} {q.verdict[0].upper()}{q.verdict[1:]}. {_sentence(q.because)}"
            for q in card.questions
        ),
        *card.warnings,
    ]
    rows = [(q.asks, q.verdict, figure_line(f)) for q in card.questions for f in q.figures]
    table = Table(
        ("question", "verdict", "measured"),
        tuple(rows),
        "“chance” and bands: what knows nothing of the network reaches.",
    )
    plots = []
    for name, title in (("deletion-gap", "Deletion"), ("insertion-gap", "Insertion")):
        curves = card.figure(name).curves
        if not curves:
            continue
        share = curves["share"]
        plots.append(
            Plot(
                title=title,
                x=f"share of the blocks that {'are blurred' if title == 'Deletion' else 'are put back'}",
                y=f"log-odds of {card.map.target.label}",
                series=(
                    Series("random orders", share, curves["random low"], "band", curves["random high"]),
                    Series("the map's order", share, curves["map"]),
                ),
                says=f"{title}: {card.figure(name).text}, chance 0.",
            )
        )
    numbers = {q.name: q.statistic for q in card.questions if q.statistic is not None}
    return Outcome((*foreign(model, image), *sentences), numbers, (card.explanation,), tuple(plots), table)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")
