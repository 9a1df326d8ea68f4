"""Tells those who listen that a job has changed, from whichever thread it did."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress


class Events:
    """Who listens to which job, and how often it has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listening: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)
        self._versions: dict[str, int] = {}
        self._last = int(time.time() * 1000)  # counts up from here: later than anything before a restart
        self.closed = False

    def version(self, job: str) -> int:
        """Return a number that grows with every change of a job, also over a restart."""
        with self._lock:
            return self._versions.get(job, 0)

    def changed(self, jobs: Iterable[str]) -> None:
        """Wake those who listen to any of the jobs."""
        with self._lock:
            for job in jobs:
                self._last += 1
                self._versions[job] = self._last
                self._wake(job)

    def forget(self, job: str) -> None:
        """Drop the number of a job that is gone."""
        with self._lock:
            self._versions.pop(job, None)
            self._wake(job)

    def close(self) -> None:
        """Wake all, for the server ends."""
        with self._lock:
            self.closed = True
            for job in list(self._listening):
                self._wake(job)

    def _wake(self, job: str) -> None:
        for loop, event in self._listening.get(job, ()):
            with suppress(RuntimeError):  # a loop that is closed has nobody in it to wake
                loop.call_soon_threadsafe(event.set)

    @contextmanager
    def listen(self, job: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever the job changes; to be used in an event loop."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._listening[job].add(entry)
        try:
            yield entry[1]
        finally:
            with self._lock:
                self._listening[job].discard(entry)
                if not self._listening[job]:
                    del self._listening[job]
