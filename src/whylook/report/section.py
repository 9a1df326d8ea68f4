"""The parts of a page that tell a story: a heading, some prose, a small table, and pictures with their maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whylook.report.words import facts

if TYPE_CHECKING:
    from whylook.explanation import Explanation
    from whylook.narration.narrative import Narrative


@dataclass(frozen=True)
class Table:
    """A small table in a section.

    Parameters
    ----------
    columns : headings.
    rows : cells, each row as long as `columns`; columns of numbers (or of text that begins with
        one: `62 %`) are set flush right, `None` is an empty cell.
    note : one sentence under the table, or None.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]
    note: str | None = None

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells in a table of {len(self.columns)} columns: {row!r}")


@dataclass(frozen=True, eq=False)
class Section:
    """One step of a page. Pictures of one size within a section are zoomed and probed together.

    Parameters
    ----------
    title : heading; empty for none.
    text : paragraphs of plain text.
    table : shown below the text, or None.
    explanations : shown below the table.
    narrative : checked sentences and the facts behind them, shown below the explanations, or None.
    """

    title: str = ""
    text: tuple[str, ...] = ()
    table: Table | None = None
    explanations: tuple[Explanation, ...] = ()
    narrative: Narrative | None = None


def sections_of(what: Iterable[Explanation | Section]) -> tuple[Section, ...]:
    """Return `what` as sections; an explanation by itself becomes a section without heading or text."""
    return tuple(item if isinstance(item, Section) else Section(explanations=(item,)) for item in what)


def trust_table(explanations: Iterable[Explanation]) -> Table | None:
    """Return what is known of the maps' worth as a table, one row per map; None where there are no maps.

    The verdicts of trust cards where they were measured, and otherwise what can be read off the maps.
    """
    given = list(explanations)
    cards = [card for e in given for card in e.cards]
    if not cards:
        return _glance_table(given)
    asked = [q.name for q in cards[0].questions]
    rows = []
    for card in cards:
        found = {q.name: q.verdict for q in card.questions}
        map_of = (card.map.model, facts(card.map.method).title, str(card.map.target))
        rows.append((*map_of, card.verdict, *(found[name] for name in asked)))
    return Table(
        columns=("model", "method", "of", "can the map be believed?", *(_COLUMNS[name] for name in asked)),
        rows=tuple(rows),
        note="A map can be believed as an account of where the model looks if the answer depends on what it marks, if the "
        "answer rests on the picture, and if the map depends on what the model learned; the other columns inform. It does "
        "not say that the model is right. whylook trust makes a page of one map, with all figures.",
    )


def _glance_table(explanations: Sequence[Explanation]) -> Table | None:
    rows = tuple(
        (m.model, facts(m.method).title, str(m.target), *glance.cells())
        for e in explanations
        for m, glance in zip(e.maps, e.glances, strict=True)
    )
    if not rows:
        return None
    return Table(
        columns=(
            "model", "method", "of", "at a glance", "agrees with another kind of method", "with the picture's edges",
            "missing of the sum", "before reading on",
        ),
        rows=rows,
        note="Can these maps be believed? This is read off the maps themselves and cost nothing, so it is no verdict. "
        "Doubtful: something is to be known before reading on, or another kind of method marks other places (a rank "
        "correlation no higher than smooth maps have by chance). whylook explain --trust asks the networks, about 300 "
        "forward passes per map.",
    )  # fmt: skip


_COLUMNS = {
    "dependence": "answer depends on it",
    "reliance": "answer rests on the picture",
    "learned": "depends on what was learned",
    "stability": "stays when mirrored",
    "agreement": "another kind of method agrees",
    "place": "on the marked region",
}
