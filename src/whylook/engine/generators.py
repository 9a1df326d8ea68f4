"""The random numbers that a network may draw: PyTorch's, numpy's and Python's own, which belong to the whole process."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def preserved(device: torch.device) -> Iterator[None]:
    """Put all generators back where they were when the body is left.

    Parameters
    ----------
    device : whose generator is preserved beside those of the CPU.
    """
    others = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(others[0])
            np.random.set_state(others[1])


def seed_all(device: torch.device, seed: int) -> None:
    """Seed all generators alike: those of the CPU and that of `device`."""
    torch.default_generator.manual_seed(seed)  # not torch.manual_seed: it would seed every other device, too
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def positions(device: torch.device) -> tuple[Any, ...]:
    """Where the generators are now; two that are equal have nothing drawn between them."""
    drawn = [torch.default_generator.get_state()]
    if device.type == "cuda":
        drawn.append(torch.cuda.get_rng_state(device))
    kind, keys, *rest = np.random.get_state()
    return (*(bytes(d.numpy()) for d in drawn), random.getstate(), kind, np.asarray(keys).tobytes(), *rest)
