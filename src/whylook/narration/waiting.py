"""Waiting for a service no longer than was said, whatever it does: silence, drops of an answer, pleas to wait."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


class TimeIsUp(Exception):  # noqa: N818 - it is a statement, not a mishap
    """What was waited for did not come in time."""


class Clock:
    """The time that is left of `seconds` from now.

    Parameters
    ----------
    seconds : for all that is done by this clock, together.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, at least a hundredth, which is as good as none."""
        return max(0.01, self._end - time.monotonic())

    def wait_for(self, get: Callable[[], T]) -> T:
        """Return what `get` does, or raise what it raises.

        Raises
        ------
        TimeIsUp
            If that takes longer; the thread that waits is left behind, and ends when its own timeout does.
        """
        return next(self.each(lambda: [get()]))

    def each(self, get: Callable[[], Iterable[T]]) -> Iterator[T]:
        """Yield what comes out of `get()`, which is called and read in a thread, as it comes.

        Raises
        ------
        TimeIsUp
            If the end does not come in time.
        """
        came: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def read() -> None:
            try:
                for item in get():
                    came.put((item, None))
                came.put((_END, None))
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                came.put((_END, error))

        threading.Thread(target=read, daemon=True).start()
        while True:
            try:
                item, error = came.get(timeout=self.left)
            except queue.Empty:
                raise TimeIsUp from None
            if error is not None:
                raise error
            if item is _END:
                return
            yield item


def asked_to_wait(headers: Any) -> float | None:
    """Return the seconds that a reply asks to wait before the next try (`Retry-After`), or None where it asks nothing."""
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        said = headers.get("retry-after")
        if said is None:
            return None
        try:
            return max(0.0, float(said))
        except ValueError:
            return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None
