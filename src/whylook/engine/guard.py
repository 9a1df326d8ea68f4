"""Hands a network over for measuring and takes it back exactly as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

# What timm, transformers and torchvision call the switch of activation checkpointing.
_CHECKPOINTING = ("grad_checkpointing", "gradient_checkpointing", "memory_efficient")


def modules_of(network: nn.Module) -> list[nn.Module]:
    """All modules, each once, as `network.modules()` gives them but without making up their names: at half the time."""
    found: dict[int, nn.Module] = {}
    left = [network]
    while left:
        module = left.pop()
        if id(module) not in found:
            found[id(module)] = module
            left += [child for child in module._modules.values() if child is not None]
    return list(found.values())


def reseed(device: torch.device, seed: int) -> None:
    """Begin the random numbers of the CPU and of `device` anew; inside `guarded`, which puts the state back."""
    torch.default_generator.manual_seed(seed)  # not torch.manual_seed: it would seed every other device, too
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


@contextmanager
def guarded(network: nn.Module, device: torch.device, seed: int = 0) -> Iterator[None]:
    """Run the body with `network` in eval mode, its parameters frozen and its randomness seeded; put everything back.

    Restored, whatever happens inside: `training` of every module, `requires_grad` and `.grad` of every parameter,
    buffers (the tensors and their values) and the global random state. Gradients can be taken inside even where the
    caller is under `no_grad` or `inference_mode`; autocast is off.

    Parameters
    ----------
    network : the module.
    device : of its inputs; that device's random state is protected too.
    seed : of the randomness a network may have of its own (dropout that is always on).
    """
    modules = modules_of(network)
    training = [module.training for module in modules]
    parameters = [(module, name, p) for module in modules for name, p in module._parameters.items() if p is not None]
    flags = [(p, p.requires_grad, p.grad) for _, _, p in parameters]
    # Recomputing a checkpointed block in backward would run hooks that are gone by then.
    checkpointed = [(m, n) for m in modules for n in _CHECKPOINTING if vars(m).get(n) is True]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(torch.random.fork_rng(devices=[device] if device.type == "cuda" else []))
        swapped: list[tuple[nn.Module, str, nn.Parameter]] = []
        buffers = [
            (m, n, b, b.clone(), None if b.is_inference() else b._version)
            for m in modules
            for n, b in m._buffers.items()
            if b is not None
        ]
        try:
            reseed(device, seed)
            # PyTorch's fused attention path runs only without gradients: other kernels, other bits.
            torch.backends.mha.set_fastpath_enabled(False)
            if any(training):
                network.eval()
            for module, name in checkpointed:
                setattr(module, name, False)
            for module, name, p in parameters:
                if p.is_inference():  # made under inference_mode: autograd may not save it, so a copy stands in
                    swapped.append((module, name, p))
                    module._parameters[name] = nn.Parameter(p.clone(), requires_grad=False)
                elif p.requires_grad:
                    p.requires_grad_(False)
            for module, name, _, value, version in buffers:
                if version is None:
                    module._buffers[name] = value.clone()
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            for module, name in checkpointed:
                setattr(module, name, True)
            for module, name, p in swapped:
                module._parameters[name] = p
            for p, requires_grad, grad in flags:
                if p.requires_grad != requires_grad and not p.is_inference():
                    p.requires_grad_(requires_grad)
                if p.grad is not grad:
                    p.grad = grad
            for module, name, buffer, value, version in buffers:
                if module._buffers[name] is not buffer:
                    module._buffers[name] = buffer
                if version is not None and buffer._version != version:
                    with torch.no_grad():
                        buffer.copy_(value)
            for module, flag in zip(modules, training, strict=True):
                if module.training != flag:
                    module.training = flag
