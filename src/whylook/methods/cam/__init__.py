"""Class activation maps: the channels of one layer, weighted.

Throughout, A is the layer's activation and G the gradient of the score by it, both [n, c, *grid]; maps are [n, *grid].
Those that ask the head see one row, A [1, c, *grid], and give one map per target, [k, *grid].
"""

from whylook.methods.cam import gradient, head, masked, principal

__all__ = ["gradient", "head", "masked", "principal"]
