"""What the viewer is fed: explanations as one JSON-able dictionary, schema `whylook-view/1`."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

import whylook
from whylook.report import colors, words
from whylook.report.section import Section, Table, sections_of, trust_table

if TYPE_CHECKING:
    from whylook.explanation import Explanation, Map
    from whylook.facts import Facts
    from whylook.image import Image
    from whylook.narration.narrative import Narrative

SCHEMA = "whylook-view/1"
_LONG_SIDE = 1600
_LOSSLESS_UP_TO = 100_000  # pixels: small pictures lose most by JPEG and gain least


def payload(what: Iterable[Explanation | Section], title: str | None = None) -> dict[str, Any]:
    """Return what the viewer shows.

    Parameters
    ----------
    what : explanations, or sections that hold them.
    title : of the page; by default made from the names of the pictures.

    Returns
    -------
    dict of `schema`, `version`, `title`, `note` (at the foot of the page, or None), `colors` (tables as base64 RGBA),
    `diverging` (the one for signed maps),
    `methods` (facts by name), `pictures` (each once, with a data URI) and `sections`. A map's `values` are base64
    little-endian float16 of values / `scale`, row by row; `placement` and `visible` are (top, left, bottom, right)
    in picture pixels.
    """
    sections = sections_of(what)
    explanations = [e for s in sections for e in s.explanations]
    pictures: list[dict[str, Any]] = []
    place: dict[tuple[str, str], int] = {}
    for explanation in explanations:
        key = (explanation.image.sha256, explanation.image.name)
        if key not in place:
            place[key] = len(pictures)
            pictures.append(_picture(explanation.image))
    methods = list(dict.fromkeys(m.method for e in explanations for m in e.maps))
    methods += [f[1] for e in explanations for f in e.failures if f[1] and f[1] not in methods]
    return {
        "schema": SCHEMA,
        "version": whylook.__version__,
        "title": title if title is not None else heading(explanations),
        "note": None if any(e.cards for e in explanations) else words.UNTRUSTED,
        "colors": {
            name: base64.b64encode(colors.table(name).tobytes()).decode()
            for name in (*colors.SEQUENTIAL, colors.DIVERGING)
        },
        "diverging": colors.DIVERGING,
        "methods": {name: _method(name) for name in dict.fromkeys(methods)},
        "pictures": pictures,
        "sections": [
            {
                "title": section.title,
                "text": list(section.text),
                "table": _table(section.table or trust_table(section.explanations)),
                "narrative": None if section.narrative is None else told(section.narrative),
                "explanations": [
                    _explanation(e, place[(e.image.sha256, e.image.name)], _facts(e, section.narrative))
                    for e in section.explanations
                ],
            }
            for section in sections
        ],
    }


def heading(explanations: Iterable[Explanation]) -> str:
    """Return a title made from the names of the pictures."""
    names = list(dict.fromkeys(e.image.name for e in explanations))
    if not names:
        return "whylook"
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def encode(values: NDArray[np.float32]) -> tuple[str, float]:
    """Pack a map for the viewer: base64 float16 and the scale to multiply by.

    Half precision alone would lose raw gradients (anything below 6e-8 is zero in it), so values are divided by
    their largest magnitude first.

    Returns
    -------
    base64 of little-endian float16 in [-1, 1], and the scale as a float32 number; NaN where not finite.
    """
    known = np.where(np.isfinite(values), values, np.nan).astype(np.float32)
    sizes = np.abs(known[np.isfinite(known)])
    scale = np.float32(sizes.max()) if sizes.size and sizes.max() > 0 else np.float32(1)
    halves = (known.astype(np.float64) / np.float64(scale)).astype("<f2")
    return base64.b64encode(halves.tobytes()).decode(), float(scale)


def decode(packed: str, scale: float, grid: tuple[int, int]) -> NDArray[np.float32]:
    """Undo `encode`: float32 [h, w], each value within 2⁻¹¹ of itself (or of 2⁻²⁴ of the scale)."""
    halves = np.frombuffer(base64.b64decode(packed), "<f2").reshape(grid)
    return (halves.astype(np.float64) * scale).astype(np.float32)


def data_uri(pixels: NDArray[np.uint8], long_side: int | None = None, quality: int = 90) -> str:
    """Return a picture, uint8 [h, w, 3], as a data URI: PNG where it is small, JPEG otherwise."""
    picture = Pillow.fromarray(np.ascontiguousarray(pixels))
    if long_side is not None and max(picture.size) > long_side:
        ratio = long_side / max(picture.size)
        size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
        picture = picture.resize(size, Pillow.Resampling.LANCZOS)
    stream = io.BytesIO()
    if picture.width * picture.height <= _LOSSLESS_UP_TO:
        picture.save(stream, "PNG")
        kind = "png"
    else:
        picture.save(stream, "JPEG", quality=quality, subsampling=0)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _picture(image: Image) -> dict[str, Any]:
    return {
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "sha256": image.sha256,
        "notes": list(image.notes),
        "src": data_uri(image.rgb8(), _LONG_SIDE),
    }


def _method(name: str) -> dict[str, Any]:
    return asdict(words.facts(name))


def _table(table: Table | None) -> dict[str, Any] | None:
    if table is None:
        return None
    return {
        "columns": list(table.columns),
        "rows": [[words.plain(cell) for cell in row] for row in table.rows],
        "note": table.note,
    }


def told(narrative: Narrative) -> dict[str, Any]:
    """Return a narrative as the viewer shows it: paragraphs of claims, what was dropped, and the facts behind them."""
    facts = {i: narrative.facts[i] for c in narrative.verified.claims for i in c.fact_ids}
    return {
        "by": narrative.by,
        "paragraphs": [
            {"heading": heading, "claims": [c.as_dict() for c in claims]}
            for heading, claims in narrative.paragraphs.items()
        ],
        "dropped": [d.as_dict() for d in narrative.verified.dropped],
        "not_assessable": list(narrative.not_assessable),
        "notes": list(narrative.notes),
        "facts": {i: narrative.told(f) for i, f in facts.items()},
    }


def _facts(explanation: Explanation, narrative: Narrative | None) -> Facts:
    """The facts that the page's sentences are about, which may know regions; without sentences, the explanation's own."""
    return explanation.facts if narrative is None else narrative.facts


def fact_rows(facts: Facts) -> list[list[str | int | None]]:
    """Return the rows of the table of all facts: id, what it is, the value as it is shown, by chance, n."""
    return [[f.id, f.about, f.text, f.chance_text, f.n] for f in facts if f.name != "limit"]


def _explanation(explanation: Explanation, picture: int, facts: Facts) -> dict[str, Any]:
    return {
        "picture": picture,
        "models": [_model(explanation, name) for name in explanation.models],
        "maps": [_map(m) for m in explanation.maps],
        "failures": [{"model": model, "method": method, "reason": why} for model, method, why in explanation.failures],
        "facts": fact_rows(facts),
    }


def _model(explanation: Explanation, name: str) -> dict[str, Any]:
    model = explanation.models[name]
    prediction = explanation.predictions.get(name)
    shown = next((m.geometry for m in explanation.maps if m.model == name), None)
    return {
        "name": name,
        "source": getattr(model, "source", ""),
        "fingerprint": explanation.fingerprints.get(name, ""),
        "preprocess": words.fed(model),
        "head": words.head(model, prediction),
        "notes": list(getattr(model, "notes", ())),
        "visible": list(shown.visible) if shown else None,
        "predictions": [
            {
                "index": r.index,
                "label": r.label,
                "probability": words.plain(r.probability),
                "percent": words.percent(r.probability) if np.isfinite(r.probability) else "–",
                "logit": words.plain(r.logit),
            }
            for r in (prediction.top(5) if prediction is not None else ())
        ],
    }


def _map(the_map: Map) -> dict[str, Any]:
    packed, scale = encode(the_map.values)
    span = colors.limits(the_map.values, the_map.signed)
    finite = the_map.values[np.isfinite(the_map.values)]
    where = words.peak(the_map)
    return {
        "model": the_map.model,
        "method": the_map.method,
        "target": {"index": the_map.target.index, "label": the_map.target.label, "text": str(the_map.target)},
        "signed": the_map.signed,
        "grid": list(the_map.grid),
        "layer": the_map.layer,
        "parameters": words.parameters(the_map.parameters),
        "seed": the_map.seed,
        "seconds": words.plain(the_map.seconds),
        "passes": words.parameters(the_map.passes),
        "reason": the_map.reason,
        "facts": [list(fact) for fact in words.numbers(the_map)],
        "warning": the_map.warning,
        "placement": list(the_map.geometry.placement),
        "visible": list(the_map.geometry.visible),
        "min": float(finite.min()) if finite.size else None,
        "max": float(finite.max()) if finite.size else None,
        "limits": [span.low, span.high],
        "clipped": span.clipped,
        "peak": list(where) if where else None,
        "alt": words.describe(the_map, words.facts(the_map.method).title),
        "scale": scale,
        "values": packed,
    }
