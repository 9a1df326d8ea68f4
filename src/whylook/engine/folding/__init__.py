"""Faster evaluations of a network that give the same scores: for methods that average over many of them.

The caller's network is run, and nothing on it is changed: while it runs, its calls of convolutions and linear layers
get other weights (BatchNorm folded in, channels last) from a table on the side, and the batch norms behind them become
the identity. Calls are told by the very tensors they are given, so functional calls, norms with an activation inside and
reused modules are as well understood as modules; what is not understood runs as delivered.
"""

from whylook.engine.folding.cache import prepare
from whylook.engine.folding.fold import Fold, MisfoldError
from whylook.engine.folding.linear import whole_kernels_as_linear

__all__ = ["Fold", "MisfoldError", "prepare", "whole_kernels_as_linear"]
