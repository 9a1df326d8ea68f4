"""Data sets of phantoms: the same patients, with the marker given out by different rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, overload

from whylook.errors import UsageError
from whylook.phantom.draws import Draws
from whylook.phantom.render import LABELS, Phantom, render

Split = Literal["train", "test"]

# How often the marker is there in discs, and in the three other classes.
MARKER_RATES = {
    "clean": (0.5, 0.5),
    "independent": (0.5, 0.5),
    "shortcut": (0.97, 0.03),
    "aligned": (0.97, 0.03),
    "anti": (0.03, 0.97),
    "marker-only": (1.0, 1.0),
    "two-lesion": (0.5, 0.5),
}
NAMES = tuple(MARKER_RATES)
_SPLIT_SIZE = 1_000_000
_FIRST_SEED = {"train": 0, "test": _SPLIT_SIZE}


@dataclass(frozen=True)
class Phantoms(Sequence[Phantom]):
    """A data set, drawn picture by picture when it is asked for; a slice is a data set too.

    Parameters
    ----------
    name : one of `NAMES`.
    seeds : the patients.
    """

    name: str
    seeds: range

    @overload
    def __getitem__(self, index: int) -> Phantom: ...
    @overload
    def __getitem__(self, index: slice) -> Phantoms: ...
    def __getitem__(self, index: int | slice) -> Phantom | Phantoms:
        if isinstance(index, slice):
            return replace(self, seeds=self.seeds[index])
        seed = self.seeds[index]
        if self.name == "marker-only":
            return render(seed, lesion="disc", marker=True, drop=["lesion"])
        disc = Draws(seed, "choice of lesion").below(len(LABELS)) == LABELS.index("disc")
        rate = MARKER_RATES[self.name][0 if disc else 1]
        marker = Draws(seed, "marker of the data set").happens(rate)
        return render(seed, marker=marker, lesions=2 if self.name == "two-lesion" else 1)

    def __len__(self) -> int:
        return len(self.seeds)


class Quadruple(NamedTuple):
    """A patient with lesion, marker and catheter, and the same patient without each of them in turn."""

    whole: Phantom
    without_lesion: Phantom
    without_marker: Phantom
    without_catheter: Phantom


@dataclass(frozen=True)
class Quadruples(Sequence[Quadruple]):
    """Counterfactual quadruples, drawn when asked for; a slice is such a sequence too.

    Parameters
    ----------
    seeds : the patients.
    lesion : one of `LABELS`, or None: drawn from the seed.
    """

    seeds: range
    lesion: str | None = None

    @overload
    def __getitem__(self, index: int) -> Quadruple: ...
    @overload
    def __getitem__(self, index: slice) -> Quadruples: ...
    def __getitem__(self, index: int | slice) -> Quadruple | Quadruples:
        if isinstance(index, slice):
            return replace(self, seeds=self.seeds[index])
        drops = ((), ("lesion",), ("marker",), ("catheter",))
        return Quadruple(
            *(render(self.seeds[index], lesion=self.lesion, marker=True, catheter=True, drop=drop) for drop in drops)
        )

    def __len__(self) -> int:
        return len(self.seeds)


def dataset(name: str, n: int = 1000, split: Split = "test") -> Phantoms:
    """Return a data set of `n` pictures; the patients of the two splits are different people.

    Parameters
    ----------
    name : `clean` (the marker is there by the toss of a coin), `shortcut` (in 97 % of the discs and 3 % of the others),
        `marker-only` (no lesion; labeled disc, the class that the marker speaks for), `two-lesion` (labeled by the
        first of two lesions of different shapes), or a variant to test a network on: `aligned` (the rule of
        `shortcut`), `anti` (its opposite), `independent` (the rule of `clean`).
    n : number of pictures, 1 to 1,000,000.
    split : `train` or `test`. All data sets of a split draw the same patients.

    Raises
    ------
    UsageError
        If an argument is not one of those above.
    """
    if name not in MARKER_RATES:
        raise UsageError(f"There is no phantom data set {name!r}; there are {', '.join(NAMES)}.")
    return Phantoms(name, _seeds(n, split))


def quadruples(n: int = 100, split: Split = "test", lesion: str | None = None) -> Quadruples:
    """Return `n` counterfactual quadruples, with lesions of all shapes or of one.

    Raises
    ------
    UsageError
        If there is no such split or lesion, or `n` is not 1 to 1,000,000.
    """
    if lesion is not None and lesion not in LABELS:
        raise UsageError(f"There is no lesion {lesion!r}; there are {', '.join(LABELS)}.")
    return Quadruples(_seeds(n, split), lesion)


def _seeds(n: int, split: str) -> range:
    if split not in _FIRST_SEED:
        raise UsageError(f"There is no split {split!r}; there are train and test.")
    if not 1 <= n <= _SPLIT_SIZE:
        raise UsageError(f"A phantom data set has 1 to {_SPLIT_SIZE:,} pictures, not {n!r}.")
    return range(_FIRST_SEED[split], _FIRST_SEED[split] + n)
