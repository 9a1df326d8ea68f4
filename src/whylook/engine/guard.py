"""Hands a network over for measuring and takes it back exactly as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from operator import is_
from threading import RLock

import torch
from torch import Tensor, nn

from whylook.engine.generators import preserved, seed_all
from whylook.engine.state import State

# Training flags, random generators and PyTorch's switches are shared by all threads: one at a time has them.
_LENT = RLock()
# What timm, transformers and torchvision call the switch of activation checkpointing.
_CHECKPOINTING = frozenset(("grad_checkpointing", "gradient_checkpointing", "memory_efficient"))


def modules_of(network: nn.Module) -> list[nn.Module]:
    """All modules, each once, as `network.modules()` gives them but without making up their names: at half the time."""
    found, known = [network], {id(network)}
    for module in found:  # which grows meanwhile
        for child in module._modules.values():
            if child is not None and id(child) not in known:
                known.add(id(child))
                found.append(child)
    return found


@contextmanager
def guarded(network: nn.Module, device: torch.device, seed: int = 0) -> Iterator[State]:
    """Run the body with `network` in eval mode, its parameters frozen and its randomness seeded; put everything back.

    Restored, whatever happens inside: `training` of every module, `requires_grad` and `.grad` of every parameter,
    buffers and other tensors that modules keep (which there are, and their values), modules' other attributes, and the
    global random states. What a list or mapping among these holds is not. Gradients can be taken inside even where the
    caller is under `no_grad` or `inference_mode`; autocast is off. Other threads wait for their turn.

    Parameters
    ----------
    network : the module.
    device : of its inputs; that device's random state is protected too.
    seed : of the randomness a network may have of its own (dropout that is always on).

    Yields
    ------
    State, of the modules as the body finds them: whether they are `changed` since.
    """
    with _LENT, ExitStack() as stack:
        modules = modules_of(network)
        training = [module.training for module in modules]
        parameters = [p for module in modules for p in module._parameters.values() if p is not None]
        required = [p.requires_grad for p in parameters]
        gradients = [p.grad for p in parameters]
        fast_path = torch.backends.mha.get_fastpath_enabled()
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(preserved(device))
        swapped: list[tuple[nn.Module, str, nn.Parameter]] = []
        learning: list[nn.Parameter] = []
        state = State(modules)
        # Recomputing a checkpointed block in backward would run hooks that are gone by then.
        checkpointed = [(m, n) for m, n in state.named(_CHECKPOINTING) if vars(m)[n] is True]
        learned = _learned(modules, parameters) if any(training) else []
        try:
            seed_all(device, seed)
            # PyTorch's fused attention path runs only without gradients: other kernels, other bits.
            torch.backends.mha.set_fastpath_enabled(False)
            if any(training):
                network.eval()
            for module, name in checkpointed:
                setattr(module, name, False)
            if any(map(Tensor.is_inference, parameters)):
                _stand_in(modules, swapped)
            learning = [p for p, wanted in zip(parameters, required, strict=True) if wanted and not p.is_inference()]
            for p in learning:
                p.requires_grad = False
            state.stand_in(modules)
            switched = any(training) or checkpointed or state.inference
            yield State(modules, values=False) if switched else state
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            for module, name in checkpointed:
                setattr(module, name, True)
            for module, name, p in swapped:
                module._parameters[name] = p
            for p in learning:
                p.requires_grad = True
            if [p.requires_grad for p in parameters] != required:
                for p, wanted in zip(parameters, required, strict=True):
                    if p.requires_grad != wanted and not p.is_inference():
                        p.requires_grad = wanted
            if not all(map(is_, [p.grad for p in parameters], gradients)):
                for p, gradient in zip(parameters, gradients, strict=True):
                    if p.grad is not gradient:
                        p.grad = gradient
            for p, value in learned:
                if not torch.equal(p, value):
                    with torch.no_grad():
                        p.copy_(value)
            if [module.training for module in modules] != training:
                for module, flag in zip(modules, training, strict=True):
                    if module.training != flag:
                        module.training = flag
            state.restore()


def _stand_in(modules: Sequence[nn.Module], swapped: list[tuple[nn.Module, str, nn.Parameter]]) -> None:
    """Put copies in the place of parameters made under `inference_mode`, which autograd may not save; note which."""
    for module in modules:
        for name, p in module._parameters.items():
            if p is not None and p.is_inference():
                swapped.append((module, name, p))
                module._parameters[name] = nn.Parameter(p.clone(), requires_grad=False)


def _learned(modules: Sequence[nn.Module], parameters: Sequence[nn.Parameter]) -> list[tuple[nn.Parameter, Tensor]]:
    """Copies of the parameters where a module does something of its own on `eval()`, such as merging adapters."""
    if all(type(m).train is nn.Module.train and type(m).eval is nn.Module.eval for m in modules):
        return []
    return [(p, p.detach().clone()) for p in parameters if not p.is_inference()]
