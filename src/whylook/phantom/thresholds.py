"""Thresholds of the trust card from measured maps, and how often they are wrong on training seeds that were left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from whylook.phantom.rank import COMPONENTS
from whylook.statistics import Estimate, mean_interval, wilson
from whylook.trustcard.verdicts import COARSE, DECIDE, LOW, STATISTICS, limit
from whylook.trustcard.words import share

Row = dict[str, Any]
Limits = Mapping[str, float]

RESTS = 1.0  # log-odds: what the answer loses at least without the component that it rests on
RIGHT, WRONG = 3.0, 1.0  # enrichment of that component: a map is right from the one up, and wrong from the other down
BLIND = ("random", "random weights")  # cannot know the network, and lie nowhere in particular: they set the thresholds
UNTRAINED = ("untrained", "shuffled")  # a network's own maps, and it has learned nothing
DUMMIES = ("sobel", "center")  # cannot know the network either, and lie where lesions and markers often do
# Cells of a map: from, below.
GRAINS: Mapping[str, tuple[int, float]] = {"up to 4 × 4": (0, 17), "up to 8 × 8": (17, 65), "finer": (65, math.inf)}
_FEWEST = 20  # maps that a threshold is laid on
PASS = 0.05  # share of blind maps that a threshold lets through


def kind(row: Row) -> str:
    """What a measured map is: `right`, `wrong`, `between`, `unclear` (the network rests on no one component), or blind."""
    if row["kind"] != "map":
        return str(row["kind"])
    component = rests_on(row)
    dense = None if component is None else row["enrichment"][component][0]
    if dense is None:
        return "unclear"
    return "right" if dense >= RIGHT else "wrong" if dense <= WRONG else "between"


def rests_on(row: Row) -> str | None:
    """The component without which the answer falls furthest, or None where it falls by less than `RESTS`."""
    most = int(np.argmax(row["drops"]))
    return COMPONENTS[most] if row["drops"][most] >= RESTS else None


def statistic(row: Row, question: str) -> float | None:
    """The number that the question's threshold is laid on."""
    if question != "place":
        value: float | None = row["statistics"][question]
        return value
    component = rests_on(row)
    return None if component is None else row["enrichment"][component][1]


def derive(rows: Sequence[Row]) -> dict[str, float]:
    """Lay the thresholds.

    From `STATISTICS`' questions, all but two: the lowest value that at most 5 % of the blind maps reach; for dependence,
    of those that are as coarse. For what the answer rests on: the lowest that at most 5 % of the maps of untrained networks
    reach. For the similarity to maps of random weights: halfway between what 95 % of the right maps stay below and 1, where
    explainers are that do not look at the network.
    """
    limits = {}
    for question in STATISTICS:
        low = question in LOW
        wanted = ("right",) if low else UNTRAINED if question == "reliance" else BLIND
        of_these = [r for r in rows if kind(r) in wanted]
        groups = {question: of_these}
        if question == "dependence":
            fewer = [0, *COARSE]
            groups = {
                f"dependence:{most}": [r for r in of_these if least < r["cells"] <= most]
                for least, most in zip(fewer, COARSE, strict=False)
            }
            groups["dependence"] = [r for r in of_these if r["cells"] > COARSE[-1]]
        for name, group in groups.items():
            found = [v for r in group if (v := statistic(r, question)) is not None]
            if len(found) >= _FEWEST:
                edge = float(np.quantile(found, 1 - PASS, method="higher"))
                limits[name] = round((edge + 1) / 2, 2) if low else math.floor(100 * edge + 1) / 100
    return limits


def passes(row: Row, question: str, limits: Limits) -> bool:
    """Whether the question's verdict is *supported*; what cannot be assessed is not."""
    value = statistic(row, question)
    if value is None:
        return False
    edge = limit(question, limits, row["cells"])
    return value <= edge if question in LOW else value >= edge


def supported(row: Row, limits: Limits, questions: Sequence[str] = DECIDE) -> bool:
    """Whether all of the questions are supported; with those that decide, the card's verdict."""
    return all(passes(row, question, limits) for question in questions)


def rates(rows: Sequence[Row]) -> dict[str, Any]:
    """How often verdicts are wrong, each map judged by thresholds laid without its training seed and its patients."""
    seeds = sorted({r["seed"] for r in rows})
    without = {seed: derive([r for r in rows if r["seed"] != seed]) for seed in seeds}

    def judged(
        kinds: Sequence[str], question: str | None, method: str | None = None, cells: tuple[int, float] = (0, math.inf)
    ) -> dict[str, Any]:
        of_these = [
            r for r in rows if kind(r) in kinds and method in (None, r["method"]) and cells[0] <= r["cells"] < cells[1]
        ]
        asked = DECIDE if question is None else (question,)
        known = [r for r in of_these if all(statistic(r, q) is not None for q in asked)]
        hits = [supported(r, without[r["seed"]], asked) for r in known]
        rate = _rate(hits, [f"{r['network']} {r['seed']}" for r in known])
        return {**rate, "not assessable": len(of_these) - len(known)}

    methods = sorted({r["method"] for r in rows if kind(r) == "right"})
    return {
        "questions": {
            q: {"blind": judged(UNTRAINED if q == "reliance" else BLIND, q), "right": judged(("right",), q)}
            for q in STATISTICS
        },
        "card": {k: judged((k,), None) for k in (*BLIND, *DUMMIES, *UNTRAINED, "wrong", "between", "right")},
        "untrained": judged(UNTRAINED, None),
        "grains": {
            g: {"blind": judged(BLIND, None, cells=c), "right": judged(("right",), None, cells=c)}
            for g, c in GRAINS.items()
        },
        "blind": judged((*BLIND, *DUMMIES), None),
        "methods": {m: judged(("right",), None, m) for m in methods},
    }


def _rate(hits: Sequence[bool], networks: Sequence[str]) -> dict[str, Any]:
    """Share supported, with an interval that resamples networks; where all are alike, Wilson's of as many networks."""
    groups = len(set(networks))
    estimate: Estimate
    if len(set(hits)) < 2:
        estimate = wilson(groups if any(hits) else 0, groups)
    else:
        estimate = mean_interval([float(h) for h in hits], networks)
    low, high = (None if v is None else round(min(1.0, max(0.0, v)), 3) for v in (estimate.low, estimate.high))
    value = None if not hits else round(float(np.mean(hits)), 3)
    return {"supported": value, "low": low, "high": high, "maps": len(hits), "networks": groups}


def frozen(rows: Sequence[Row], patients: int) -> dict[str, Any]:
    """The content of `thresholds.json`."""
    networks = sorted({f"{r['network']} {r['seed']}" for r in rows})
    return {
        "schema": "whylook-trust-thresholds/1",
        "made": {
            "networks": len(networks),
            "seeds": sorted({r["seed"] for r in rows}),
            "patients per network": patients,
            "maps": len(rows),
            "methods": sorted({r["method"] for r in rows if r["kind"] == "map"}),
            "rests on": RESTS,
            "right from": RIGHT,
            "wrong to": WRONG,
            "blind that pass": PASS,
        },
        "thresholds": derive(rows),
        "rates": rates(rows),
    }


_ASKS = {
    "reliance": "answer rests on the picture",
    "dependence": "answer depends on what is marked",
    "learned": "map depends on what was learned",
    "stability": "mirrored picture",
    "agreement": "another kind of method",
    "place": "marked region",
}
_MEANS = {
    "reliance": "log-odds lost where all is blurred, less the most that copies with random weights lose",
    "dependence": "mean standard score of deletion, insertion and knock-out",
    "learned": "rank correlation with maps of random weights",
    "stability": "rank correlation with the mirrored picture's map",
    "agreement": "rank correlation with a map of another family",
    "place": "standard score of the enrichment among other places",
}
_KINDS = {
    "random": "numbers drawn by lot",
    "random weights": "the method's map of the same network with random weights",
    "untrained": "the method's map of a network that is untrained itself",
    "shuffled": "the method's map of a network whose weights are shuffled, each tensor in itself",
    "sobel": "the picture's edges (Sobel)",
    "center": "a blob in the middle",
    "wrong": f"the method's map, not denser on what the network rests on (enrichment up to {WRONG:g})",
    "between": "the method's map, in between",
    "right": f"the method's map, dense on what the network rests on (enrichment from {RIGHT:g})",
}


def markdown(found: Mapping[str, Any]) -> str:
    """The tables of `docs/trust.md`, from the content of `thresholds.json`."""
    made, limits, known = found["made"], found["thresholds"], found["rates"]
    rows = [
        (
            _ASKS[q],
            _MEANS[q],
            f"{'at most' if q in LOW else 'at least'} {limits[q]:g}{_coarse(q, limits)}",
            share(r["blind"]),
            share(r["right"]),
        )
        for q, r in known["questions"].items()
    ]
    cards = [(_KINDS[k], share(r), str(r["maps"])) for k, r in known["card"].items() if r["maps"]]
    grains = [
        (g, share(r["right"]), str(r["right"]["maps"]), share(r["blind"]), str(r["blind"]["maps"]))
        for g, r in known["grains"].items()
    ]
    methods = [(f"`{m}`", share(r), str(r["maps"]), str(r["not assessable"])) for m, r in known["methods"].items()]
    return (
        f"{made['maps']:,} maps of {made['networks']} networks ({len(made['seeds'])} training seeds); patients of each "
        f"network's own: {made['patients per network']}.\n\n"
        + _grid(("question", "measured by", "*supported* if", "blind maps that pass", "right maps that pass"), rows)
        + "\nBlind to the picture, in the row of what the answer rests on, are maps of untrained networks.\n"
        + "\n**The card's verdict** (all three deciding questions):\n\n"
        + _grid(("map", "*supported*", "maps"), cards)
        + "\n**By the map's own cells**:\n\n"
        + _grid(("cells", "right maps *supported*", "maps", "blind maps *supported*", "maps"), grains)
        + "\n**Right maps by method**:\n\n"
        + _grid(("method", "*supported*", "maps", "and not assessable"), methods)
    )


def _coarse(question: str, limits: Limits) -> str:
    """The thresholds for coarse maps, in words."""
    own = [(most, limits[f"{question}:{most}"]) for most in COARSE if f"{question}:{most}" in limits]
    return "".join(f"; {value:g} for maps of up to {most} cells" for most, value in own)


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
