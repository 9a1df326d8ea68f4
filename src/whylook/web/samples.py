"""The pictures that anybody may try: drawn, so they show no person and their truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whylook.phantom.shipped import NAMES
from whylook.web.errors import NotFound

if TYPE_CHECKING:
    from whylook.image import Image


@dataclass(frozen=True)
class Sample:
    """A drawn picture of a patient, by what is in it."""

    id: str
    title: str
    about: str
    seed: int
    lesion: str
    marker: bool
    catheter: bool

    def image(self) -> Image:
        """Draw it."""
        from whylook.phantom import picture

        return picture(self.seed, lesion=self.lesion, marker=self.marker, catheter=self.catheter)

    def as_dict(self) -> dict[str, Any]:
        """Return what is told of it, ready for JSON."""
        from whylook.phantom.render import SIZE

        return {
            "id": self.id,
            "title": self.title,
            "about": self.about,
            "picture": f"/api/samples/{self.id}/picture",
            "width": SIZE,
            "height": SIZE,
            "models": [f"phantom:{name}" for name in NAMES],
            "switches": {
                "patient": self.seed,
                "lesion": self.lesion,
                "marker": self.marker,
                "catheter": self.catheter,
            },
        }


_DEMO = 1_000_013
# Patients whom no network was trained on. The cross is the first of them whom all networks answer as `about` says.
_SAMPLES = (
    Sample(
        "disc-marker", "Disc, with a marker",
        "A drawn chest film: a disc in the lung, a boxed letter in a corner, a catheter. All eight networks say disc; "
        "the shortcut networks because of the letter.",
        _DEMO, "disc", True, True,
    ),
    Sample(
        "disc", "Disc, without a marker",
        "The same patient without letter and catheter. The shortcut networks are no longer sure.",
        _DEMO, "disc", False, False,
    ),
    Sample(
        "cross-marker", "Cross, with a marker",
        "A cross, and the letter that usually goes with a disc: the shortcut networks say disc.",
        1_000_143, "cross", True, False,
    ),
    Sample(
        "ring", "Ring, with a catheter", "A ring in the lung, and a catheter, which says nothing about it.",
        1_000_027, "ring", False, True,
    ),
    Sample("triangle", "Triangle", "A triangle in the lung, and nothing else.", 1_000_034, "triangle", False, False),
)  # fmt: skip


class Samples:
    """The samples, by id."""

    def __init__(self, samples: tuple[Sample, ...] = _SAMPLES) -> None:
        self._samples = {s.id: s for s in samples}

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples.values())

    def __getitem__(self, name: str) -> Sample:
        """Return a sample; an unknown id raises `NotFound`."""
        if name not in self._samples:
            raise NotFound(f"There is no sample {name!r}; there are {', '.join(self._samples)}.")
        return self._samples[name]
