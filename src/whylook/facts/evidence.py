"""What facts are measured on: an explanation, or what a saved folder keeps of one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whylook.errors import UsageError
from whylook.explanation import Ranked, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from whylook.explanation import Explanation

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class MapEvidence:
    """One map: its values, where they lie in the picture, and what is known of it.

    Parameters
    ----------
    values : float32 [h, w].
    placement, visible : (top, left, bottom, right) in picture pixels, of the map's cells and of what the model was shown.
    trust : verdict and question of its trust card, by the question's name, "" for the card's own; empty without a card.
    """

    model: str
    method: str
    target: Target
    signed: bool
    values: NDArray[np.float32]
    placement: Box
    visible: Box
    facts: Mapping[str, float]
    passes: Mapping[str, int]
    reason: str | None
    warning: str | None
    trust: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """One picture: (rows, columns), each model's first answers, the maps, and what could not be done."""

    picture: str
    size: tuple[int, int]
    answers: Mapping[str, tuple[Ranked, ...]]
    maps: tuple[MapEvidence, ...]
    failures: tuple[tuple[str, str, str], ...] = ()


def of_explanation(explanation: Explanation) -> Evidence:
    """Return what the facts need of an explanation."""
    maps = tuple(
        MapEvidence(
            m.model, m.method, m.target, m.signed, m.values, m.geometry.placement, m.geometry.visible, m.facts, m.passes,
            m.reason, m.warning, trust_of(card.summary()) if card is not None else {},
        )
        for m, card in zip_longest(explanation.maps, explanation.cards)
    )  # fmt: skip
    return Evidence(
        explanation.image.name,
        (explanation.image.height, explanation.image.width),
        {name: tuple(p.top(5)) for name, p in explanation.predictions.items()},
        maps,
        explanation.failures,
    )


def of_folder(folder: str | Path) -> list[Evidence]:
    """Return what a folder written by `whylook explain` keeps, one per picture.

    Raises
    ------
    UsageError
        If it holds no whole result: `result.json` and the `maps.npz` that goes with it.
    """
    place = Path(folder)
    try:
        record = json.loads((place / "result.json").read_text("utf-8"))
        with np.load(place / "maps.npz", allow_pickle=False) as arrays:
            return [_picture(record, i, arrays) for i in range(len(record["images"]))]
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name
        raise UsageError(
            f"{place} holds no {missing}: it is not a folder that whylook explain wrote, or the run did not end."
        ) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"{place} cannot be read as a result of whylook explain ({error}); make it again.") from error


def trust_of(summary: Any) -> dict[str, tuple[str, str]]:
    """Return verdict and question of a trust card's summary, by the question's name, "" for the card's own."""
    if not summary:
        return {}
    found = {q["name"]: (str(q["verdict"]), str(q["asks"])) for q in summary["questions"]}
    return {"": (str(summary["verdict"]), "can the map be believed?"), **found}


def _picture(record: Any, number: int, arrays: Any) -> Evidence:
    image, names = record["images"][number], [m["name"] for m in record["models"]]
    answers = {
        names[p["model"]]: tuple(
            Ranked(r["index"], r["label"], *(float("nan") if r[k] is None else r[k] for k in ("probability", "logit")))
            for r in p["top"]
        )
        for p in record["predictions"]
        if p["image"] == number
    }
    maps = tuple(
        MapEvidence(
            names[m["model"]],
            m["method"],
            Target(**m["target"]),
            m["signed"],
            arrays[m["key"]],
            tuple(m["placement"]),
            tuple(m["visible"]),
            {k: float("nan") if v is None else v for k, v in m["facts"].items()},
            m["passes"],
            m["reason"],
            m["warning"],
            trust_of(m.get("trust")),
        )
        for m in record["maps"]
        if m["image"] == number
    )
    failures = tuple(
        (f["model"] or "", f["method"] or "", f["reason"]) for f in record["failures"] if f["image"] == number
    )
    return Evidence(image["name"], (image["height"], image["width"]), answers, maps, failures)
