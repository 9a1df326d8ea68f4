"""Experiments of the tutorial: pure functions of a picture and of what the reader sets, with sentences that are true."""

from whylook.learn.experiments.outcome import Bar, Bars, Outcome, Plot, Series
from whylook.learn.experiments.registration import Experiment, experiment, experiments

__all__ = ["Bar", "Bars", "Experiment", "Outcome", "Plot", "Series", "experiment", "experiments"]
