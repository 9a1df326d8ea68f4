"""What a fact is, and the table of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from whylook.errors import UsageError
from whylook.report.words import plain

SCHEMA = "whylook-facts/1"


@dataclass(frozen=True)
class Subject:
    """What a fact is about; what does not matter for it is empty.

    Parameters
    ----------
    models, methods : one name, or the two that are compared, in the order of the comparison.
    target : the class as it is shown (see `shown`).
    region : a region of the picture.
    rank : place of the class among the model's answers, from 1.
    """

    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    target: str = ""
    region: str = ""
    rank: int | None = None


@dataclass(frozen=True)
class Fact:
    """One thing that was measured, or is known.

    Parameters
    ----------
    id : short, unique in its table, the same for the same request.
    name : what kind of thing it is, from a fixed list (`probability`, `share`, `agreement`, `limit`, …).
    text : the value as it is shown, rounded; or the words, where it is no number.
    about : a phrase that says in full what the value is of.
    value : unrounded, or None where it is no number or could not be known (`text` says why).
    unit : `%`, `times`, `px`, `passes`, `s`, or empty. A value in `%` is a share from 0 to 1.
    interval : 95 % interval, unrounded, or None where there is none.
    chance : what a map that knows nothing reaches, unrounded, or None.
    interval_text, chance_text : the two as they are shown.
    n : how many pictures or cells the value is from, or None.
    verdict : a fixed word, or empty: `more`, `less`, `as much`, `largest`, `agree`, `higher`, `not assessable`, …
    significant : whether a test says so; never for a single picture.
    required : a limit that must be said.
    subject : what it is about.
    """

    id: str
    name: str
    text: str
    about: str
    value: float | None = None
    unit: str = ""
    interval: tuple[float, float] | None = None
    chance: float | None = None
    interval_text: str = ""
    chance_text: str = ""
    n: int | None = None
    verdict: str = ""
    significant: bool = False
    required: bool = False
    subject: Subject = field(default_factory=Subject)

    def as_dict(self) -> dict[str, Any]:
        """All of it as strict JSON has it; what is empty is left out, `value` is always there."""
        content = {k: v for k, v in asdict(self).items() if k == "value" or v not in (None, "", False, ())}
        content["subject"] = {k: v for k, v in content["subject"].items() if v not in (None, "", ())}
        kept: dict[str, Any] = plain(content)
        return kept


@dataclass(frozen=True, eq=False)
class Facts:
    """The table of facts of one picture.

    Parameters
    ----------
    facts : in the order of their making.
    picture : what the picture is called. It is no fact, and `as_dict` leaves it out: names of files tell of people.
    titles : by method name, as people print it.
    """

    facts: tuple[Fact, ...]
    picture: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Fact]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)

    @cached_property
    def _by_id(self) -> dict[str, Fact]:
        return {f.id: f for f in self.facts}

    def __contains__(self, fact_id: object) -> bool:
        return fact_id in self._by_id

    def __getitem__(self, fact_id: str) -> Fact:
        """Return the fact of that id.

        Raises
        ------
        UsageError
            If there is none.
        """
        try:
            return self._by_id[fact_id]
        except KeyError:
            raise UsageError(f"There is no fact {fact_id!r} among the {len(self)} of this picture.") from None

    def named(self, name: str) -> list[Fact]:
        """All facts of one kind."""
        return [f for f in self.facts if f.name == name]

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Names of the models, in the order of their first fact."""
        return tuple(dict.fromkeys(m for f in self.facts for m in f.subject.models))

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods."""
        return tuple(dict.fromkeys(m for f in self.facts for m in f.subject.methods))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Classes, as they are shown."""
        return tuple(dict.fromkeys(f.subject.target for f in self.facts if f.subject.target))

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Regions of the picture."""
        return tuple(dict.fromkeys(f.subject.region for f in self.facts if f.subject.region))

    @cached_property
    def limits(self) -> tuple[Fact, ...]:
        """What must be said of every such map."""
        return tuple(f for f in self.facts if f.name == "limit" and f.required)

    def as_dict(self) -> dict[str, Any]:
        """One picture of `facts.json`: strict JSON, without the name of the picture."""
        return {"schema": SCHEMA, "titles": dict(self.titles), "facts": [f.as_dict() for f in self.facts]}


def document(tables: Sequence[Facts]) -> dict[str, Any]:
    """Return the content of `facts.json`."""
    return {"schema": SCHEMA, "pictures": [t.as_dict() for t in tables]}


def shown(label: str) -> str:
    """Return the name of a class, a region or a model as it can stand between quotation marks, on one line."""
    return " ".join(label.replace("“", "'").replace("”", "'").replace('"', "'").split()) or "(no name)"
