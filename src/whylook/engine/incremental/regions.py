"""Which part of a feature map a change can reach: intervals per axis, of one length for all positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Starts = NDArray[np.int64]


class Window(NamedTuple):
    """A sliding window along one axis of a map."""

    kernel: int
    stride: int
    padding: int
    dilation: int

    @property
    def reach(self) -> int:
        """Elements from its first to its last, both counted."""
        return (self.kernel - 1) * self.dilation + 1


@dataclass(frozen=True, eq=False)
class Span:
    """Along one axis of length `size`, for each position, `length` elements from `starts` on; all inside the axis."""

    starts: Starts
    length: int
    size: int

    def through(self, window: Window, size: int) -> Span:
        """What a sliding window makes of it, on an axis of `size` elements."""
        first = -((window.reach - 1 - window.padding - self.starts) // window.stride)  # rounded up
        last = (self.starts + self.length - 1 + window.padding) // window.stride
        return around(np.clip(first, 0, size - 1), np.clip(last, 0, size - 1), size)

    def needed(self, window: Window) -> tuple[Starts, int]:
        """Start, in the padded map, and length of what a sliding window reads to make this span."""
        return self.starts * window.stride, (self.length - 1) * window.stride + window.reach

    def shifted(self, by: int, size: int) -> Span:
        """The same elements after `by` more in front, on an axis of `size`."""
        return Span(self.starts + by, self.length, size)


def around(first: Starts, last: Starts, size: int) -> Span:
    """The shortest spans of one length that hold `first` to `last`, both counted, and stay on the axis."""
    length = min(size, int((last - first).max()) + 1)
    return Span(np.clip(first, 0, size - length), length, size)


def union(a: Span, b: Span) -> Span:
    """The shortest spans of one length that hold both."""
    first = np.minimum(a.starts, b.starts)
    last = np.maximum(a.starts + a.length, b.starts + b.length) - 1
    return around(first, last, a.size)


class Region(NamedTuple):
    """Spans along the two axes of a map: a rectangle for each position."""

    rows: Span
    columns: Span

    @property
    def share(self) -> float:
        """Of the map's area, 0 to 1."""
        return self.rows.length * self.columns.length / (self.rows.size * self.columns.size)

    def same(self, other: Region) -> bool:
        """Whether both are the same rectangles."""
        return all(
            a.length == b.length and np.array_equal(a.starts, b.starts) for a, b in zip(self, other, strict=True)
        )
