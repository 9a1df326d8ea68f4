"""Words and numbers about maps, said the same way in the report, the figure and the notebook."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from whylook.explanation import Map, Prediction
    from whylook.facts.evidence import MapEvidence
    from whylook.models.model import Model

UNTRUSTED = (
    "Whether these maps can be believed was not measured; whylook explain --trust does it for all of them, "
    "whylook trust for one, with all figures."
)
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Facts:
    """What is known of a method apart from its maps."""

    title: str
    family: str = ""
    summary: str = ""
    formula: str = ""
    paper: str = ""
    limits: str = ""


def facts(name: str) -> Facts:
    """Return the registered facts of a method; a name that is not registered has itself as title and no others."""
    try:
        from whylook.methods import METHODS
    except ImportError:
        return Facts(name)
    if name not in METHODS:
        return Facts(name)
    method = METHODS[name]
    fields = ("family", "summary", "formula", "paper", "limits")
    title = str(getattr(method, "title", "") or name)
    return Facts(title, **{field: str(getattr(method, field, "") or "") for field in fields})


def number(value: float | None) -> str:
    """Return `value` to three significant digits, powers of ten written out: `0.0123`, `−4.1 × 10⁻⁷`."""
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    sign = "−" if value < 0 else ""
    if 1e-3 <= float(f"{size:.2e}") < 1e4:
        digits = f"{float(f'{size:.2e}'):.6f}".rstrip("0").rstrip(".")
        return sign + digits
    mantissa, exponent = f"{size:.2e}".split("e")
    return f"{sign}{mantissa.rstrip('0').rstrip('.')} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def percent(probability: float) -> str:
    """Return a probability as a percentage that never rounds to certainty: `> 99.9 %`, `< 0.1 %`."""
    if probability >= 0.9995:
        return "> 99.9 %"
    if probability < 0.0005:
        return "< 0.1 %"
    return f"{100 * probability:.1f} %"


def peak(the_map: Map) -> tuple[float, float] | None:
    """Return (x, y), in picture pixels, of the center of the largest cell; None if no cell stands out."""
    return peak_at(the_map.values, the_map.geometry.placement, the_map.geometry.picture)


def peak_at(
    values: NDArray[np.float32], placement: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float] | None:
    """Return what `peak` does, of values [h, w] that lie at (top, left, bottom, right) in a picture of (rows, columns)."""
    if not np.isfinite(values).any() or np.nanmax(values) == np.nanmin(values):
        return None
    row, column = np.unravel_index(int(np.nanargmax(np.where(np.isfinite(values), values, np.nan))), values.shape)
    top, left, bottom, right = placement
    y = top + (float(row) + 0.5) * (bottom - top) / values.shape[0]
    x = left + (float(column) + 0.5) * (right - left) / values.shape[1]
    height, width = size
    return (min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height)))


def describe(the_map: Map, title: str) -> str:
    """Return one or two sentences that say what the map shows to someone who cannot see it."""
    sentence = f"{title} of {the_map.model} for {the_map.target}."
    if the_map.reason:
        return f"{sentence} Nothing to show: {the_map.reason}"
    where = peak(the_map)
    if where is None:
        return f"{sentence} The map is the same everywhere."
    height, width = the_map.geometry.picture
    third = ("upper left", "top", "upper right"), ("left", "middle", "right"), ("lower left", "bottom", "lower right")
    place = third[min(int(3 * where[1] / height), 2)][min(int(3 * where[0] / width), 2)]
    most = number(float(np.nanmax(the_map.values)))
    told = f"{sentence} Largest value {most} at x {where[0]:.0f}, y {where[1]:.0f}, in the {place} of the picture."
    return f"{told} Warning: {the_map.warning}" if the_map.warning else told


def numbers(the_map: Map | MapEvidence) -> list[tuple[str, str]]:
    """Return what is known of a map in numbers, as (name, value): `("relative residual", "0.53 %")`."""
    said = []
    for name, value in the_map.facts.items():
        relative = name.startswith("relative_")
        text = str(int(value)) if np.isfinite(value) and float(value).is_integer() else number(value)
        said.append((name.replace("_", " "), f"{number(100 * value)} %" if relative else text))
    return said


def note(the_map: Map) -> str:
    """Return a map's numbers in one line, and behind them its warning, if it has one."""
    line = ", ".join(f"{name} {value}" for name, value in numbers(the_map))
    parts = [f"{line[0].upper()}{line[1:]}." if line else "", f"Warning: {the_map.warning}" if the_map.warning else ""]
    return " ".join(p for p in parts if p)


def fed(model: Model) -> str:
    """Return the sentence on how the model is fed, or nothing where it is not known."""
    tell = getattr(getattr(model, "preprocess", None), "describe", None)
    return str(tell()) if callable(tell) else ""


def head(model: Model, prediction: Prediction | None) -> str:
    """Return what the probabilities mean for this model's head."""
    kind = getattr(model, "head", "softmax")
    if kind == "softmax":
        return "Probabilities by softmax, not calibrated."
    if kind == "binary":
        return "Probability by sigmoid of one output, not calibrated."
    count = len(prediction.labels) if prediction is not None else "several"
    return f"{count} classes, each with a probability of its own by sigmoid, not calibrated."


def parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a method's parameters as values that JSON knows; anything else as its text."""
    return {str(name): plain(value) for name, value in values.items()}


def plain(value: Any) -> Any:
    """Return `value` as strict JSON has it: numbers that are not finite become None, unknown objects their text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.generic):
        value = value.item()
        return plain(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "sha256"):  # a picture
        return f"{value.name} (SHA-256 {value.sha256[:12]})"
    if hasattr(value, "__array__"):
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        return plain(array.tolist()) if array.size <= 64 else _described(array)
    return str(value)


def _described(array: NDArray[Any]) -> str:
    """Shape and fingerprint of values that are too many to be listed."""
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return f"{'×'.join(map(str, array.shape))} values (SHA-256 {digest[:12]})"
