"""Sentences and table cells of an audit, for the terminal and the page alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whylook.auditing.decision import CHANGED, LEAD, NO_OTHER, ONE_CLASS, commonest, difference, p_value

if TYPE_CHECKING:
    from whylook.auditing.audit import Audit, Row

EVIDENCE = (
    "Evidence: how far the class that a picture's other views name stands out in a view, in standard deviations over "
    "the classes, once the mean answer to all pictures is taken off. Agreement: share of the changed views (mirrored, "
    "four corners) whose first class is that of the picture as it is."
)
SIZES = (
    "What a crop leaves of a picture changes the evidence whatever the network was trained with, and most networks answer "
    "alike however pictures are brought to size. On the three networks that this was tried on, a wrong way was caught in 1 of "
    "12 cases, and the right one never called wrong."
)


def columns(audit: Audit, against: str = "less declared") -> tuple[str, ...]:
    """Headings of the table of conventions."""
    accuracy = () if audit.truth is None else ("accuracy",)
    return ("convention", *accuracy, "evidence", "agreement", against, "Holm p")


def cells(row: Row, mark: str = "") -> tuple[str, ...]:
    """One line of the table; `mark` says what the convention is."""
    accuracy = () if row.hits is None else (f"{row.hits.mean():.1%}",)
    versus = (
        ("", "") if row.versus is None else (difference(row.versus, hits=row.hits is not None), p_value(row.versus))
    )
    name = f"{row.convention.name} ({mark})" if mark else row.convention.name
    means = (f"{row.evidence.clear.mean():.2f}", f"{row.evidence.agreement.mean():.0%}")
    return (name, *accuracy, *means, *versus)


def mark(audit: Audit, row: Row) -> str:
    """`declared`, `better supported`, `ahead`, or nothing."""
    if row is audit.declared:
        return "declared"
    if row is audit.named:
        return "better supported" if audit.decision.kind == "other" else "ahead"
    return ""


def verdict(audit: Audit) -> str:
    """The sentence that comes first."""
    sentence = f"{audit.model.name}: {audit.decision.words}"
    if audit.decision.kind == "declared":
        sentence += f" ({audit.declared.convention.name}; {len(audit.images)} pictures)"
    return f"{sentence}."


def same(audit: Audit) -> str:
    """What these pictures cannot tell apart, or nothing."""
    if not audit.decision.same:
        return ""
    return f"These pictures do not tell it from: {'; '.join(audit.decision.same)}."


def sizes(audit: Audit) -> str:
    """What may be said of size and interpolation."""
    found, around = audit.sizes, audit.variants[0].convention.name
    if found is None:
        return "Size and interpolation: there is no other way to bring these pictures to size."
    if found.kind == "other":
        told = found.words.partition(": ")[2]
        return f"Size and interpolation: another way is better supported than that of the {around} above: {told}."
    alike = [row.convention.name for row in audit.variants[1:]] if NO_OTHER in found.words else found.same
    if found.kind == "not assessable" and not alike:
        return f"Size and interpolation: {found.words}."
    if not alike:
        return "Size and interpolation: every other way is less supported."
    return f"Size and interpolation: no other way is better supported; not distinguishable: {'; '.join(alike)}."


def caution(audit: Audit) -> str:
    """What would make the verdict worthless, or nothing."""
    share = commonest(audit.declared.evidence.top)
    if audit.decision.kind != "other" or audit.truth is not None or share <= ONE_CLASS:
        return ""
    return (
        f"As declared, {share:.0%} of the pictures get one class. If they do show a single class, this verdict says "
        "nothing: give pictures of several classes, or labels."
    )


def cost(audit: Audit) -> str:
    """What it took."""
    return f"{audit.forwards:,} forward passes, {audit.seconds:.0f} s."


def fine_print(audit: Audit) -> list[str]:
    """What the numbers are, and how they were decided upon."""
    judged = (
        "Conventions are compared by accuracy; p is of McNemar's exact test."
        if audit.truth is not None
        else "Conventions are compared by evidence; p is of sign flips of the paired differences."
    )
    return [
        f"Declared: {audit.declared.convention.preprocess.describe()}",
        EVIDENCE,
        f"{judged} All p are adjusted by Holm for {len(audit.rows) - 1} comparisons.",
        f"Another convention is called better supported where its p is below .05, its interval excludes 0, it changes the "
        f"first class of at least {CHANGED:.0%} of the pictures"
        + ("." if audit.truth is not None else f", and its lead is at least {LEAD:.0%} of its evidence."),
        "A convention that is not among those tried cannot be named; the nearest one may be.",
    ]
