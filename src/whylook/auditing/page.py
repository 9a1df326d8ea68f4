"""The page of an audit: one HTML document that needs no other file, no script, and fetches nothing."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whylook.auditing import words
from whylook.auditing.decision import difference, p_value
from whylook.draw import shrunk
from whylook.explainer import prepare
from whylook.report.page import asset, still_page
from whylook.report.payload import data_uri
from whylook.report.words import number, percent

if TYPE_CHECKING:
    from whylook.auditing.audit import Audit, Row

TITLE = "Is this model fed the way it was trained?"
_THUMBNAILS = 100  # pictures; the rows of more have names only
_MARKS = {"declared": "", "other": " other", "not assessable": " unknown"}


def page(audit: Audit, problems: Sequence[tuple[str, str]] = ()) -> str:
    """Return the page: verdict first, then what it rests on.

    Parameters
    ----------
    audit : what was found.
    problems : (what, reason) of each picture that was left out.
    """
    parts = [
        ("", _verdict(audit, problems)),
        ("Conventions", _conventions(audit)),
        ("What the network is shown", _shown(audit)),
        ("What it answers", _answers(audit)),
        ("Size and interpolation", _variants(audit)),
        ("The fine print", _fine(audit)),
    ]
    body = "".join(
        f'<section class="part">{f"<h2>{title}</h2>" if title else ""}{inside}</section>' for title, inside in parts
    )
    style = asset("page.css", "whylook.auditing")
    return still_page(f"{audit.model.name}: {TITLE}", "audit", style, f"<header><h1>{TITLE}</h1></header>{body}")


def _verdict(audit: Audit, problems: Sequence[tuple[str, str]]) -> str:
    asides = [said for said in (words.same(audit), words.caution(audit)) if said]
    same = "".join(f'<p class="muted">{_safe(said)}</p>' for said in asides)
    parts = [
        f'<div class="verdict{_MARKS[audit.decision.kind]}"><p><bdi>{_safe(words.verdict(audit))}</bdi></p>{same}</div>'
    ]
    if audit.remedy is not None:
        ways = (
            ("On the command line, beside --arch and --checkpoint:", audit.remedy.options),
            ("In Python:", f"preprocess={audit.remedy.python}"),
            ("In a model.toml:", audit.remedy.toml),
        )
        given = "".join(f"<p>{title}</p><pre>{_safe(text)}</pre>" for title, text in ways)
        parts.append(f'<div class="remedy">{given}</div>')
    if problems:
        listed = "".join(f"<li><bdi>{_safe(reason)}</bdi></li>" for _, reason in problems)
        parts.append(f'<ul class="left-out" aria-label="Left out">{listed}</ul>')
    return "".join(parts)


def _conventions(audit: Audit) -> str:
    rows = audit.ranked
    low, high = _limits(rows)
    of = "accuracy" if audit.truth is not None else "evidence"
    ticks = f'<span class="ticks"><span>{number(low)}</span><span>{number(high)}</span></span>'
    head = (
        f'<div class="line head"><span class="name">convention, best first</span><span class="plot">{ticks}</span>'
        f'<span class="value">{of}</span><span class="versus">less the declared [95 % interval]</span>'
        '<span class="p">Holm p</span></div>'
    )
    lines = "".join(_line(audit, row, low, high) for row in rows)
    which = "right or wrong" if audit.truth is not None else "evidence"
    note = (
        f"A pale dot is one picture's {which}, the full dot their mean; the dashed line is the declared convention's."
    )
    return f'<div class="dots">{head}{lines}</div><p class="muted">{note}</p>'


def _line(audit: Audit, row: Row, low: float, high: float) -> str:
    mark = words.mark(audit, row)
    tag = f' <span class="tag{"" if mark == "declared" else " better"}">{mark}</span>' if mark else ""
    hits = row.hits is not None
    versus, p = ("", "") if row.versus is None else (difference(row.versus, hits=hits), p_value(row.versus))
    mean = float(row.values.mean())
    value = f"{mean:.0%}" if hits else f"{mean:.2f}"
    return (
        f'<div class="line{" marked" if mark else ""}"><span class="name">{_safe(row.convention.name)}{tag}</span>'
        f'<span class="plot">{_dots(row, float(audit.declared.values.mean()), low, high)}</span>'
        f'<span class="value number">{value}</span><span class="versus number">{_safe(versus)}</span>'
        f'<span class="p number">{p}</span></div>'
    )


def _dots(row: Row, reference: float, low: float, high: float) -> str:
    """One line of dots; places are shares of the width, so that dots stay round at any width."""

    def place(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}%"

    ones = "".join(f'<circle class="one" cx="{place(v)}" cy="11" r="4"/>' for v in row.values)
    mean = float(row.values.mean())
    what = f"{row.convention.name}: mean {mean:.2f}, pictures from {row.values.min():.2f} to {row.values.max():.2f}"
    return (
        f'<svg role="img" aria-label="{_safe(what)}"><line class="axis" x1="0" x2="100%" y1="11" y2="11"/>'
        f'<line class="reference" x1="{place(reference)}" x2="{place(reference)}" y1="0" y2="22"/>{ones}'
        f'<circle class="mean" cx="{place(mean)}" cy="11" r="5.5"/></svg>'
    )


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    values = np.concatenate([row.values for row in rows])
    low, high = min(0.0, float(values.min())), float(values.max())
    return low, high if high > low else low + 1


def _shown(audit: Audit) -> str:
    """One picture, as the declared input reads to a network of the named convention, and as the named input does."""
    i = _example(audit)
    image, declared, named = audit.images[i], audit.declared.convention, audit.named.convention
    reads = named.preprocess
    cells = [(declared, _read(prepare(audit.model, image).cpu().float(), reads))]
    if audit.named is not audit.declared:
        cells.append((named, _read(reads.apply(image)[None], reads)))
    figures = "".join(
        f'<figure><img src="{data_uri(pixels)}" alt="{_safe(image.name)}, fed as {_safe(c.name)}">'
        f"<figcaption>Fed as {_safe(c.name)}{_tag(audit, c is declared)}</figcaption></figure>"
        for c, pixels in cells
    )
    same = "read the way it was trained, if the declared convention is right"
    other = f"read the way a network trained with {named.name} reads it, and cut off at black and white"
    said = f"The input of {image.name}, {same if audit.named is audit.declared else other}."
    return f'<p class="prose">{_safe(said)}</p><div class="seen">{figures}</div>'


def _tag(audit: Audit, declared: bool) -> str:
    if declared:
        return ' <span class="tag">declared</span>'
    return f' <span class="tag better">{words.mark(audit, audit.named)}</span>'


def _read(x: object, preprocess: object) -> NDArray[np.uint8]:
    from torch import Tensor

    from whylook.preprocess import Preprocess

    assert isinstance(x, Tensor)
    assert isinstance(preprocess, Preprocess)
    unit = preprocess.unnormalize(x)[0].clamp(0, 1).permute(1, 2, 0).numpy()
    pixels = np.rint(255 * unit).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _example(audit: Audit) -> int:
    """The first picture whose answer the named convention changes; the first of all where it changes none."""
    changed = np.flatnonzero(audit.declared.evidence.top != audit.named.evidence.top)
    return int(changed[0]) if len(changed) else 0


def _answers(audit: Audit) -> str:
    both = [audit.declared] if audit.named is audit.declared else [audit.declared, audit.named]
    columns = ["", "picture", *(["right class"] if audit.truth is not None else [])]
    columns += [f"{row.convention.name} ({words.mark(audit, row)})" for row in both]
    probabilities = [_probabilities(audit, row) for row in both]
    rows = []
    for i, image in enumerate(audit.images):
        cells = ["<td></td>"]
        if i < _THUMBNAILS:
            cells = [f'<td><img src="{data_uri(shrunk(image, 112))}" alt=""></td>']
        cells.append(f'<th scope="row"><bdi>{_safe(image.name)}</bdi></th>')
        if audit.truth is not None:
            cells.append(f"<td>{_safe(audit.model.label(audit.truth[i]))}</td>")
        tops = [int(row.evidence.top[i]) for row in both]
        for top, of in zip(tops, probabilities, strict=True):
            kind = "wrong" if audit.truth is not None and top != audit.truth[i] else ""
            kind += " changed" if len(set(tops)) > 1 else ""
            said = f"{_safe(audit.model.label(top))} <span class='muted'>{percent(float(of[i, top]))}</span>"
            label = said if top >= 0 else "not finite"
            cells.append(f'<td class="{kind.strip()}">{label}</td>' if kind else f"<td>{label}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f'<th scope="col">{_safe(c)}</th>' for c in columns)
    changed = "" if len(both) == 1 else " Bold: the two differ."
    return (
        f'<p class="muted">First class and its probability, which is not calibrated.{changed}</p>'
        f'<div class="table scroll" tabindex="0" role="region" aria-label="Answers"><table class="answers"><thead><tr>{head}'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _probabilities(audit: Audit, row: Row) -> NDArray[np.float32]:
    import torch

    found: NDArray[np.float32] = audit.model.probabilities(torch.from_numpy(row.evidence.logits)).numpy()
    return found


def _variants(audit: Audit) -> str:
    columns = words.columns(audit, "less the first [95 % interval]")
    head = "".join(f'<th scope="col"{_flush(i)}>{c}</th>' for i, c in enumerate(columns))
    rows = []
    for row in audit.variants:
        cells = words.cells(row, "as above" if row.versus is None else "")
        first = f'<th scope="row">{_safe(cells[0])}</th>'
        others = "".join(f'<td class="number">{_safe(cell)}</td>' for cell in cells[1:])
        rows.append(f"<tr>{first}{others}</tr>")
    return (
        f'<p class="prose">{_safe(words.sizes(audit))} {_safe(words.SIZES)}</p>'
        f'<div class="table scroll" tabindex="0" role="region" '
        f'aria-label="Size and interpolation"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _flush(column: int) -> str:
    return ' class="number"' if column else ""


def _fine(audit: Audit) -> str:
    said = [*words.fine_print(audit), words.cost(audit)]
    return f'<ul class="fine">{"".join(f"<li>{_safe(s)}</li>" for s in said)}</ul>'


def _safe(text: str) -> str:
    return html.escape(text)
