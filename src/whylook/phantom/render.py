"""Draws chest-film-like pictures whose truth is known, and the same patient again without one component."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whylook.errors import UsageError
from whylook.phantom import shapes
from whylook.phantom.draws import Draws
from whylook.phantom.shapes import Field, cover

SIZE = 128
LABELS = ("disc", "ring", "cross", "triangle")
COMPONENTS = ("lesion", "lesion-2", "catheter", "marker")
SCORING_MARGIN = 4  # pixels; two pixels of the 64 × 64 input of the embedded networks

_SHAPES: Mapping[str, Callable[[Field, Field, float], Field]] = {
    "disc": shapes.disc,
    "ring": shapes.ring,
    "cross": shapes.cross,
    "triangle": shapes.triangle,
}
_ALL = np.arange(SIZE, dtype=np.float64) + 0.5
_X, _Y = np.broadcast_to(_ALL, (SIZE, SIZE)), np.broadcast_to(_ALL[:, None], (SIZE, SIZE))


@dataclass(frozen=True, eq=False)
class Phantom:
    """One picture with its truth.

    Parameters
    ----------
    seed : the patient.
    pixels : uint8 [128, 128, 1].
    label : index into `LABELS` of the patient's lesion, also where the lesion was dropped.
    shapes : component to shape, for the lesions that are drawn.
    masks : component to bool [128, 128], for the components that are drawn: every pixel that the component may change.
    """

    seed: int
    pixels: NDArray[np.uint8]
    label: int
    shapes: Mapping[str, str]
    masks: Mapping[str, NDArray[np.bool_]]

    @property
    def components(self) -> tuple[str, ...]:
        """What is drawn, of `COMPONENTS`."""
        return tuple(self.masks)

    def scoring_mask(self, component: str) -> NDArray[np.bool_]:
        """Return the component's mask, bool [128, 128], widened by 4 pixels: an edge is seen from both its sides.

        Raises
        ------
        UsageError
            If the component is not in the picture.
        """
        if component not in self.masks:
            there = ", ".join(self.masks) or "none"
            raise UsageError(f"There is no {component!r} in this phantom; its components: {there}.")
        return _widen(self.masks[component], SCORING_MARGIN)


def render(
    seed: int,
    *,
    lesion: str | None = None,
    marker: bool | None = None,
    catheter: bool | None = None,
    lesions: int = 1,
    drop: Iterable[str] = (),
) -> Phantom:
    """Draw the picture of a patient; the same arguments give the same bytes on every platform.

    Every component has a random stream of its own, so a component that is dropped, or that is there or not, leaves all
    others where they are: outside its mask the two pictures are equal, byte for byte.

    Parameters
    ----------
    seed : the patient, a whole number from 0.
    lesion : one of `LABELS`; None: drawn from the seed, equally likely.
    marker : whether the boxed letter is there; None: drawn from the seed, p = .5.
    catheter : whether the line is there; None: drawn from the seed, p = .5.
    lesions : 1, or 2: a second lesion of another shape (component `lesion-2`) in the other lung.
    drop : components that are not drawn, of `COMPONENTS`; one that would not have been there is no error.

    Raises
    ------
    UsageError
        If an argument is not one of those above.

    Examples
    --------
    >>> whole, without = render(7, marker=True), render(7, marker=True, drop=["marker"])
    >>> bool((whole.pixels == without.pixels)[~whole.masks["marker"]].all())
    True
    """
    dropped = _check(lesion, lesions, drop)
    first = Draws(seed, "choice of lesion").below(len(LABELS)) if lesion is None else LABELS.index(lesion)
    second = (first + 1 + Draws(seed, "choice of lesion-2").below(len(LABELS) - 1)) % len(LABELS)
    kinds = {"lesion": LABELS[first]} | ({"lesion-2": LABELS[second]} if lesions == 2 else {})
    kinds = {component: shape for component, shape in kinds.items() if component not in dropped}

    body, picture = _background(int(seed))
    picture = picture.copy()
    masks: dict[str, NDArray[np.bool_]] = {}
    for component, shape in kinds.items():
        share, contrast = _lesion(seed, component, shape, body)
        picture += contrast * share
        masks[component] = share > 0
    if _there(seed, "catheter", catheter) and "catheter" not in dropped:
        share = _catheter(seed, body)
        picture += share * (0.95 - picture) * 0.75
        masks["catheter"] = share > 0
    if _there(seed, "marker", marker) and "marker" not in dropped:
        plate, ink = _marker(seed)
        picture -= picture * plate * 0.7
        picture += (0.97 - picture) * ink
        masks["marker"] = plate > 0
    picture += _noise(int(seed))

    pixels = np.floor(np.clip(picture, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)[:, :, None]
    for array in (pixels, *masks.values()):
        array.setflags(write=False)
    return Phantom(int(seed), pixels, first, MappingProxyType(kinds), MappingProxyType(masks))


def _check(lesion: str | None, lesions: int, drop: Iterable[str]) -> frozenset[str]:
    if lesion is not None and lesion not in LABELS:
        raise UsageError(f"There is no lesion {lesion!r}; there are {', '.join(LABELS)}.")
    if lesions not in (1, 2):
        raise UsageError(f"A phantom has 1 or 2 lesions, not {lesions!r}; to draw none, drop 'lesion'.")
    dropped = frozenset([drop] if isinstance(drop, str) else drop)
    if unknown := sorted(dropped.difference(COMPONENTS)):
        raise UsageError(f"A phantom has no component {unknown[0]!r} to drop; it has {', '.join(COMPONENTS)}.")
    return dropped


def _there(seed: int, component: str, asked: bool | None) -> bool:
    return Draws(seed, f"choice of {component}").happens(0.5) if asked is None else asked


class _Lung(NamedTuple):
    x: float
    y: float
    a: float
    b: float


class _Body(NamedTuple):
    """What the components need to know of the anatomy: the middle line, and the lungs, left of the picture first."""

    middle: float
    lungs: tuple[_Lung, _Lung]


@lru_cache(maxsize=8)  # counterfactuals of one patient share their background
def _background(seed: int) -> tuple[_Body, Field]:
    d = Draws(seed, "anatomy")
    middle, top = 64 + d.between(-2.5, 2.5), d.between(-2.5, 2.5)
    wide, tall = d.between(0.94, 1.05), d.between(0.95, 1.05)
    lean = d.between(-0.03, 0.03)
    x, y = (_X - middle - lean * (_Y - 64)) / wide, (_Y - 64 - top) / tall + 64
    gray = d.between(0.44, 0.54)

    torso = shapes.squircle(x, y - 96, 55.0, 76.0)
    neck = shapes.squircle(x, y - 2, 15.0, 40.0)
    skin = np.minimum(torso, neck)
    picture = 0.035 + (gray - 0.035) * cover(skin, 5.0)
    picture += 0.07 * cover(skin + 7, 16.0)
    picture += 0.06 * cover(np.maximum(torso, y * -1 + 104), 22.0)  # the belly is denser

    lungs, air = [], np.zeros((SIZE, SIZE))
    for side in (-1, 1):
        a, b = d.between(18.5, 20.5), d.between(37.0, 41.0)
        cx, cy = side * d.between(24.0, 26.0), 63 + d.between(-2.0, 2.0)
        narrow = 1 + (y - cy) * 0.0045  # lungs are narrower at the top
        shape = shapes.ellipse((x - cx + side * (narrow - 1) * -9) / narrow, y - cy, a, b)
        dome = shapes.ellipse(x - cx + side * 2, y - cy - b - 6, a * 1.35, 19.0)
        air = np.maximum(air, cover(np.maximum(shape, -dome), 3.5))
        lungs.append(_Lung(cx * wide + middle, (cy - 64) * tall + 64 + top, a * wide, b * tall))
    heart = cover(shapes.ellipse(x - 9, y - d.between(76.0, 80.0), d.between(14.0, 18.0), d.between(18.0, 22.0)), 6.0)
    air = air * (1 - 0.85 * heart)
    depth = d.between(0.24, 0.31)
    picture -= depth * air

    column = cover(shapes.squircle(x, y - 70, 7.5, 90.0), 7.0) * cover(skin, 5.0)
    joints = np.abs((y / 9.5 + d.between(0.0, 1.0)) % 1.0 - 0.5)  # vertebrae: 0.5 at a gap
    picture += column * (0.075 - 0.05 * cover(0.42 - joints, 0.12))
    picture += 0.05 * heart

    away = np.abs(x)
    gap, start = d.between(10.6, 12.0), d.between(25.0, 31.0)
    inside = cover(skin + 4, 4.0) * cover(5 - away, 6.0)
    for rib in range(7):
        u = away / 46
        steep = d.between(9.0, 12.0)
        middle_line = y - (start + rib * gap) - steep * u * (2.1 * u - 1.3)
        slope = steep * (4.2 * u - 1.3) / 46
        distance = np.abs(middle_line) / np.sqrt(1 + slope * slope)
        band = cover(distance - 1.9, 2.2)
        picture += (0.03 + 0.065 * air) * band * inside
    collar = y - 23.5 + 5 * (away / 40) * (away / 40) * 2 - 3.0
    picture += 0.09 * cover(np.abs(collar) - 2.0, 2.0) * cover(away - 42, 6.0) * inside

    texture = Draws(seed, "texture")
    picture += (0.035 * _smooth(texture.bell(7, 7)) + 0.017 * _smooth(texture.bell(17, 17))) * (
        0.15 + 0.85 * cover(skin, 5.0)
    )
    picture.setflags(write=False)
    return _Body(middle, (lungs[0], lungs[1])), picture


def _smooth(lattice: Field) -> Field:
    """Random lattice [n, n] brought to the picture's size by smoothstep interpolation."""
    at = _ALL * ((lattice.shape[0] - 1) / SIZE)
    i = at.astype(int)
    f = at - i
    f = f * f * (3 - 2 * f)
    rows = lattice[i] + (lattice[i + 1] - lattice[i]) * f[:, None]
    smooth: Field = rows[:, i] + (rows[:, i + 1] - rows[:, i]) * f
    return smooth


def _lesion(seed: int, component: str, shape: str, body: _Body) -> tuple[Field, float]:
    """Coverage and contrast of a lesion that lies wholly in a lung; the second one in the other lung."""
    side = Draws(seed, "side of lesion").below(2)
    lung = body.lungs[side if component == "lesion" else 1 - side]
    d = Draws(seed, component)
    u, v = d.between(-1, 1), d.between(-1, 1)
    r, contrast = d.between(8.0, 10.0), d.between(0.34, 0.46)
    # the square of draws is pressed into the unit disc, and that into what the lung leaves around a lesion
    cx = lung.x + u * float(np.sqrt(1 - v * v / 2)) * (lung.a - r - 3)
    cy = lung.y - 2 + v * float(np.sqrt(1 - u * u / 2)) * (lung.b - r - 9)
    x, y = shapes.turn(_X - cx, _Y - cy, d.between(-0.15, 0.15))
    return cover(_SHAPES[shape](x, y, r), 1.6), contrast


def _catheter(seed: int, body: _Body) -> Field:
    """Coverage of a thin line from the neck down to the heart: x is a cubic of y, bent to one side."""
    d = Draws(seed, "catheter")
    end = d.between(70.0, 92.0)
    start, tip = body.middle + d.between(-11.0, 11.0), body.middle + d.between(-4.0, 12.0)
    bend, sway = d.between(-30.0, 30.0), d.between(-18.0, 18.0)
    t = _Y / end
    line = start + (tip - start) * t + bend * t * (1 - t) + sway * t * (1 - t) * (1 - 2 * t)
    slope = ((tip - start) + bend * (1 - 2 * t) + sway * (1 - 6 * t + 6 * t * t)) / end
    distance = np.abs(_X - line) / np.sqrt(1 + slope * slope)
    return np.minimum(cover(distance - 1.0), cover(_Y - end))


def _marker(seed: int) -> tuple[Field, Field]:
    """Coverage of the plate and of the ink of a boxed letter L in one of the four corners."""
    d = Draws(seed, "marker")
    right, bottom = d.below(2), d.below(2)
    cx, cy = d.between(10.5, 13.5), d.between(10.5, 13.5)
    x = _X - (SIZE - cx if right else cx)
    y = _Y - (SIZE - cy if bottom else cy)
    frame = np.abs(shapes.box(x, y, 6.6, 6.6)) - 0.75
    letter = np.minimum(shapes.box(x + 1.9, y, 0.95, 3.9), shapes.box(x - 0.3, y - 2.95, 3.1, 0.95))
    return cover(shapes.box(x, y, 7.35, 7.35)), cover(np.minimum(frame, letter))


@lru_cache(maxsize=8)
def _noise(seed: int) -> Field:
    noise = 0.016 * Draws(seed, "noise").bell(SIZE, SIZE)
    noise.setflags(write=False)
    return noise


def _widen(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Dilate a mask by a disc of radius `by`."""
    padded = np.pad(mask, by)
    out = np.zeros_like(mask)
    for dy in range(-by, by + 1):
        for dx in range(-by, by + 1):
            if dx * dx + dy * dy <= by * by:
                out |= padded[by + dy : by + dy + mask.shape[0], by + dx : by + dx + mask.shape[1]]
    return out
