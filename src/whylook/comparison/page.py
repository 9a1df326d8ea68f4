"""The page of a comparison: one HTML document that needs no other file, no script, and fetches nothing."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from whylook.comparison import pictures, plots, words
from whylook.comparison.contrasts import ACCURACY, Contrast, Finding, Kind, Level
from whylook.metrics import METRICS
from whylook.report.page import asset, still_page
from whylook.report.words import facts, number, parameters
from whylook.statistics.significance import ALPHA

if TYPE_CHECKING:
    from whylook.comparison.run import Comparison
    from whylook.narration.narrative import Narrative

TITLE = "Which model looks at the right thing?"
_FEW = 6  # pairs; the rows of more are folded away


def page(comparison: Comparison, narrative: Narrative | None = None) -> str:
    """Return the page as one HTML document; its content security policy allows its one style sheet and data pictures.

    What may be said comes first, then the plots of one metric and a few pictures. Everything else is folded away.
    """
    parts = [(name, title, body) for name, title, body in _parts(comparison, narrative) if body]
    links = "".join(f'<li><a href="#{name}">{_safe(title)}</a></li>' for name, title, _ in parts)
    sections = "".join(
        f'<section class="part" id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{_safe(title)}</h2>{body}'
        "</section>"
        for name, title, body in parts
    )
    head = (
        f'<header><h1>{TITLE}</h1><p class="prose">{_safe(_intro(comparison))}</p>'
        f'<nav aria-label="Parts of this page"><ul>{links}</ul></nav></header>'
    )
    style = asset("page.css", "whylook.comparison")
    return still_page(f"{comparison.data.name}: {TITLE}", "comparison", style, head + sections)


def _parts(comparison: Comparison, narrative: Narrative | None) -> Iterable[tuple[str, str, str]]:
    first, *others = comparison.plan.metrics
    yield "said", "What may be said", _list(comparison.sentences(), "statements")
    yield "accuracy", "Accuracy", _accuracy(comparison)
    yield first, METRICS[first].title, _metric(comparison, "maps", first)
    yield "shortcut", "Shortcut check", _shortcut(comparison)
    yield "pictures", "Single pictures", _pictures(comparison)
    yield "metrics", "Other measures", "".join(_folded_metric(comparison, metric) for metric in others)
    yield "told", "In words", "" if narrative is None else _told(narrative)
    yield "data", "Data, and what was left out", _data(comparison)
    yield "models", "Models and methods", _folded("How each is fed, and what each method is", _models(comparison))
    fine = words.fine_print(comparison)
    yield "print", "The fine print", _folded(f"All {len(fine)} remarks", _list(fine, "fine"))


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{_safe(summary)}</summary>{body}</details>" if body else ""


def _folded_metric(comparison: Comparison, metric: str) -> str:
    """A metric behind its title and what may be said by it."""
    body = _metric(comparison, "maps", metric)
    if not body:
        return ""
    found = [f for f in comparison.findings if (f.kind, f.metric) == ("maps", metric)]
    differ = sum(f.verdict.kind in ("higher", "lower") for f in found)
    known = sum(f.verdict.kind != "not assessable" for f in found)
    pairs = "1 pair" if len(found) == 1 else f"{len(found)} pairs"
    said = f"a difference in {differ} of {pairs}" if known else "not assessable"
    if len(found) == 1:
        said = found[0].verdict.words
    title = f'<span class="measure">{_safe(METRICS[metric].title)}</span>' + (f" {_safe(said)}" if found else "")
    return f"<details><summary>{title}</summary>{body}</details>"


def _told(narrative: Narrative) -> str:
    """What was told, a paragraph per heading; every sentence has passed the check."""
    parts = [
        f'<h3>{_safe(heading)}</h3><p class="prose">{_safe(" ".join(claim.text for claim in claims))}</p>'
        for heading, claims in narrative.paragraphs.items()
    ]
    by = f"Told by {narrative.by}; every sentence was checked against what was measured, which narrative.json lists."
    notes = "".join(f'<p class="muted">{_safe(note)}</p>' for note in (by, *narrative.notes))
    return _folded("The comparison in checked sentences", "".join(parts) + notes)


def _intro(comparison: Comparison) -> str:
    gathered = comparison.gathered
    models = "1 model" if len(gathered.models) == 1 else f"{len(gathered.models)} models"
    families = words.listed(comparison.plan.families())
    return (
        f"{models} on {comparison.data.name}, {len(gathered.pictures)} pictures, by maps of "
        f"{words.listed(facts(m).title for m in comparison.plan.methods)} (families: {families})."
    )


def _accuracy(comparison: Comparison) -> str:
    axis = plots.Axis(0.0, 1.0)
    rows = []
    for name, estimate in comparison.accuracy.items():
        told = words.rate(estimate)
        drawn = plots.bar(axis, (estimate.value, estimate.low, estimate.high), f"{name}: {told}")
        right = f"{round(estimate.value * estimate.n)} of {estimate.n}"
        rows.append(f'<tr><th scope="row"><bdi>{_safe(name)}</bdi></th><td class="number">{right}</td>'
                    f'<td class="drawn">{drawn}</td><td class="number">{told}</td></tr>')  # fmt: skip
    table = _table(
        ("model", "right", plots.scale(axis), "rate [95 % interval]"), rows, "Accuracy with Wilson's intervals"
    )
    pairs = [f for f in comparison.findings if f.kind == "accuracy"]
    test = "McNemar's exact test" if comparison.gathered.units(common=False) is None else "sign flips of whole groups"
    note = f'<p class="muted">Differences between models are tested by {test}.</p>' if pairs else ""
    return table + note + _forest(comparison, pairs)


def _metric(comparison: Comparison, kind: Kind, metric: str) -> str:
    levels = [v for v in comparison.levels if (v.kind, v.metric) == (kind, metric)]
    if not levels:
        return ""
    about = METRICS[metric]
    prose = f"{about.summary} {'Higher' if about.better == 'higher' else 'Lower'} is better. {about.limits}"
    found = [f for f in comparison.findings if (f.kind, f.metric) == (kind, metric)]
    matrix = _matrix(comparison, found) if len(comparison.models) > 2 else ""
    heading = "<h3>Differences</h3>" if found else ""
    said = "".join(f"<li>{_safe(s)}</li>" for s in words.of_metric(comparison, kind, metric))
    said = f'<ul class="statements">{said}</ul>' if said else ""
    lead = f'<p class="prose">{_safe(prose)}</p>' if kind == "maps" else ""
    return (
        f"{lead}{said}{heading}{matrix}{_forest(comparison, found)}<h3>Every picture</h3>{_strips(comparison, levels)}"
    )


def _matrix(comparison: Comparison, found: Sequence[Finding]) -> str:
    """Who is higher than whom, in a square."""
    signs = {"higher": ("▲", "higher"), "lower": ("▼", "lower"), "no difference": ("·", "no detectable difference"),
             "not assessable": ("?", "not assessable")}  # fmt: skip
    opposite = {"higher": "lower", "lower": "higher"}
    kinds: dict[tuple[str, str], str] = {}
    for f in found:
        first, second = f.pair
        kinds[first, second] = f.verdict.kind
        kinds[second, first] = opposite.get(f.verdict.kind, f.verdict.kind)
    names = comparison.gathered.models
    rows = []
    for a in names:
        cells = []
        for b in names:
            sign, told = signs[kinds[a, b]] if (a, b) in kinds else ("", "")
            about = f"{_safe(a)} against {_safe(b)}: {told}" if told else ""
            cells.append(f'<td class="sign {kinds.get((a, b), "none").replace(" ", "-")}" title="{about}">'
                         f'<span aria-hidden="true">{sign}</span><span class="unseen">{told}</span></td>')  # fmt: skip
        rows.append(f'<tr><th scope="row"><bdi>{_safe(a)}</bdi></th>{"".join(cells)}</tr>')
    heads = "".join(f'<th scope="col"><bdi>{_safe(_short(n, names))}</bdi></th>' for n in names)
    note = "A row's model against a column's: ▲ higher, ▼ lower, · no detectable difference, ? not assessable."
    return (
        f'<figure class="table matrix">'
        f"{_scrolled('Models against models', f'<thead><tr><td></td>{heads}</tr></thead><tbody>' + ''.join(rows) + '</tbody>')}"
        f"<figcaption>{note}</figcaption></figure>"
    )


def _short(name: str, names: Sequence[str]) -> str:
    """A name without what stands before the colon, if all have the same there."""
    starts = {n.partition(":")[0] if ":" in n else "" for n in names}
    return name.partition(":")[2] if len(starts) == 1 and "" not in starts else name


def _forest(comparison: Comparison, found: Sequence[Finding]) -> str:
    """Every difference of a metric with its interval and the line of zero."""
    if not found:
        return ""
    contrasts = [c for f in found for c in f.contrasts]
    ends = [
        v for c in contrasts for v in (c.tested.difference.low, c.tested.difference.high, c.tested.difference.value)
    ]
    axis = plots.Axis.around(ends, zero=True)
    groups = []
    for f in sorted(found, key=lambda f: f.verdict.kind not in ("higher", "lower")):
        first, second = f.pair
        head = ""
        if len(found) > 1 or f.kind != "accuracy":
            head = (
                f'<tr class="pair"><th scope="rowgroup" colspan="5"><bdi>{_safe(first)}</bdi> − <bdi>{_safe(second)}</bdi>'
                f'<span class="muted"> {_safe(f.verdict.words)}</span></th></tr>'
            )
        groups.append(f"<tbody>{head}{''.join(_forest_row(axis, c) for c in f.contrasts)}</tbody>")
    wished = contrasts[0].metric
    effect = number(comparison.wish(wished))
    what = "model" if wished == ACCURACY else "method"
    heads = (what, plots.scale(axis), "difference [95 % interval]", "Holm p", f"units for {effect}")
    columns = "".join(f'<th scope="col"{_numeric(i)}>{h}</th>' for i, h in enumerate(heads))
    note = (
        "Differences are first less second. Filled: adjusted p below .05. The last column: about how many units would "
        f"show a difference of {effect} with a power of 80 %, given the spread seen here and all comparisons made."
    )
    table = (
        f'<figure class="table plotted">{_scrolled("Differences", f"<thead><tr>{columns}</tr></thead>" + "".join(groups))}'
        f"<figcaption>{note}</figcaption></figure>"
    )
    if len(found) <= _FEW:
        return table
    return f"<details><summary>All {len(found)} pairs with their intervals</summary>{table}</details>"


def _forest_row(axis: plots.Axis, contrast: Contrast) -> str:
    d, p = contrast.tested.difference, contrast.tested.p_holm
    passed = p is not None and p < ALPHA
    named = facts(contrast.method).title if contrast.method else f"{contrast.first} − {contrast.second}"
    told = f"{words.interval(d)}"
    spoken = f"{named}: {contrast.first} less {contrast.second}, {told}, Holm p {words.p_value(p)}"
    drawn = plots.forest(axis, d.value, d.low, d.high, passed=passed, words=spoken)
    needed = "–" if contrast.needed is None else f"{contrast.needed:,}"
    missing = f' <span class="muted">(n = {d.n})</span>' if contrast.tested.missing else ""
    return (
        f'<tr><th scope="row">{_safe(named)}</th><td class="drawn">{drawn}</td>'
        f'<td class="number">{told}{missing}</td>'
        f'<td class="number">{words.p_value(p)}</td>'
        f'<td class="number">{needed}</td></tr>'
    )


def _strips(comparison: Comparison, levels: Sequence[Level]) -> str:
    """The values of single pictures, per method and model."""
    gathered = comparison.gathered
    kind: Kind = levels[0].kind
    values = [gathered.values(v.model, v.method, v.metric, kind) for v in levels]
    ends = [
        e for v in levels for e in (v.estimate.low, v.estimate.high, v.estimate.value, v.chance, *v.dummies.values())
    ]
    lowest = METRICS[levels[0].metric].range[0]
    axis = plots.strip_axis(values, [*ends, lowest])
    groups = []
    for method in dict.fromkeys(v.method for v in levels):
        rows = [f'<tr class="pair"><th scope="rowgroup" colspan="4">{_safe(facts(method).title)}</th></tr>']
        for level, own in zip(levels, values, strict=True):
            if level.method != method:
                continue
            band = (min(level.dummies.values()), max(level.dummies.values())) if level.dummies else None
            mean, dummies = words.interval(level.estimate), words.dummies(level)
            e = level.estimate
            spoken = f"{level.model}: mean {mean} over {e.n} pictures; dummies {dummies}"
            drawn = plots.strip(axis, own, e.value, e.low, e.high, band=band, chance=level.chance, words=spoken)
            rows.append(
                f'<tr><th scope="row"><bdi>{_safe(level.model)}</bdi></th><td class="drawn">{drawn}</td>'
                f'<td class="number">{mean}{_of(level, len(gathered.common))}</td>'
                f'<td class="number">{dummies}</td></tr>'
            )
        groups.append(f"<tbody>{''.join(rows)}</tbody>")
    heads = ("model", plots.scale(axis), "mean [95 % interval]", "dummies")
    columns = "".join(f'<th scope="col"{_numeric(i)}>{h}</th>' for i, h in enumerate(heads))
    many = f" Of more than {plots.DOTS} pictures, as many quantiles." if len(gathered.common) > plots.DOTS else ""
    note = (
        "A dot is a picture (hollow: beyond the axis), the tall line the mean and the bar its interval; the band reaches "
        f"from the lowest to the highest mean of the four dummies, and the dashed line is the mean chance level.{many}"
    )
    return (
        f'<figure class="table plotted strips">'
        f"{_scrolled('Every picture', f'<thead><tr>{columns}</tr></thead>' + ''.join(groups))}"
        f"<figcaption>{note}</figcaption></figure>"
    )


def _of(level: Level, pictures: int) -> str:
    """Over how many pictures a mean is, where not all have a number."""
    return f' <span class="muted">(n = {level.estimate.n})</span>' if level.estimate.n < pictures else ""


def _shortcut(comparison: Comparison) -> str:
    found = [f for f in comparison.findings if f.kind == "chance"]
    where = comparison.data.suspicious
    if where is None or not comparison.plan.suspicious:
        return ""
    if not found:
        return f'<p class="prose">No picture that all models get right has a {_safe(where)}.</p>'
    n = found[0].contrasts[0].tested.difference.n
    lead = (
        f"How much of each map lies on the {where}, on which no answer should rest, against the share of the area that "
        f"it takes: over the {n} pictures that have one, of those that all models get right."
    )
    said = "".join(f"<li>{_safe(words.shortcut(comparison, f))}</li>" for f in found)
    return (
        f'<p class="prose">{_safe(lead)}</p><ul class="statements">{said}</ul>'
        f"<h3>{_safe(words.title('suspicious', 'mass', where))}, less its area share</h3>{_forest(comparison, found)}"
        + _folded(
            f"{words.title('suspicious', 'enrichment', where)}, between models",
            _metric(comparison, "suspicious", "enrichment"),
        )
    )


def _pictures(comparison: Comparison) -> str:
    examples = pictures.chosen(comparison)
    if not examples:
        return ""
    marks = ["White: what is marked."] if comparison.data.marked else []
    marks += [f"Dashed: {comparison.data.suspicious}."] if comparison.data.suspicious else []
    lead = (
        "They were chosen by their scores, so they show what happens, not how often. Beside a model's name its "
        "probability of the right class (not calibrated), under a map its "
        f"{METRICS[pictures.measure(comparison)].title.lower()}. Every map has colors of its own: equal colors are not "
        f"equal values; where maps are signed, red speaks for the class and blue against it. {' '.join(marks)}"
    )
    shown = {kind: [pictures.shown(comparison, c) for c in examples if c.kind == kind] for kind in pictures.KINDS}
    open_, more = ([part for parts in shown.values() for part in parts[some]] for some in (slice(1), slice(1, None)))
    folded = _folded(f"{len(more)} more", "".join(more)) if more else ""
    return f'<p class="prose">{_safe(lead)}</p>{"".join(open_)}{folded}'


def _data(comparison: Comparison) -> str:
    gathered, left = comparison.gathered, comparison.left_out
    kinds: dict[str, int] = {}
    for out in left:
        kinds[out.kind] = kinds.get(out.kind, 0) + 1
    wrong = len(gathered.pictures) - len(gathered.common)
    units = len({p.unit for p in gathered.common})
    rows = [("pictures used", len(gathered.pictures)), ("of these, not right by every model", wrong)]
    rows += [("right by all, where maps are compared", len(gathered.common)), ("independent units among them", units)]
    rows += [(f"left out: {kind}", n) for kind, n in kinds.items()]
    cells = [f'<tr><th scope="row">{_safe(name)}</th><td class="number">{n:,}</td></tr>' for name, n in rows]
    notes = "".join(f'<p class="prose">{_safe(n)}</p>' for n in comparison.data.notes)
    lost = words.lost(comparison)
    notes += "".join(
        f'<p class="prose">{_safe(said)}</p>' for said in [*([lost] if lost else []), *words.missing(comparison)]
    )
    named = "".join(f"<li>{_safe(out.why)}</li>" for out in left)
    folded = f'<details><summary>All {len(left)} that were left out</summary><ul class="fine">{named}</ul></details>'
    table = _table(("", "number"), cells, "Pictures", "")
    return _folded(
        f"{len(gathered.pictures):,} pictures used, {len(left):,} left out", notes + table + (folded if left else "")
    )


def _models(comparison: Comparison) -> str:
    rows = []
    for name, model in comparison.models.items():
        about = [model.preprocess.describe(), *model.notes]
        rows.append(
            f'<tr><th scope="row"><bdi>{_safe(name)}</bdi></th><td>{_safe(model.fingerprint or "–")}</td>'
            f'<td class="long">{_safe(" ".join(about))}</td></tr>'
        )
    made = []
    told = comparison.plan.facts()["methods"]
    for method in comparison.plan.methods:
        known = facts(method)
        own = (
            ", ".join(f"{k} = {'not given' if v is None else v}" for k, v in parameters(told[method]).items()) or "none"
        )
        why = [f"{m}: {w}" for m in comparison.models if (w := comparison.gathered.why_missing(m, method))]
        missing = f'<p class="failed">{_safe(" ".join(why))}</p>' if why else ""
        made.append(
            f'<tr><th scope="row">{_safe(known.title)}</th><td>{_safe(known.family)}</td>'
            f'<td class="long">{_safe(known.summary)} Parameters: {_safe(own)}. {_safe(known.limits)}{missing}</td></tr>'
        )
    return _table(("model", "fingerprint", "how it is fed, and what is known of it"), rows, "Models") + _table(
        ("method", "family", ""), made, "Methods"
    )


def _table(heads: Sequence[str], rows: Iterable[str], label: str, kind: str = " plotted") -> str:
    columns = "".join(f'<th scope="col"{_kind_of(h)}>{h}</th>' if h else "<td></td>" for h in heads)
    return (
        f'<figure class="table{kind}">'
        f"{_scrolled(label, f'<thead><tr>{columns}</tr></thead><tbody>' + ''.join(rows) + '</tbody>')}</figure>"
    )


def _scrolled(label: str, inside: str) -> str:
    """A table in a box of its own, which scrolls where the page is narrower."""
    about = _safe(label)
    box = f'<div class="scroll" tabindex="0" role="region" aria-label="{about}">'
    return f'{box}<table aria-label="{about}">{inside}</table></div>'


def _kind_of(head: str) -> str:
    return ' class="drawn"' if head.startswith("<svg") else ""


def _numeric(column: int) -> str:
    return ' class="number"' if column > 1 else ' class="drawn"' if column == 1 else ""


def _list(sentences: Iterable[str], kind: str) -> str:
    return f'<ul class="{kind}">{"".join(f"<li>{_safe(s)}</li>" for s in sentences)}</ul>'


def _safe(text: str) -> str:
    return html.escape(text)
