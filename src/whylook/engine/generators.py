"""The random numbers that a network may draw: PyTorch's, numpy's and Python's own, which belong to the whole process."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


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


def drawn_from(device: torch.device, seed: int) -> bool:
    """Whether a number was drawn since `seed_all(device, seed)`; it draws one of numpy's and Python's own to see that.

    To read where these two stand takes far longer than to draw; they are put back when `preserved` is left.
    """
    states, numbers = _first(device, seed)
    now = _states(device)
    if not all(map(torch.equal, now, states)):
        return True
    return (float(np.random.random_sample()), random.random()) != numbers


@lru_cache(maxsize=64)
def _first(device: torch.device, seed: int) -> tuple[list[Tensor], tuple[float, float]]:
    """States of PyTorch's generators right after `seed_all`, and the first numbers of the others."""
    with preserved(device):
        seed_all(device, seed)
        return _states(device), (float(np.random.random_sample()), random.random())


def _states(device: torch.device) -> list[Tensor]:
    drawn = [torch.default_generator.get_state()]
    if device.type == "cuda":
        drawn.append(torch.cuda.get_rng_state(device))
    return drawn
