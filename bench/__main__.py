"""`python -m bench [NAME…] [--quick] [--table]`: us, the peers and the bare network in one process; prints ratios.

Each ratio is one of medians, and in parentheses one of the cheapest rounds. `--table` rewrites the table in
docs/benchmarks.md (of all jobs); `--quick` runs each job once, to see that it runs.
"""

from __future__ import annotations

import sys
import warnings
from time import perf_counter

from bench import around, averages, company, single
from bench.harness import Clock, Row
from bench.table import machine, rewrite

JOBS = {**around.JOBS, **single.JOBS, **company.JOBS, **averages.JOBS}


def main() -> None:
    given = sys.argv[1:]
    options = {a for a in given if a.startswith("--")}
    chosen = [a for a in given if a not in options] or list(JOBS)
    if unknown := [n for n in (*chosen, *options) if n not in (*JOBS, "--quick", "--table")]:
        sys.exit(f"There is no benchmark {unknown[0]!r}; there are {', '.join(JOBS)}, and --quick and --table.")
    if "--table" in options and (len(chosen) < len(JOBS) or "--quick" in options):
        sys.exit("--table is made of all jobs, run in full; leave the names and --quick out.")
    warnings.simplefilter("ignore")  # the peers' own, of every call
    print(machine(), flush=True)
    clock, begun = Clock("--quick" in options), perf_counter()
    made: dict[str, list[Row]] = {}
    for name in reversed(chosen):  # the longest first
        print(f"[{perf_counter() - begun:4.0f} s] {name}", flush=True)
        made[name] = []
        for row in JOBS[name](clock):
            made[name].append(row)
            print("  ", row, flush=True)
    print(f"[{perf_counter() - begun:4.0f} s] done", flush=True)
    if "--table" in options:
        rewrite([row for name in chosen for row in made[name]])


main()
