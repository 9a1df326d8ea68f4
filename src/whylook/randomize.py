"""Copies of a network that have forgotten what they learned, from the output inward."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from whylook.engine.guard import guarded
from whylook.errors import Unsupported


def forgetting(network: nn.Module, x: Tensor, *, stages: int = 1, seed: int = 0) -> Iterator[tuple[float, nn.Module]]:
    """Randomize a deep copy of a network in stages, from the output inward.

    Weights become normal with the variance that keeps a rectifier network's activations as large as its input (He et
    al., arXiv:1502.01852), biases zero, norms what they are before training; parameters of any other kind (position
    embeddings, class tokens) are drawn anew with their own mean and spread.

    Parameters
    ----------
    network : the module; untouched.
    x : [n, …], an input, to learn in which order its layers run.
    stages : how many; each takes about as many layers.
    seed : of the new weights.

    Yields
    ------
    Share of layers that are randomized by then, and the copy: the same object every time, changed further. The last
    one is randomized in full.

    Raises
    ------
    Unsupported
        If the network has nothing that could be drawn anew, as a function that is no network, or is compiled.
    """
    if any(isinstance(m, torch.jit.ScriptModule) for m in network.modules()):
        raise Unsupported(
            "The network is compiled (TorchScript), so its weights cannot be drawn anew; give the module it was made of."
        )
    if not any(p.is_floating_point() for p in network.parameters()):
        raise Unsupported("The network has no parameters, so there are no weights that could be drawn anew.")
    twin = copy.deepcopy(network)
    layers = _last_first(twin, x)
    generator = torch.Generator().manual_seed(seed)
    stages = max(1, min(stages, len(layers)))
    done = 0
    for stage in range(1, stages + 1):
        until = round(stage * len(layers) / stages)
        for layer in layers[done:until]:
            _forget(layer, generator)
        done = until
        yield done / len(layers), twin


def _last_first(network: nn.Module, x: Tensor) -> list[nn.Module]:
    """Modules that own parameters, the one that ran last first; those that did not run come at the end."""
    owners = [m for m in network.modules() if m._parameters and any(p is not None for p in m._parameters.values())]
    ran: dict[nn.Module, None] = {}
    with guarded(network, x.device), torch.no_grad():
        handles = [m.register_forward_pre_hook(lambda module, _: ran.setdefault(module)) for m in owners]
        try:
            network(x.detach().clone())
        finally:
            for handle in handles:
                handle.remove()
    order = [m for m in ran if m in set(owners)]
    return order[::-1] + [m for m in owners if m not in ran]


@torch.no_grad()
def _forget(module: nn.Module, generator: torch.Generator) -> None:
    """Draw a module's own parameters anew, in place."""
    norm = isinstance(module, _NormBase) or "norm" in type(module).__name__.lower()
    if isinstance(module, _NormBase):
        module.reset_running_stats()
    for name, p in module._parameters.items():
        if p is None or not p.is_floating_point():
            continue
        noise = torch.randn(p.shape, generator=generator).to(p)
        if norm and name in ("weight", "bias"):
            p.fill_(1.0 if name == "weight" else 0.0)
        elif name.endswith("weight") and p.ndim >= 2:
            p.copy_(noise * math.sqrt(2 / max(1, p[0].numel())))
        elif name.endswith("bias") and p.ndim == 1:
            p.zero_()
        else:
            p.copy_(p.mean() + noise * (p.std() if p.numel() > 1 else p.abs()))
