"""What may be claimed from n pictures: intervals, exact tests, corrections, and verdicts in fixed words."""

from whylook.statistics.intervals import Estimate, mean_interval, paired_rates, rate, spread, t_quantile, wilson
from whylook.statistics.significance import assessable, fewest_units, holm, mcnemar, needed_n, sign_flip, sign_flips
from whylook.statistics.verdicts import Comparison, Verdict, adjusted, compare, verdict

__all__ = [
    "Comparison",
    "Estimate",
    "Verdict",
    "adjusted",
    "assessable",
    "compare",
    "fewest_units",
    "holm",
    "mcnemar",
    "mean_interval",
    "needed_n",
    "paired_rates",
    "rate",
    "sign_flip",
    "sign_flips",
    "spread",
    "t_quantile",
    "verdict",
    "wilson",
]
