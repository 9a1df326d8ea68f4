"""Shapes as signed distances in pixels, negative inside.

Only + - * / and square roots are used: IEEE 754 rounds them the same way on every machine, but not sines and powers.
"""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]


def cover(distance: Field, softness: float = 1.0) -> Field:
    """Share of each pixel that a shape covers, in [0, 1], its edge spread over `softness` pixels."""
    return np.clip(0.5 - distance / softness, 0.0, 1.0)


def turn(x: Field, y: Field, t: float) -> tuple[Field, Field]:
    """Coordinates turned by the angle whose half has the tangent `t`."""
    cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    return x * cos + y * sin, y * cos - x * sin


def length(x: Field, y: Field) -> Field:
    """Euclidean length; `np.hypot` may differ in the last bit between platforms."""
    return np.sqrt(x * x + y * y)


def ellipse(x: Field, y: Field, a: float, b: float) -> Field:
    """Ellipse of half-axes `a` and `b`; the distance is exact on the outline and scaled by the shorter axis off it."""
    return (length(x / a, y / b) - 1) * min(a, b)


def squircle(x: Field, y: Field, a: float, b: float) -> Field:
    """Ellipse of the fourth degree: a box with well-rounded corners."""
    u, v = (x / a) * (x / a), (y / b) * (y / b)
    return (np.sqrt(np.sqrt(u * u + v * v)) - 1) * min(a, b)


def box(x: Field, y: Field, a: float, b: float) -> Field:
    """Rectangle of half-sides `a` and `b`."""
    return np.maximum(np.abs(x) - a, np.abs(y) - b)


def disc(x: Field, y: Field, r: float) -> Field:
    """Filled circle."""
    return length(x, y) - r


def ring(x: Field, y: Field, r: float) -> Field:
    """Circle line, a third of the radius wide."""
    return np.abs(length(x, y) - r * 0.84) - r * 0.17


def cross(x: Field, y: Field, r: float) -> Field:
    """Two crossed bars."""
    return np.minimum(box(x, y, r * 1.1, r * 0.24), box(x, y, r * 0.24, r * 1.1))


def triangle(x: Field, y: Field, r: float) -> Field:
    """Equilateral triangle, one corner up."""
    side = 0.8660254037844386  # cos 30°
    return np.maximum(y, np.maximum(side * x, -side * x) - 0.5 * y) - r * 0.58
