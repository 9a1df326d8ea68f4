"""A network that learned a shortcut, and a method that misses it."""

from __future__ import annotations

import numpy as np

from whylook.demo import log_odds, mass
from whylook.explainer import answer, explain
from whylook.learn.experiments.controls import Choice, Number
from whylook.learn.experiments.films import CLEAN, FAMILIES, PATIENT, film, film_image, maps, of_films
from whylook.learn.experiments.measures import interval, number, percent, saying, share, signed
from whylook.learn.experiments.outcome import Bar, Bars, Outcome, Plot, Series
from whylook.learn.experiments.registration import experiment
from whylook.models.model import Model
from whylook.phantom import LABELS
from whylook.report.words import facts
from whylook.statistics import mean_interval

_DISC = LABELS.index("disc")
_MARKER = "marker"
_TOLD = 2.0  # times the marker's share of the picture: what edges alone can give (docs/phantom.md, Controls)
_CAMS = ("grad-cam", "hirescam", "layercam")


@experiment(
    "shortcut",
    "The right answer for the wrong reason",
    of_films("phantom:vgg", options=CLEAN, title="Taught without the shortcut"),
    of_films("phantom:vgg-shortcut", "other", "Taught with it", tuple(f"{name}-shortcut" for name in CLEAN)),
    PATIENT,
)
def shortcut(model: Model, other: Model, patient: int) -> Outcome:
    """Two networks, one answer: without the marker, and without the lesion, they part."""
    image = film_image(patient)
    explanation = explain(image, [model, other], ["hirescam", "lrp"], _DISC)
    mask = film(patient).scoring_mask(_MARKER)
    sentences, numbers, bars = [], {}, []
    for network in (model, other):
        said = explanation.predictions[network.name]
        bare = answer(network, film_image(patient, "lesion")).top(1)[0]
        drop = log_odds(said, _DISC) - log_odds(answer(network, film_image(patient, _MARKER)), _DISC)
        found = mass(explanation.map(network.name, "hirescam").on_image(), mask)
        kind = "other" if network is other else "model"
        numbers[f"drop_{kind}"] = drop
        bars.append(Bar(network.name, drop))
        sentences.append(saying(explanation, network.name))
        told = "The HiResCAM map is empty."
        if found is not None:
            times = found[0] / found[1]
            numbers[f"times_{kind}"] = times
            told = (
                f"Of its HiResCAM map {share(found[0])} lies on the marker, which is {share(found[1])} of the picture: "
                f"{number(times)} times its share."
            )
        sentences.append(
            f"Without the marker, its log-odds of disc change by {signed(-drop)}; without the lesion, it says {bare.label} "
            f"({percent(bare.probability)}). {told}"
        )
    by_map = [k for k in ("model", "other") if numbers.get(f"times_{k}", 0) > _TOLD]
    by_removal = [k for k in ("model", "other") if numbers[f"drop_{k}"] >= 1]
    sentences.append(
        f"By the removal, which is the truth here, {_verdict(by_removal)}; by the map, {_verdict(by_map)}, if {_TOLD:g} "
        "times the marker's share is taken as a sign: "
        + ("they agree." if by_map == by_removal else "they do not agree on this film.")
    )
    plot = Bars(
        title="Without the marker",
        axis="fall of the log-odds of disc",
        bars=tuple(bars),
        says="; ".join(f"{b.name} {signed(-b.value)}" for b in bars) + ".",
    )
    return Outcome(tuple(sentences), numbers, (explanation,), (plot,))


def _verdict(kinds: list[str]) -> str:
    words = {(): "neither network reads the marker", ("model", "other"): "both networks read the marker"}
    words |= {
        ("model",): "only the first network reads the marker",
        ("other",): "only the second network reads the marker",
    }
    return words[tuple(kinds)]


@experiment(
    "flatten-head",
    "Grad-CAM on a flatten head",
    Choice("family", "Network, with the shortcut", "vgg", tuple((f, f"phantom:{f}-shortcut") for f in FAMILIES)),
    Number("films", "Films", 24, 3, 60),
)
def flatten_head(family: str, films: int) -> Outcome:
    """How much of three CAMs lies on the marker that the network reads, over many patients."""
    model = _load(family)
    patients = [film(i) for i in range(films)]
    shares: dict[str, list[float]] = {}
    areas = [float(p.scoring_mask(_MARKER).mean()) for p in patients]
    for method in _CAMS:
        found = [
            mass(m, p.scoring_mask(_MARKER))
            for m, p in zip(maps(model, method, patients, _DISC), patients, strict=True)
        ]
        shares[method] = [0.0 if f is None else f[0] for f in found]
    estimates = {m: interval(mean_interval(v)) for m, v in shares.items()}
    grad, hires = estimates["grad-cam"], estimates["hirescam"]
    difference = interval(mean_interval(np.subtract(shares["hirescam"], shares["grad-cam"])))
    sentences = [
        f"Over {films} patients with a disc, the marker is {share(float(np.mean(areas)))} of the picture. Of the Grad-CAM map "
        f"{share(grad.value)} lies on it (95 % interval {share(grad.low)} to {share(grad.high)}), of the HiResCAM map "
        f"{share(hires.value)} ({share(hires.low)} to {share(hires.high)}).",
    ]
    if np.allclose(shares["grad-cam"], shares["hirescam"], atol=1e-4):
        sentences.append(
            "The two are the same map: this network pools globally before its last layer, so every place has the same weights "
            "and averaging them loses nothing."
        )
    elif difference.low > 0:
        sentences.append(
            f"Grad-CAM shows less of it, by {share(difference.value)} of the map (95 % interval {share(difference.low)} to "
            f"{share(difference.high)}): the flatten head has weights of its own for every place, and Grad-CAM averages each "
            "channel's gradient over the picture."
        )
    else:
        sentences.append("Over these films the two do not differ by more than chance.")
    bars = Bars(
        title="On the marker",
        axis="share of the map's mass",
        bars=(
            *(Bar(facts(m).title, e.value, (e.low, e.high)) for m, e in estimates.items()),
            Bar("its share of the picture", float(np.mean(areas))),
        ),
        says="; ".join(f"{facts(m).title} {share(e.value)}" for m, e in estimates.items()) + ".",
    )
    more = int(np.sum(np.greater(shares["hirescam"], shares["grad-cam"])))
    each = Plot(
        title="Patient by patient",
        x="patient",
        y="share of the map on the marker",
        series=(
            Series("Grad-CAM", tuple(map(float, range(films))), tuple(shares["grad-cam"]), "hollow"),
            Series("HiResCAM", tuple(map(float, range(films))), tuple(shares["hirescam"]), "dots"),
        ),
        says=f"HiResCAM has more on the marker in {more} of {films}.",
    )
    numbers = {"grad_cam": grad.value, "hirescam": hires.value, "difference": difference.value}
    explanation = explain(film_image(int(PATIENT.default)), model, list(_CAMS), _DISC)
    return Outcome(tuple(sentences), numbers, (explanation,), (bars, each))


def _load(family: str) -> Model:
    from whylook.learn.experiments.registration import loaded

    return loaded(f"phantom:{family}-shortcut")
