"""Random numbers that are the same on every platform and under every NumPy, one stream per component."""

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from whylook.errors import UsageError


class Draws:
    """The stream of one component of one picture.

    Only the raw 64-bit output of PCG64 is used: NumPy promises that it never changes, which it does not for the
    methods of `Generator`.

    Parameters
    ----------
    seed : the picture, a whole number from 0.
    component : any name; streams of different names are independent.

    Raises
    ------
    UsageError
        If `seed` is not a whole number from 0.
    """

    def __init__(self, seed: int, component: str) -> None:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise UsageError(f"The seed {seed!r} of a phantom is not a whole number from 0; take for example 7.")
        self._bits = np.random.PCG64(np.random.SeedSequence((int(seed), crc32(component.encode()))))

    def unit(self, *shape: int) -> NDArray[np.float64]:
        """Uniform numbers in [0, 1), float64 [*shape]."""
        raw = self._bits.random_raw(int(np.prod(shape, dtype=int)))
        mantissa: NDArray[np.float64] = (raw >> np.uint64(11)).astype(np.float64)
        return (mantissa * 2.0**-53).reshape(shape)

    def between(self, low: float, high: float) -> float:
        """One uniform number in [low, high)."""
        return low + (high - low) * float(self.unit(1)[0])

    def below(self, n: int) -> int:
        """One of 0 … n - 1, equally likely."""
        return int(self.unit(1)[0] * n)

    def happens(self, probability: float) -> bool:
        """Whether an event of this probability happens."""
        return float(self.unit(1)[0]) < probability

    def bell(self, *shape: int) -> NDArray[np.float64]:
        """Nearly normal numbers, mean 0 and standard deviation 1, float64 [*shape]: sums of four 16-bit draws."""
        raw = self._bits.random_raw(int(np.prod(shape, dtype=int)))
        words = raw[:, None] >> np.array([0, 16, 32, 48], np.uint64) & np.uint64(0xFFFF)
        total = words.sum(axis=1, dtype=np.uint64)
        sums: NDArray[np.float64] = total.astype(np.float64)
        return ((sums - 131070.0) / 37837.2).reshape(shape)
