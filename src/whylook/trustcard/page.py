"""The card as one page: the verdict first, each figure against its chance band. No script; colors by the reader's theme."""

from __future__ import annotations

import html

from whylook.draw import overlay, shrunk
from whylook.report import words
from whylook.report.page import asset, still_page
from whylook.report.payload import data_uri
from whylook.trustcard import drawing
from whylook.trustcard.card import CHANCE, NOT_ASSESSABLE, SUPPORTED, Figure, Question, TrustCard, Verdict
from whylook.trustcard.words import chance, error_rates, spent

_LONG_SIDE = 520  # pixels: twice the width that a picture is shown at, for dense screens
_CLASS = {SUPPORTED: "supported", CHANCE: "chance-level", NOT_ASSESSABLE: "unknown"}
_KEY = (
    '<svg class="key" viewBox="0 0 68 14" aria-hidden="true"><line class="axis" x1="0" x2="68" y1="7" y2="7"/>'
    '<rect class="chance" x="8" y="2" width="30" height="10" rx="2"/><line class="tick" x1="23" x2="23" y1="1" y2="13"/>'
    '<circle class="dot" cx="56" cy="7" r="4.5"/></svg>'
)


def page(card: TrustCard) -> str:
    """Return the card as one HTML document that needs no other file, fetches nothing and runs nothing."""
    title = f"Trust card: {words.facts(card.map.method).title} of {card.map.model}, {card.explanation.image.name}"
    return still_page(title, "card-page", asset("card.css", "whylook.trustcard"), _body(card))


def _body(card: TrustCard) -> str:
    method = words.facts(card.map.method).title
    name = card.explanation.image.name
    warned = "".join(f"<li>{_text(w)}</li>" for w in card.warnings)
    return "\n".join(
        [
            f'<header><h1>Can this map be believed?</h1><p class="muted">{_text(method)} of <bdi>{_text(card.map.model)}</bdi>'
            f" on <bdi>{_text(name)}</bdi></p></header>",
            f'<section class="verdict {_CLASS[card.verdict]}"><p class="word">{_capital(card.verdict)}</p>'
            f"<p>{_text(card.because)}</p></section>",
            _seen(card),
            f'<section><ul class="warnings">{warned}</ul></section>' if warned else "",
            f'<section class="questions"><p class="muted">{_KEY}Shaded: what chance reaches. Upright line: its level. Dot: '
            "this map. The first three questions decide; the others inform.</p>",
            *(_question(q) for q in card.questions if q.decides),
            '<div class="others">',
            *(_question(q) for q in card.questions if not q.decides and q.name != "place"),
            "</div>",
            *(_question(q) for q in card.questions if q.name == "place"),
            "</section>",
            _foot(card),
        ]
    )


def _seen(card: TrustCard) -> str:
    image, shown = card.explanation.image, card.map
    pixels = shrunk(image, _LONG_SIDE)
    method = words.facts(shown.method)
    said = words.describe(shown, method.title)
    facts = [
        ("Explained", str(shown.target)),
        ("Probability", f"{words.percent(card.answer.probability)}, not calibrated"),
    ]
    if card.top.index != card.answer.index:
        facts.append(("First answer", f"{card.top.label} ({words.percent(card.top.probability)})"))
    facts += [
        ("Method", f"{method.title}, a grid of {shown.grid[0]} × {shown.grid[1]}"),
        ("Model", shown.model),
    ]
    if card.second is not None:
        facts.append(("Compared with", words.facts(card.second).title))
    rows = "".join(f"<dt>{_text(k)}</dt><dd><bdi>{_text(v)}</bdi></dd>" for k, v in facts)
    return (
        '<section class="seen">'
        f'<figure><img src="{data_uri(pixels)}" alt="The picture {_text(image.name)}."><figcaption>The picture</figcaption>'
        "</figure>"
        f'<figure><img src="{data_uri(overlay(shown, pixels))}" alt="{_text(said)}"><figcaption>The map over it</figcaption>'
        f"</figure><dl>{rows}</dl></section>"
    )


def _question(question: Question) -> str:
    drawn = "".join(_figure(f) for f in question.figures)
    return (
        f'<section class="question"><header><h2>{_text(question.asks)}</h2>'
        f'<span class="tag {_CLASS[question.verdict]}">{_text(question.verdict)}</span></header>'
        f"<p>{_text(_sentence(question.because))}</p>"
        + (f'<div class="figures">{drawn}</div>' if drawn else "")
        + "</section>"
    )


def _figure(figure: Figure) -> str:
    known = chance(figure)
    better = {"higher": " Higher is better.", "lower": " Lower is better.", None: ""}[figure.better]
    lines = [f'<p class="name"><span>{_text(figure.title)}</span><span class="number">{_text(figure.text)}</span></p>']
    if figure.value is None:
        lines.append(f'<p class="says">Not assessable: {_text(_sentence(figure.reason or "it was not measured"))}</p>')
    else:
        lines += [drawing.bar(figure), f'<p class="chance-is">{_capital(known)}</p>' if known else ""]
        lines.append(drawing.plot(figure))
    lines.append(f'<p class="says">{_text(figure.meaning)}{better}</p>')
    return f'<div class="figure">{"".join(lines)}</div>'


def _foot(card: TrustCard) -> str:
    said = [spent(card), *error_rates()]
    return f'<footer class="foot">{"".join(f"<p>{_text(s)}</p>" for s in said)}</footer>'


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _capital(text: Verdict | str) -> str:
    return _text(text[:1].upper() + text[1:])


def _text(text: str) -> str:
    return html.escape(text)
