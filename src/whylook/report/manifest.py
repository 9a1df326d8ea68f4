"""The record of a run: rows of a table, and the content of `result.json`, schema `whylook/1`."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

import whylook
from whylook.report.words import parameters, plain

if TYPE_CHECKING:
    from whylook.explanation import Explanation, Map
    from whylook.models.model import Model

SCHEMA = "whylook/1"
_PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow")


def rows(explanation: Explanation) -> list[dict[str, Any]]:
    """Return one row per map, of plain values: fit for a data frame, a CSV file or a printed table."""
    return [_row(explanation, m) for m in explanation.maps]


def _row(explanation: Explanation, the_map: Map) -> dict[str, Any]:
    prediction = explanation.predictions.get(the_map.model)
    top = prediction.top(1)[0] if prediction is not None else None
    low, high = extremes(the_map)
    return {
        "picture": explanation.image.name,
        "model": the_map.model,
        "prediction": top.label if top else None,
        "probability": plain(top.probability) if top else None,
        "method": the_map.method,
        "target": the_map.target.label,
        "target_index": the_map.target.index,
        "score": the_map.target.score,
        "layer": the_map.layer,
        "grid": f"{the_map.grid[0]}×{the_map.grid[1]}",
        "min": low,
        "max": high,
        "seconds": plain(the_map.seconds),
        "reason": the_map.reason,
        "warning": the_map.warning,
    }


def extremes(the_map: Map) -> tuple[float | None, float | None]:
    """Return the smallest and the largest finite value of a map, or None where there is none."""
    finite = the_map.values[np.isfinite(the_map.values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (None, None)


def keys(explanations: Sequence[Explanation]) -> list[list[str]]:
    """Return the name of every map's array in `maps.npz`, per explanation: `0.resnet50.grad-cam.281`.

    Only letters, digits, `+`, `-`, `_` and `.` are used, whatever models are called; no two are the same.
    """
    taken: set[str] = set()
    out: list[list[str]] = []
    for number, explanation in enumerate(explanations):
        out.append([])
        for m in explanation.maps:
            parts = [str(number), m.model, m.method, str(m.target.index)]
            if m.target.against is not None:
                parts.append(f"vs-{m.target.against}")
            stem = ".".join(re.sub(r"[^A-Za-z0-9+_-]+", "_", p) for p in parts)
            name, again = stem, 2
            while name.lower() in taken:  # archives are also unpacked where case makes no difference
                name, again = f"{stem}.{again}", again + 1
            taken.add(name.lower())
            out[-1].append(name)
    return out


def manifest(
    explanations: Sequence[Explanation],
    figures: Sequence[str] = (),
    *,
    problems: Sequence[tuple[str, str]] = (),
    narrative: str | None = None,
) -> dict[str, Any]:
    """Return the content of `result.json`.

    Maps and predictions name their picture by its place in `images` and their model by its place in `models`.

    Parameters
    ----------
    explanations : what was made.
    figures : file names of the figures, one per explanation, where there are any.
    problems : (what, reason) of each picture or model that is not in `explanations`, for `failures`.
    narrative : file name of the narratives, where there are any.
    """
    models: list[dict[str, Any]] = []
    images, predictions, maps, failures = [], [], [], []
    for number, (explanation, names) in enumerate(zip(explanations, keys(explanations), strict=True)):
        image = explanation.image
        images.append(
            {
                "name": image.name,
                "source": plain(getattr(image, "source", None)),
                "sha256": image.sha256,
                "width": image.width,
                "height": image.height,
                "notes": list(image.notes),
                "window": plain(getattr(image, "window", None)),
                "figure": figures[number] if figures else None,
                "provenance": plain(explanation.provenance),
            }
        )
        place: dict[str, int] = {}
        for name, model in explanation.models.items():
            record = model_record(name, model, explanation.fingerprints.get(name, ""))
            if record not in models:
                models.append(record)
            place[name] = models.index(record)
            if (prediction := explanation.predictions.get(name)) is not None:
                top = [{k: plain(v) for k, v in r._asdict().items()} for r in prediction.top(5)]
                predictions.append(
                    {"image": number, "model": place[name], "classes": len(prediction.labels), "top": top}
                )
        cards = explanation.cards or (None,) * len(explanation.maps)
        for m, key, card, glance in zip(explanation.maps, names, cards, explanation.glances, strict=True):
            believed = {"trust": None if card is None else card.summary(), "glance": glance.as_dict()}
            maps.append({"image": number, "model": place.get(m.model), "key": key, **_map(m), **believed})
        for model_name, method, why in explanation.failures:
            failures.append(_failure(why, image=number, model=model_name, method=method or None))
    failures += [_failure(reason, what=what) for what, reason in problems]
    return {
        "schema": SCHEMA,
        "versions": versions(),
        "images": images,
        "models": models,
        "predictions": predictions,
        "maps": maps,
        "failures": failures,
    } | ({} if narrative is None else {"narrative": narrative})


def _failure(
    reason: str,
    *,
    image: int | None = None,
    model: str | None = None,
    method: str | None = None,
    what: str | None = None,
) -> dict[str, Any]:
    return {"image": image, "model": model, "method": method, "what": what, "reason": reason}


def to_json(content: Any) -> str:
    """Return strict JSON text: no NaN, no infinity, nothing that is not Unicode."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    return text.encode("utf-8", "replace").decode("utf-8")


def versions() -> dict[str, str | None]:
    """Return the versions of whylook, Python and the packages that numbers depend on; None where one is not there."""
    found: dict[str, str | None] = {"whylook": whylook.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def model_record(name: str, model: Model, fingerprint: str) -> dict[str, Any]:
    """Return what is recorded of a model: its name, source, fingerprint, head, preprocessing and notes."""
    as_dict = getattr(getattr(model, "preprocess", None), "as_dict", None)
    return {
        "name": name,
        "source": getattr(model, "source", ""),
        "fingerprint": fingerprint or None,
        "head": getattr(model, "head", "softmax"),
        "preprocess": plain(as_dict()) if callable(as_dict) else None,
        "notes": list(getattr(model, "notes", ())),
    }


def _map(the_map: Map) -> dict[str, Any]:
    target, geometry = the_map.target, the_map.geometry
    low, high = extremes(the_map)
    return {
        "method": the_map.method,
        "parameters": parameters(the_map.parameters),
        "layer": the_map.layer,
        "target": {
            "index": target.index,
            "label": target.label,
            "score": target.score,
            "against": target.against,
            "against_label": target.against_label,
        },
        "signed": the_map.signed,
        "seed": the_map.seed,
        "grid": list(the_map.grid),
        "min": low,
        "max": high,
        "placement": [plain(float(v)) for v in geometry.placement],
        "visible": [plain(float(v)) for v in geometry.visible],
        "seconds": plain(the_map.seconds),
        "passes": parameters(the_map.passes),
        "reason": the_map.reason,
        "facts": parameters(the_map.facts),
        "warning": the_map.warning,
    }
