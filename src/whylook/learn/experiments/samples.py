"""What three pictures can show: nothing."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np

from whylook.demo import mass
from whylook.learn.experiments.controls import Choice, Number
from whylook.learn.experiments.films import film, maps, of_films
from whylook.learn.experiments.measures import number, share, signed
from whylook.learn.experiments.outcome import Outcome, Plot, Series
from whylook.learn.experiments.registration import experiment, loaded
from whylook.models.model import Model
from whylook.phantom import LABELS
from whylook.statistics import fewest_units, sign_flip

_ALL = 24
_ALPHA = 0.05


@experiment(
    "three-pictures",
    "How many pictures?",
    of_films("phantom:resnet"),
    of_films("phantom:mobilenet", "other", "Other network"),
    Choice("part", "On the", "lesion", (("lesion", "lesion"), ("marker", "marker"), ("catheter", "catheter"))),
    Number("n", "Pictures", 3, 2, _ALL),
    Number("first", "First patient", 0, 0, _ALL - 1),
)
def three_pictures(model: Model, other: Model, part: str, n: int, first: int) -> Outcome:
    """Compare two networks on a few pictures, and see how far the answer depends on which."""
    if model.name == other.name:
        return Outcome((f"Both are {model.name}: choose two different ones.",))
    a, b = (np.array(_measured(m.name, part)) for m in (model, other))
    differences = a - b
    chosen = [(first + i) % _ALL for i in range(n)]
    mine = differences[chosen]
    p = sign_flip(mine)
    least = 2 / 2**n
    mean, whole = float(mine.mean()), float(differences.mean())
    more = model.name if mean > 0 else other.name
    sentences = [
        f"On {n} pictures the HiResCAM map of {more} has more of its mass on the {part}: on average by "
        f"{number(round(100 * abs(mean), 1))} percentage points.",
        f"Flipping signs gives p = {number(p)}. With {n} pictures the smallest two-sided p there can be is 2 / 2{_raised(n)} = "
        f"{number(least)}"
        + (
            f": not below {_ALPHA}, so {n} pictures cannot show a difference, whatever they look like. It takes "
            f"{fewest_units()} at least, and more for several comparisons."
            if least >= _ALPHA
            else f", so a difference could show. {'It does.' if p < _ALPHA else 'It does not.'}"
        ),
    ]
    triples = [float(differences[list(three)].mean()) for three in combinations(range(_ALL), 3)]
    wrong = float(np.mean(np.sign(triples) != np.sign(whole)))
    sentences.append(
        f"All {_ALL} pictures together: {signed(100 * whole, 1)} percentage points for {model.name}, "
        f"p = {number(sign_flip(differences))}. Of the {len(triples):,} ways to pick three of them, {share(wrong)} have the "
        "other sign."
    )
    rest = [i for i in range(_ALL) if i not in chosen]
    plot = Plot(
        title=f"Differences on the {part}, patient by patient",
        x="patient",
        y=f"{model.name} less {other.name}, percentage points",
        series=(
            Series(
                "your pictures",
                tuple(float(i) for i in sorted(chosen)),
                tuple(100 * float(differences[i]) for i in sorted(chosen)),
                "dots",
            ),
            *(
                (
                    Series(
                        "the others",
                        tuple(map(float, rest)),
                        tuple(100 * float(differences[i]) for i in rest),
                        "hollow",
                    ),
                )
                if rest
                else ()
            ),
        ),
        levels=(("mean of yours", 100 * mean), ("mean of all", 100 * whole)),
        says=f"Your {n}: mean {signed(100 * mean, 1)} points; all {_ALL}: {signed(100 * whole, 1)}.",
    )
    return Outcome(tuple(sentences), {"p": p, "least": least, "mean": mean, "all": whole, "wrong": wrong}, (), (plot,))


@lru_cache(maxsize=64)
def _measured(name: str, part: str) -> tuple[float, ...]:
    """Share of the HiResCAM map of disc on a part, per patient; 0 where the map is empty."""
    patients = [film(i) for i in range(_ALL)]
    made = maps(loaded(name), "hirescam", patients, LABELS.index("disc"))
    found = [mass(m, p.scoring_mask(part)) for m, p in zip(made, patients, strict=True)]
    return tuple(0.0 if f is None else f[0] for f in found)


def _raised(n: int) -> str:
    return str(n).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
