"""What must be said of every attribution map."""

from __future__ import annotations

from whylook.facts.evidence import Evidence
from whylook.facts.fact import Fact, Subject
from whylook.report import words

_ALWAYS = (
    (
        "meaning",
        "An attribution map shows where a method finds evidence for a class. It does not show what the model made of it, nor "
        "whether the class is right.",
    ),
    ("one-picture", "This is about one picture. It says nothing about other pictures, nor about a model in general."),
    ("calibration", "Probabilities are the models' own and are not calibrated."),
    (
        "side",
        "Left and right are those of the picture as it is displayed. In a picture of a patient they may be the other way "
        "around.",
    ),
    ("untested", "Whether these maps depend on what the models learned was not tested here."),
    ("no-finding", "These sentences describe attribution maps. They are no finding about a patient."),
)
_AGREEMENT = (
    "agreement",
    "Agreement is no proof: methods that share a weakness agree, and smooth maps correlate by chance.",
)
_SIGNED = ("signed", "Where a map has a sign, its mass is that of its positive part, the evidence for the class.")


def limits(evidence: Evidence) -> list[Fact]:
    """Return the limits that hold for this picture: those that must be said, and what each method says of itself."""
    given = list(_ALWAYS)
    if len(evidence.maps) > 1:
        given.append(_AGREEMENT)
    if any(m.signed for m in evidence.maps):
        given.append(_SIGNED)
    made = [Fact(f"limit.{key}", "limit", text, "a limit", required=True) for key, text in given]
    for method in dict.fromkeys(m.method for m in evidence.maps):
        known = words.facts(method)
        if known.limits:
            text = f"{known.title}: {known.limits}"
            made.append(
                Fact(f"limit.{method}", "limit", text, "a limit of the method", subject=Subject(methods=(method,)))
            )
    return made
