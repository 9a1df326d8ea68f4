"""Which device a network is run on."""

from __future__ import annotations

from typing import Any

from whylook.errors import UsageError


def pick(name: str, machine: Any = None) -> str:
    """Turn `auto` into the fastest device there is (`cuda`, `mps`, `cpu`), and refuse one that is not there.

    Parameters
    ----------
    name : `auto`, or what `torch.device` takes.
    machine : `torch`, or what stands in for it.

    Raises
    ------
    UsageError
        If there is no such device on this machine; those there are are named.
    """
    import torch

    machine = machine or torch
    there = ["cpu"]
    if machine.cuda.is_available():
        there = ["cuda", "cpu"]
    elif machine.backends.mps.is_available():
        there = ["mps", "cpu"]
    if name == "auto":
        return there[0]
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in there:
        raise UsageError(f"There is no device {name!r} on this machine; there are {', '.join(there)}.")
    count = machine.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count:
        last = f" to {device.type}:{count - 1}" if count > 1 else ""
        raise UsageError(f"There is no device {name!r} on this machine; of that kind there is {device.type}:0{last}.")
    return name
