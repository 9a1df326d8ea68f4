"""The figures of a card in words: what each number is, what chance would give, and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whylook.explanation import Map
from whylook.metrics import METRICS, Score
from whylook.metrics.metric import Better
from whylook.report.words import facts, number, percent
from whylook.trustcard.card import SUPPORTED, Figure, Question, Verdict

Scores = Mapping[str, Score]
PLACE = ("enrichment", "rank-accuracy", "pointing")

ASKS = {
    "dependence": "Does the model's answer depend on what the map marks?",
    "reliance": "Does the answer rest on the picture, more than that of a model that has learned nothing?",
    "learned": "Does the map depend on what the model learned?",
    "stability": "Does the map stay with the picture when it is mirrored?",
    "agreement": "Does a method of another kind mark the same places?",
    "place": "Does the map lie on the marked region?",
}
# What the verdicts say: supported, not better than chance.
_ANSWERS: Mapping[str, tuple[str, str]] = {
    "dependence": (
        "Taken together, deletion, insertion and knock-out hit the answer harder than maps do that know nothing of the model.",
        "Taken together, deletion, insertion and knock-out hit the answer no harder than maps at times do that know nothing "
        "of the model.",
    ),
    "reliance": (
        "Where all of the picture is blurred, the answer loses far more than those of models with random weights do: there is "
        "something learned for a map to show.",
        "Where all of the picture is blurred, the answer loses hardly more than those of models with random weights do. "
        "Whatever the map marks, it may be what any untrained model answers to.",
    ),
    "learned": (
        "A model with random weights gives another map, so this one shows something that was learned.",
        "Models with random weights give much the same map, so it follows the picture, not the model.",
    ),
    "stability": (
        "The map of the mirrored picture is this map, mirrored, more than by chance.",
        "The map of the mirrored picture has no more in common with this one than by chance.",
    ),
    "agreement": (
        "Two methods that work differently mark the same places, more than by chance.",
        "Two methods that work differently agree no more than by chance: at least one of them is not to be relied on here.",
    ),
    "place": (
        "The map is denser on the marked region than on places of its shape elsewhere. This says where the model looks, not "
        "whether it is right.",
        "The map is no denser on the marked region than on other places. If the map is supported, the model looks elsewhere.",
    ),
}
_ORDERS = "random orders of the same blocks"
_SHIFTS = "one map moved over the other"


def answer(name: str, verdict: Verdict, scores: Scores) -> str:
    """What a verdict on a question says, and where one of its figures by itself says the opposite."""
    said = _ANSWERS[name][0 if verdict == SUPPORTED else 1]
    curves = {"Deletion": "deletion-gap", "Insertion": "insertion-gap"} if name == "dependence" else {}
    for title, metric in curves.items():
        band, value = _facts(scores[metric]), scores[metric].value
        if band is not None and value is not None and value < band[0]:
            said += (
                f" {title} by itself is worse than every random order: scattered blocks disturb a picture in another way than "
                "a region of the same size, which tells against the one and for the other. Their mean is what counts."
            )
    return said


def because(verdict: Verdict, questions: Sequence[Question]) -> str:
    """Why the card says what it says."""
    if verdict == SUPPORTED:
        return (
            "The map tells where this model looks: the answer depends on what it marks, and both depend on what the model "
            "learned. It does not tell whether the model looks at the right thing."
        )
    asked = [q for q in questions if q.decides and q.verdict == verdict]
    return " ".join(q.because if q.because.endswith(".") else f"{q.asks} Not assessable: {q.because}." for q in asked)


def figures(name: str, scores: Scores, shown: Map, other: Map | None) -> tuple[Figure, ...]:
    """The figures of a question."""
    made = _MAKERS[name](scores, shown, other)
    return tuple(made)


def _dependence(scores: Scores, shown: Map, other: Map | None) -> list[Figure]:
    gap, back, out = (scores[k] for k in ("deletion-gap", "insertion-gap", "knock-out"))
    made = [
        _figure(
            "deletion-gap", gap, _of_fall(gap), _around_zero(gap), chance=0.0, band=_facts(gap), band_is=_ORDERS,
            title="Deletion",
            meaning="How much faster than in random order the answer falls while the map's highest blocks are blurred "
            "first, as a share of its whole fall.",
        ),
        _figure(
            "insertion-gap", back, _of_fall(back), _around_zero(back), chance=0.0, band=_facts(back), band_is=_ORDERS,
            title="Insertion",
            meaning="How much faster than in random order the answer comes back while the map's highest blocks are shown "
            "first.",
        ),
        _figure(
            "knock-out", out, "–" if out.value is None else f"{100 * out.value:.0f} %", (0, 1), chance=0.5,
            band=(0.025, 0.975), band_is="95 % of regions drawn by lot", title="Knock-out",
            meaning="The highest tenth of the map is painted over. At so many per cent of other places the same shape hurts "
            "the answer less.",
        ),
    ]  # fmt: skip
    if "relative_residual" in shown.facts:
        rest = shown.facts["relative_residual"]
        made.append(
            Figure(
                name="completeness", title="Completeness", value=rest, text=f"{number(100 * rest)} %", better="lower",
                axis=(0, 1), chance=1.0,
                meaning="The method promises that the map adds up to the difference of the score between picture and "
                "baseline; this share of it is missing. A map of zeros misses all of it.",
            )
        )  # fmt: skip
    return made


def _reliance(scores: Scores, shown: Map, other: Map | None) -> list[Figure]:
    score = scores["reliance"]
    fall = score.facts.get("fall")
    ends = [0.0, *score.facts.values()]
    return [
        Figure(
            name="reliance", title="Picture blurred", value=fall, better="higher", reason=score.reason,
            text="–" if fall is None else f"{fall:.1f} lost".replace("-", "−"),
            axis=(1.1 * min(ends), 1.1 * max(*ends, 1.0)), band=_facts(score), band_is="models with random weights",
            meaning="What the answer's log-odds lose where all of the picture is blurred, beside what the top answers of the "
            "same model with random weights lose.",
        )
    ]  # fmt: skip


def _learned(scores: Scores, shown: Map, other: Map | None) -> list[Figure]:
    drawn, edges = scores["full-randomization"], scores["sobel"]
    return [
        _figure(
            "full-randomization", drawn, _plain(drawn), (-1, 1), chance=1.0, title="Random weights",
            meaning="Rank correlation, block by block, with the maps of the same network with random weights"
            f"{f', mean of {drawn.n}' if drawn.n else ''}; 1 for an explainer that does not look at the network.",
        ),
        _figure(
            "sobel", edges, _plain(edges), (-1, 1), band=_facts(edges), band_is=_SHIFTS, title="Edges", better="lower",
            meaning="Rank correlation, block by block, with the picture's edges (Sobel), which know nothing of the network. "
            "High is a hint, not a proof: what is looked at has edges, too.",
        ),
    ]  # fmt: skip


def _stability(scores: Scores, shown: Map, other: Map | None) -> list[Figure]:
    flip = scores["flip-consistency"]
    return [
        _figure(
            "flip-consistency", flip, _plain(flip), (-1, 1), chance=0.0, band=_facts(flip), band_is=_SHIFTS,
            title="Mirrored picture",
            meaning="Rank correlation, block by block, with the mirrored picture's map, mirrored back. Where left and right "
            "differ in meaning (organs, letters), it need not be high.",
        )
    ]  # fmt: skip


def _agreement(scores: Scores, shown: Map, other: Map | None) -> list[Figure]:
    score = scores["rank-correlation"]
    with_whom = "another method" if other is None else facts(other.method).title
    return [
        _figure(
            "rank-correlation", score, _plain(score), (-1, 1), chance=0.0, band=_facts(score), band_is=_SHIFTS,
            title=f"Agreement with {with_whom}", better="higher",
            meaning="Rank correlation, block by block. Methods that share a weakness agree, too.",
        )
    ]  # fmt: skip


def _place(scores: Scores, shown: Map, other: Map | None) -> list[Figure]:
    dense, rank, point = (scores[k] for k in PLACE)
    largest = dense.facts.get("largest", 2.0)
    top = max(2.0, min(largest, 1.25 * max(dense.value or 1.0, dense.facts.get("high", 1.0))))
    return [
        _figure(
            "enrichment", dense, "–" if dense.value is None else f"{number(dense.value)} ×", (0, top), chance=1.0,
            band=_facts(dense), band_is="the mask's shape at other places", title="Enrichment",
            meaning="How much denser the map is on the marked region than over the whole picture"
            + (f"; the region has {percent(dense.facts['area'])} of it." if "area" in dense.facts else "."),
        ),
        _figure(
            "rank-accuracy", rank, _share(rank), (0, 1), chance=rank.chance, title="Overlap",
            meaning="Share of the region that the map's highest part of the same area covers.",
        ),
        _figure(
            "pointing", point, _share(point), (0, 1), chance=point.chance, title="Pointing game",
            meaning="Whether the map's highest cell touches the region: 100 % or 0 %, in between for ties.",
        ),
    ]  # fmt: skip


_MAKERS = {
    "dependence": _dependence,
    "reliance": _reliance,
    "learned": _learned,
    "stability": _stability,
    "agreement": _agreement,
    "place": _place,
}


def _figure(
    name: str, score: Score, text: str, axis: tuple[float, float], *, title: str, meaning: str,
    chance: float | None = None, band: tuple[float, float] | None = None, band_is: str = "", better: Better | None = None,
) -> Figure:  # fmt: skip
    known = score.value is not None
    return Figure(
        name=name,
        title=title,
        value=score.value,
        text=text,
        meaning=meaning,
        better=better if better or name not in METRICS else METRICS[name].better,
        axis=axis,
        reason=score.reason,
        chance=chance,
        band=band if known else None,
        band_is=band_is if known and band else "",
        interval=score.interval,
        curves=score.curves,
    )


def _facts(score: Score) -> tuple[float, float] | None:
    return (score.facts["low"], score.facts["high"]) if {"low", "high"} <= set(score.facts) else None


def _around_zero(score: Score) -> tuple[float, float]:
    reach = max(0.5, *(1.1 * abs(v) for v in (score.value, *(_facts(score) or ())) if v is not None), 0.5)
    return (-reach, reach)


def _plain(score: Score) -> str:
    return "–" if score.value is None else f"{score.value:.2f}".replace("-", "−")


def _share(score: Score) -> str:
    return "–" if score.value is None else f"{100 * score.value:.0f} %"


def _of_fall(score: Score) -> str:
    return "–" if score.value is None else f"{100 * score.value:+.0f} %".replace("-", "−")
