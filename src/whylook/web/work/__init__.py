"""What is done for a job, by its kind: each called with the house, the job and a function that reports progress."""

from whylook.web.work.comparing import comparison
from whylook.web.work.explaining import explanation

WORK = {"explanation": explanation, "comparison": comparison}
