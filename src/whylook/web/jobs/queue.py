"""Two threads that compute: one takes jobs in the order they came, the other what somebody waits for at the page."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from whylook.errors import WhylookError
from whylook.web.errors import Busy, TooLong
from whylook.web.jobs.job import INTERRUPTED, Job, Progress
from whylook.web.settings import Limits

if TYPE_CHECKING:
    from whylook.web.jobs.events import Events
    from whylook.web.jobs.store import Store

T = TypeVar("T")
Report = Callable[[int, int, str], None]
Work = Callable[[Job, Report], None]
_Short = tuple[Callable[[], Any], "Future[Any]"]
UNEXPECTED = "An error that whylook did not expect ended it; the server's terminal says more."
_LEAST = 0.1  # seconds between two changes of progress that are told
_log = logging.getLogger("whylook.serve")


class Stopped(BaseException):
    """Ends a job from within its progress report; no error handler of an engine takes it for its own."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Queue:
    """Jobs that wait, the one that runs, and short computations that need not wait for it.

    A network is lent to one pass at a time, whichever thread makes it, so a short computation has its turn between two
    passes of the job that runs.

    Parameters
    ----------
    store, events : where jobs are kept, and who is told.
    work : what to do for a job, by its kind: called with the job and a function that reports progress.
    limits : how many may wait, and how long one may run.
    name : of the thread that runs jobs; the other's is longer.
    """

    def __init__(
        self, store: Store, events: Events, work: Mapping[str, Work], limits: Limits, name: str = "whylook-device"
    ) -> None:
        self._store, self._events, self._work, self._limits = store, events, work, limits
        self._changed = threading.Condition()
        self._short: tuple[deque[_Short], deque[_Short]] = (deque(), deque())  # urgent ones, others
        self._idle: deque[Callable[[], Any]] = deque()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._progress = Progress()
        self._told = 0.0
        self._deadline = float("inf")
        self._stop: str | None = None
        self._closing = False
        self._threads = (
            threading.Thread(target=self._compute, name=name, daemon=True),
            threading.Thread(target=self._attend, name=f"{name}-short", daemon=True),
        )

    def start(self) -> None:
        """Take up what waited when the server was last stopped, and begin to compute."""
        with self._changed:
            self._waiting.extend(self._store.recovered(self._work))
        for thread in self._threads:
            thread.start()

    def close(self, patience: float = 10.0) -> bool:
        """Stop the job that runs at its next report, and the threads; what waits is kept for the next start.

        Parameters
        ----------
        patience : seconds to wait for the threads.

        Returns
        -------
        Whether they have ended; one that has not is in the middle of a single step, and writes nothing more but how it
        ends.
        """
        with self._changed:
            self._closing = True
            self._stop = self._stop or "closing"
            self._changed.notify_all()
        end = time.monotonic() + patience
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.monotonic()))
        for short in self._short:
            for _, future in short:
                future.cancel()
        return not any(thread.is_alive() for thread in self._threads)

    # Jobs

    def submit(self, kind: str, request: Mapping[str, Any], of: str | None = None) -> Job:
        """Keep a job and let it wait for its turn.

        Raises
        ------
        Busy
            If too many wait already.
        """
        with self._changed:
            self.check()
            job = self._store.add(kind, request, of)
            self._waiting.append(job)
            self._changed.notify_all()
        self._events.changed([job.id])
        return job

    def check(self) -> None:
        """Raise `Busy` if no further job may wait, or there is no room for its result."""
        self._store.check_room()
        if len(self._waiting) >= self._limits.waiting:
            raise Busy(f"{self._limits.waiting} jobs wait already; try again in a moment.")

    def cancel(self, job: Job) -> Job:
        """Cancel a job that waits at once, one that runs at its next report of progress; others are left as they are."""
        with self._changed:
            if self._running is not None and self._running.id == job.id:
                self._stop = self._stop or "cancelled"
                return self._running
            waiting = next((w for w in self._waiting if w.id == job.id), None)
            if waiting is None:
                return self._store.job(job.id)
            self._waiting.remove(waiting)
            cancelled = self._store.change(waiting, state="cancelled", finished=time.time())
            behind = [w.id for w in self._waiting]
        self._events.changed([job.id, *behind])
        return cancelled

    def position(self, job: Job) -> int | None:
        """Return how many jobs are before it among those that wait, or None where it does not wait."""
        with self._changed:
            return next((i for i, w in enumerate(self._waiting) if w.id == job.id), None)

    def progress(self, job: Job) -> Progress:
        """Return how far a job is."""
        with self._changed:
            return self._progress if self._running is not None and self._running.id == job.id else Progress()

    def counts(self) -> tuple[int, int]:
        """Return how many jobs run, and how many wait."""
        with self._changed:
            return int(self._running is not None), len(self._waiting)

    # Short computations

    async def compute(self, function: Callable[[], T], *, urgent: bool = True, timeout: float | None = None) -> T:
        """Run a short function on the thread for such, and return what it returns.

        Parameters
        ----------
        function : run beside the job that runs, after short functions that came before it.
        urgent : before other short functions that wait, too, in the order they come; else behind them.
        timeout : seconds to wait for it, its turn included; by default 60.

        Raises
        ------
        Busy
            If too many wait already.
        TooLong
            If it takes longer; where it has begun, it goes on, and what it returns is lost.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._closing:
                raise Busy("The server is stopping.")
            if sum(map(len, self._short)) >= self._limits.urgent:
                raise Busy(f"{self._limits.urgent} computations wait already; try again in a moment.")
            self._short[not urgent].append((function, future))
            self._changed.notify_all()
        seconds = 60.0 if timeout is None else timeout
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError as error:
            raise TooLong(f"It was not done in {seconds:g} seconds; ask for less, or later.") from error

    def later(self, function: Callable[[], Any]) -> None:
        """Run a function on the jobs' thread when none waits; an error in it is nobody's."""
        with self._changed:
            self._idle.append(function)
            self._changed.notify_all()

    # The threads

    def _attend(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or any(self._short))
                if self._closing:
                    return
                short = next(those.popleft() for those in self._short if those)
            _answer(*short)

    def _compute(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._waiting or self._idle)
                if self._closing:
                    return
                idle = None if self._waiting else self._idle.popleft()
                if idle is None:
                    self._running, self._progress = self._waiting.popleft(), Progress()
                    self._stop, self._told = None, 0.0
                    job, behind = self._running, [w.id for w in self._waiting]
            if idle is not None:
                _answer(idle, Future())
                continue
            self._events.changed(behind)
            self._run(job)

    def _run(self, job: Job) -> None:
        self._deadline = time.monotonic() + self._limits.seconds
        try:
            job = self._store.change(job, state="running", started=time.time())
            with self._changed:
                self._running = job
            self._events.changed([job.id])
            self._report(0, 0, "")
            self._work[job.kind](job, self._report)
            ended: dict[str, Any] = {"state": "done"}
        except Stopped as stopped:
            ended = self._stopped(stopped.why)
        except WhylookError as error:
            ended = {"state": "failed", "error": str(error)}
        except MemoryError:
            ended = {"state": "failed", "error": "There is not enough memory for it; use a smaller picture or model."}
        except Exception:  # noqa: BLE001 - the job fails, the server goes on; the terminal is told all of it
            _log.exception("job %s (%s)", job.id, job.kind)
            ended = {"state": "failed", "error": UNEXPECTED}
        self._end(job, ended)

    def _stopped(self, why: str) -> dict[str, Any]:
        if why == "cancelled":
            return {"state": "cancelled"}
        if why == "closing":
            return {"state": "interrupted", "error": INTERRUPTED}
        allowed = f"{self._limits.seconds:g} seconds"
        return {
            "state": "failed",
            "error": f"It was stopped after {allowed}, the limit of this server; ask for fewer maps or quicker methods.",
        }

    def _end(self, job: Job, ended: Mapping[str, Any]) -> None:
        if ended["state"] != "done":
            shutil.rmtree(self._store.folder(job), ignore_errors=True)
        try:
            self._store.change(job, finished=time.time(), **ended)
        except WhylookError:
            _log.exception("job %s could not be written down", job.id)
        with self._changed:
            self._running = None
        self._events.changed([job.id])

    def _report(self, done: int, total: int, what: str) -> None:
        """Note how far the running job is; end it where it is to be stopped."""
        if self._stop is not None:
            raise Stopped(self._stop)
        now = time.monotonic()
        if now > self._deadline:
            raise Stopped("time")
        with self._changed:
            self._progress = Progress(int(done), int(total), what)
            told = self._running
        if told is not None and now - self._told >= _LEAST:
            self._told = now
            self._events.changed([told.id])


def _answer(function: Callable[[], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - whoever waits for it is to have it, whatever it is
        with suppress(Exception):
            future.set_exception(error)
    else:
        future.set_result(result)
