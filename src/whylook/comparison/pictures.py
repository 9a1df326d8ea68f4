"""Single pictures of a comparison, with every model's maps side by side."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow

from whylook.comparison.data import Mask, Sample
from whylook.comparison.gathered import Floats, Seen
from whylook.comparison.measuring import mapped
from whylook.draw import overlay, shrunk
from whylook.errors import Unsupported
from whylook.metrics import METRICS
from whylook.report.payload import data_uri
from whylook.report.words import describe, facts, number

if TYPE_CHECKING:
    from whylook.comparison.run import Comparison

_LONG_SIDE = 220  # pixels of a tile
_FEW_MODELS = 4
KINDS = ("best", "worst", "differ")


@dataclass(frozen=True)
class Choice:
    """A picture to be shown, and why: in words, and the first of `KINDS` that it is."""

    picture: Seen
    why: str
    kind: str


def chosen(comparison: Comparison) -> list[Choice]:
    """Where maps lie best and worst by the mean over all models and methods, and where models differ most."""
    gathered = comparison.gathered
    metric = measure(comparison)
    by_model = np.array([_per_picture(comparison, model, metric) for model in gathered.models])
    if not gathered.common or not np.isfinite(by_model).any():
        return []
    title = METRICS[metric].title.lower()
    whole = np.array([_mean(column) for column in by_model.T])
    count = 2 if len(gathered.models) <= _FEW_MODELS else 1
    picked: dict[int, str] = {}
    kinds: dict[int, str] = {}
    order = [int(i) for i in np.argsort(-whole, kind="stable") if np.isfinite(whole[i])]
    for i in order[:count]:
        picked.setdefault(i, f"Among the best: {title} {number(whole[i])} on average over models and methods.")
        kinds.setdefault(i, "best")
    for i in order[::-1][:count]:
        picked.setdefault(i, f"Among the worst: {title} {number(whole[i])} on average over models and methods.")
        kinds.setdefault(i, "worst")
    if len(gathered.models) > 1:
        spread = np.array([np.ptp(c) if np.isfinite(c).all() else -1.0 for c in by_model.T])
        for i in [int(i) for i in np.argsort(-spread, kind="stable") if spread[i] > 0][:count]:
            high, low = (gathered.models[int(k(by_model[:, i]))] for k in (np.argmax, np.argmin))
            values = number(by_model[:, i].max()), number(by_model[:, i].min())
            why = f"Where models differ most: {title} {values[0]} for {high}, {values[1]} for {low}, averaged over methods."
            picked[i] = f"{picked[i]} {why}" if i in picked else why
            kinds.setdefault(i, "differ")
    return [Choice(gathered.common[i], why, kinds[i]) for i, why in picked.items()]


def measure(comparison: Comparison) -> str:
    """The metric that pictures are chosen by."""
    return "rank-accuracy" if "rank-accuracy" in comparison.plan.metrics else comparison.plan.metrics[0]


def _per_picture(comparison: Comparison, model: str, metric: str) -> Floats:
    columns = np.array([comparison.gathered.values(model, m, metric) for m in comparison.plan.methods])
    return np.array([_mean(column) for column in columns.T])


def _mean(values: Floats) -> float:
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else float("nan")


def shown(comparison: Comparison, choice: Choice) -> str:
    """One picture and all maps of it, as HTML."""
    item = next(i for i in comparison.data.items if i.name == choice.picture.name)
    sample = item.sample()
    pixels = shrunk(sample.image, _LONG_SIDE)
    size = (pixels.shape[0], pixels.shape[1])
    lines = _outlines(sample, size)
    label = html.escape(choice.picture.label)
    plain = _tile(pixels, lines, f"The picture {choice.picture.name}, labeled {choice.picture.label}.", "")
    head = (
        f'<h3><bdi>{html.escape(choice.picture.name)}</bdi>, {label}</h3><p class="prose">{html.escape(choice.why)}</p>'
    )
    rows = []
    for name, model in comparison.models.items():
        said = choice.picture.answers[name]
        try:
            explanation = mapped(model, sample, choice.picture.targets[name], comparison.plan)
        except Unsupported as why:
            rows.append(_row(name, said, f'<p class="failed">{html.escape(str(why))}</p>'))
            continue
        metric = measure(comparison)
        cells = []
        for the_map in explanation.maps:
            value = choice.picture.scores[name]["maps"].get(the_map.method, {}).get(metric, (None,))[0]
            caption = f"{facts(the_map.method).title}: {number(value)}"
            words = describe(the_map, facts(the_map.method).title)
            cells.append(_tile(overlay(the_map, pixels), lines, words, caption))
        cells += [f'<p class="failed">{facts(m).title}: {html.escape(why)}</p>' for _, m, why in explanation.failures]
        rows.append(_row(name, said, "".join(cells)))
    return f'<article class="example">{head}<div class="beside">{plain}<div>{"".join(rows)}</div></div></article>'


def _row(name: str, said: object, tiles: str) -> str:
    from whylook.report.words import percent

    sure = percent(said["own"]) if isinstance(said, dict) else ""
    return (
        f'<div class="maps-row"><p class="model-name"><bdi>{html.escape(name)}</bdi> <span class="muted">{sure}</span></p>'
        f'<div class="tiles">{tiles}</div></div>'
    )


def _tile(pixels: np.ndarray, lines: str, words: str, caption: str) -> str:
    height, width = pixels.shape[:2]
    told = html.escape(words)
    text = f'<figcaption class="muted">{html.escape(caption)}</figcaption>' if caption else ""
    return (
        f'<figure class="tile"><svg viewBox="0 0 {width} {height}" role="img" aria-label="{told}"><title>{told}</title>'
        f'<image href="{data_uri(pixels)}" width="{width}" height="{height}"/>{lines}</svg>{text}</figure>'
    )


def _outlines(sample: Sample, size: tuple[int, int]) -> str:
    parts = []
    for kind, mask in (("marked", sample.mask), ("suspicious", sample.suspicious)):
        if mask is not None:
            path = outline(_resized(mask, size))
            parts.append(f'<path class="halo" d="{path}"/><path class="{kind}" d="{path}"/>')
    return "".join(parts)


def _resized(mask: Mask, size: tuple[int, int]) -> Mask:
    picture = Pillow.fromarray(mask.astype(np.uint8) * 255).resize((size[1], size[0]), Pillow.Resampling.BOX)
    return np.asarray(picture) > 127


def outline(mask: Mask) -> str:
    """The borders between marked and unmarked pixels as an SVG path of straight lines."""
    padded = np.pad(mask, 1)
    parts = []
    for y, x0, x1 in _runs(padded[1:, 1:-1] != padded[:-1, 1:-1]):
        parts.append(f"M{x0} {y}H{x1}")
    for x, y0, y1 in _runs((padded[1:-1, 1:] != padded[1:-1, :-1]).T):
        parts.append(f"M{x} {y0}V{y1}")
    return "".join(parts)


def _runs(edges: Mask) -> list[tuple[int, int, int]]:
    """Stretches of True along the rows: (row, begin, end)."""
    steps = np.diff(np.pad(edges, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    begins, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    return [(int(r), int(b), int(e)) for (r, b), (_, e) in zip(begins, ends, strict=True)]
