"""What is done for a job, by its kind: each called with the house, the job and a function that reports progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from whylook.web.work.comparing import comparison
from whylook.web.work.explaining import explanation
from whylook.web.work.telling import narrative
from whylook.web.work.trusting import trust

if TYPE_CHECKING:
    from whylook.web.house import House
    from whylook.web.jobs.job import Job
    from whylook.web.jobs.queue import Report

Function = Callable[["House", "Job", "Report"], None]
COMPUTING: dict[str, Function] = {"explanation": explanation, "trust": trust, "comparison": comparison}
ASKING: dict[str, Function] = {"narrative": narrative}  # these wait for another server, not for the device
