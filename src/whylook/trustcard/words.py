"""Sentences of a card that the page and the terminal share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whylook.report.words import number
from whylook.trustcard.card import Figure, TrustCard


def figure_line(figure: Figure) -> str:
    """A figure in one line: its number, and what chance gives."""
    if figure.value is None:
        return f"{figure.title}: – ({figure.reason})"
    known = chance(figure)
    return f"{figure.title}: {figure.text}" + (f" ({known})" if known else "")


def chance(figure: Figure) -> str:
    """What chance gives, in the units of the figure's text."""
    if figure.band is not None:
        low, high = (scaled(figure, v) for v in figure.band)
        return f"{figure.band_is}: {low} to {high}"
    if figure.name == "full-randomization":
        return f"does not look at the network: {scaled(figure, 1.0)}"
    return "" if figure.chance is None else f"chance: {scaled(figure, figure.chance)}"


def scaled(figure: Figure, value: float) -> str:
    """A number as the figure's own text has it."""
    if figure.text.endswith("×"):
        return f"{number(value)} ×"
    if figure.text.endswith("%"):
        return f"{100 * value:.0f} %".replace("-", "−")
    return f"{value:.2f}".replace("-", "−")


def spent(card: TrustCard) -> str:
    """What the card cost."""
    forward, backward = (card.passes[k] for k in ("forward", "backward"))
    of = "no budget: thorough" if card.budget is None else f"of about {card.budget}"
    return f"{forward:,} forward passes ({of}), {backward:,} backward, {card.seconds:.1f} s."


def error_rates() -> list[str]:
    """What is known of the verdicts' errors, in sentences."""
    from whylook.trustcard.verdicts import frozen

    known, made = frozen()["rates"], frozen()["made"]
    blind, right = known["blind"], known["card"]["right"]
    return [
        "Supported means that the map can be believed as an account of where this model looks. It does not mean that the "
        "model is right, nor that it looks at the right thing.",
        f"How often the verdict is wrong, on drawn pictures whose truth is known ({made['networks']} small networks): of "
        f"{blind['maps']} maps that cannot know the network {share(blind)} were called supported, and of {right['maps']} that "
        f"are right {share(right)}. For photos and large networks these rates are not known.",
    ]


def share(rate: Mapping[str, Any]) -> str:
    """A rate with its 95 % interval, in per cent."""
    if rate["supported"] is None:
        return "–"
    text = f"{100 * rate['supported']:.0f} %"
    return text if rate["low"] is None else f"{text} [{100 * rate['low']:.0f}, {100 * rate['high']:.0f}]"
