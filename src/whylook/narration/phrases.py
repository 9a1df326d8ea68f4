"""How names, numbers and maps are put together in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from whylook.comparison.words import listed as listed
from whylook.facts.fact import shown
from whylook.facts.regions import THIRDS
from whylook.narration.checks import fault
from whylook.narration.claims import Claim, Kind
from whylook.narration.reading import plain_name, quoted

if TYPE_CHECKING:
    from whylook.facts.fact import Fact, Facts

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True)
class Told:
    """The facts of one map, by the part of their ids behind the dot."""

    facts: dict[str, Fact]

    @property
    def any(self) -> Fact:
        """One of them, for what it is about."""
        return next(iter(self.facts.values()))

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.any.subject.models[0]

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.any.subject.methods[0]

    @property
    def target(self) -> str:
        """The class, as it is shown."""
        return self.any.subject.target

    @property
    def even(self) -> bool:
        """Whether the map says nothing on place."""
        spread = self.facts.get("spread")
        return spread is None or "even" in self.facts or spread.verdict == "even"

    @cached_property
    def thirds(self) -> tuple[Fact, ...]:
        """Shares of the nine parts of the picture, largest first."""
        found = [f for f in self.facts.values() if f.name == "share" and f.subject.region in THIRDS]
        return tuple(sorted(found, key=lambda f: -(f.value or 0)))

    @property
    def largest(self) -> Fact | None:
        """The part that holds more than each other, as far as can be seen from what is shown."""
        return next((f for f in self.thirds if f.verdict == "largest"), None)

    def of(self, name: str, region: str) -> Fact | None:
        """The fact of a kind about a region."""
        return next((f for f in self.facts.values() if f.name == name and f.subject.region == region), None)


def by_map(facts: Facts) -> list[Told]:
    """Facts of each map, in their order."""
    own = [f for f in facts if f.id.startswith("a") and "." in f.id]
    return [
        Told({f.id.removeprefix(f"{key}."): f for f in group})
        for key, group in groupby(own, key=lambda f: f.id.partition(".")[0])
    ]


@dataclass(frozen=True)
class Words:
    """Names as this table needs them: no model where there is one, no class where each map has the same."""

    facts: Facts

    @cached_property
    def _several(self) -> bool:
        targets: dict[tuple[str, str], set[str]] = {}
        for m in by_map(self.facts):
            targets.setdefault((m.model, m.method), set()).add(m.target)
        return any(len(t) > 1 for t in targets.values())

    def title(self, method: str) -> str:
        """Name of a method as people print it."""
        return shown(self.facts.titles[method])

    def titles(self, maps: Iterable[Told]) -> str:
        """“Grad-CAM and LRP”."""
        return listed(dict.fromkeys(self.title(m.method) for m in maps))

    def tail(self, maps: Sequence[Told]) -> str:
        """“ of resnet50 for “cat””, as far as it takes that to know which maps are meant."""
        models = listed(dict.fromkeys(plain_name(m.model) for m in maps))
        of = f" of {models}" if len(self.facts.models) > 1 else ""
        return of + (f" for {quoted(maps[0].target)}" if self._several else "")

    def maps(self, maps: Sequence[Told]) -> str:
        """“Grad-CAM and LRP maps of resnet50”."""
        return f"{self.titles(maps)} map{'s' if len(maps) > 1 else ''}{self.tail(maps)}"

    def each(self, maps: Sequence[Told], text: Callable[[Told], str], of: str = "of") -> str:
        """“1 % of the mass in the Grad-CAM map and 2 % in the LRP map of resnet50”: each number before its name."""
        short = of.rpartition(" ")[2]
        told = [f"{text(m)} {short if i else of} the {self.title(m.method)} map" for i, m in enumerate(maps)]
        return listed(told) + self.tail(maps)

    def told(
        self, maps: Sequence[Told], fact: str, text: str, kind: Kind = "observation", *, summary: bool = False
    ) -> Iterator[Claim]:
        """A sentence on one fact of each map, with `{maps}` and `{is}` for them."""

        def sentence(these: Sequence[Told]) -> Claim:
            filled = text.replace("{is}", one(len(these), "is", "are")).replace("{maps}", self.maps(these))
            return claim(filled, [m.facts[fact] for m in these], kind, summary=summary)

        yield from together(self.facts, maps, sentence)

    def counted(self, maps: Sequence[Told], fact: str, text: str, of: str = "of") -> Iterator[Claim]:
        """A sentence on the number of each map, with `{each}` for them, and `{counts}` or `{lies}` for its verb."""

        def sentence(these: Sequence[Told]) -> Claim:
            filled = text.replace("{counts}", one(len(these), "counts", "count"))
            filled = filled.replace("{lies}", one(len(these), "lies", "lie"))
            return claim(
                filled.replace("{each}", self.each(these, lambda m: m.facts[fact].text, of)),
                [m.facts[fact] for m in these],
            )

        yield from together(self.facts, maps, sentence)


def one(count: int, single: str, several: str) -> str:
    """The form of a word that goes with a count."""
    return single if count == 1 else several


def texts(facts: Iterable[Fact]) -> str:
    """“46.1 % and 44.0 %”; a single one where all are shown alike."""
    found = [f.text for f in facts]
    return found[0] if len(set(found)) == 1 else listed(found)


def claim(text: str, facts: Iterable[Fact], kind: Kind = "observation", *, summary: bool = False) -> Claim:
    """A sentence with the ids of its facts; its first letter is made a capital unless it begins with a name."""
    return Claim(text, tuple(dict.fromkeys(f.id for f in facts)), kind, summary)


def together(facts: Facts, items: Sequence[T], make: Callable[[Sequence[T]], Claim]) -> Iterator[Claim]:
    """One sentence on several things; one on each where names make that ambiguous (a model called like a class, …)."""
    if not items:
        return
    made = make(items)
    if len(items) == 1 or fault(made, facts) is None:
        yield made
    else:
        yield from (make([item]) for item in items)


def alike(items: Iterable[T], key: Callable[[T], K]) -> Iterator[tuple[K, list[T]]]:
    """Group by a key, in the order in which keys come."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    yield from groups.items()
