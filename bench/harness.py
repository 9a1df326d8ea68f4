"""Interleaved timing: every contender once per round, so that a slow moment of the machine hits all of them."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

Job = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """Median seconds of each contender, in one interleaved run."""

    title: str
    seconds: Mapping[str, float]
    floor: str  # the contender whose time is the unit

    def __str__(self) -> str:
        unit = self.seconds[self.floor]
        cells = [f"{n} {s / unit:.2f}" for n, s in self.seconds.items() if n != self.floor]
        return f"{self.title:<44} {self.floor} = {unit * 1e3:7.1f} ms = 1 | " + " | ".join(cells)


def interleaved(title: str, jobs: Mapping[str, Job], floor: str, rounds: int = 7, warm: int = 1) -> Row:
    """Time all `jobs` in turn, `rounds` times after `warm` rounds; medians."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for i in range(rounds + warm):
        for name, job in jobs.items():
            gc.collect()
            start = perf_counter()
            job()
            if i >= warm:
                times[name].append(perf_counter() - start)
    return Row(title, {n: statistics.median(t) for n, t in times.items()}, floor)


def fresh(title: str, programs: Mapping[str, list[str]], floor: str, rounds: int = 7) -> Row:
    """Time fresh Python processes in alternating rounds."""

    def start(arguments: list[str]) -> Job:
        return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    return interleaved(title, {n: start(a) for n, a in programs.items()}, floor, rounds)
