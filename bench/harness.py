"""Interleaved timing: every contender once per round, so that a slow moment of the machine hits all of them."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

Job = Callable[[], object]
OURS = "whylook"


@dataclass(frozen=True)
class Goal:
    """That ours costs at most so much of what `against` costs: `Goal("fwd", 1.10)`, `Goal("captum", 1 / 1.2)`."""

    against: str
    at_most: float

    def __str__(self) -> str:
        if self.at_most < 1 and not self.against.startswith(("fwd", "fb", "bare")):
            return f"≥ {1 / self.at_most:.3g}× {self.against}"
        return f"≤ {self.at_most:.2f} {self.against}"


@dataclass(frozen=True)
class Row:
    """What each contender cost in every round of one interleaved run: seconds, or bytes.

    Parameters
    ----------
    title : the job, and the network.
    costs : by contender; `OURS` among them.
    floor : the contender that is the unit.
    goals : what ours should reach.
    peers : the contenders that are other people's libraries.
    note : what has to be known to read it.
    """

    title: str
    costs: Mapping[str, Sequence[float]]
    floor: str
    goals: Sequence[Goal] = ()
    peers: Sequence[str] = ()
    note: str = ""
    unit: str = "ms"

    def ratio(self, a: str, b: str) -> float:
        """Median cost of `a` as a share of that of `b`."""
        return statistics.median(self.costs[a]) / statistics.median(self.costs[b])

    def best_ratio(self, a: str, b: str) -> float:
        """The same of the cheapest rounds: less touched by what else the machine does."""
        return min(self.costs[a]) / min(self.costs[b])

    @property
    def best_peer(self) -> str | None:
        """The cheapest of the peers."""
        return min(self.peers, key=lambda p: statistics.median(self.costs[p]), default=None)

    def met(self, goal: Goal) -> bool:
        """Whether the medians reach the goal, and so do the cheapest rounds."""
        return max(self.ratio(OURS, goal.against), self.best_ratio(OURS, goal.against)) <= goal.at_most * 1.005

    def __str__(self) -> str:
        scale = 1e3 if self.unit == "ms" else 1e-6
        floor = statistics.median(self.costs[self.floor]) * scale
        cells = [
            f"{n} {self.ratio(n, self.floor):.2f} ({self.best_ratio(n, self.floor):.2f})"
            for n in self.costs
            if n != self.floor
        ]
        said = [f"{goal}: {'met' if self.met(goal) else 'missed'}" for goal in self.goals]
        return f"{self.title:<44} {self.floor} {floor:.1f} {self.unit} = 1 | " + " | ".join([*cells, *said])


@dataclass
class Clock:
    """Runs contenders in turn."""

    quick: bool = False  # one round each, to see that everything runs
    spent: float = field(default=0.0)

    def interleaved(
        self, jobs: Mapping[str, Job], rounds: int = 7, warm: int = 1, once: Collection[str] = ()
    ) -> dict[str, list[float]]:
        """Seconds of all `jobs`, in turn, `rounds` times after `warm` rounds; those in `once` in the middle one only."""
        start = perf_counter()
        rounds, warm = (1, 0) if self.quick else (rounds, warm)
        times: dict[str, list[float]] = {name: [] for name in jobs}
        for i in range(rounds + warm):
            for name, job in jobs.items():
                if name in once and i != warm + rounds // 2:
                    continue
                gc.collect()
                begun = perf_counter()
                job()
                if i >= warm:
                    times[name].append(perf_counter() - begun)
        self.spent += perf_counter() - start
        return times

    def fresh(self, programs: Mapping[str, Sequence[str]], rounds: int = 5) -> dict[str, list[float]]:
        """Seconds of fresh Python processes, in alternating rounds."""

        def start(arguments: Sequence[str]) -> Job:
            return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

        return self.interleaved({n: start(a) for n, a in programs.items()}, rounds)

    def peaks(self, programs: Mapping[str, str], rounds: int = 1) -> dict[str, list[float]]:
        """Peak memory in bytes of fresh processes that run each of `programs`, lines of Python."""
        # Not what the parent's peak was, which Linux hands down in getrusage: the process's own high-water mark.
        ask = (
            "\nprint([l for l in open('/proc/self/status') if l.startswith('VmHWM')][0].split()[1])"
            if sys.platform == "linux"
            else "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
        )
        found: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(rounds):
            for name, program in programs.items():
                out = subprocess.run([sys.executable, "-c", program + ask], check=True, capture_output=True, text=True)
                found[name].append(float(out.stdout.split()[-1]) * 1024)
        return found
