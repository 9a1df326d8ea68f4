"""What a network, its process and other threads are left with after a map was made."""

import copy
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import whylook
from whylook.engine.guard import guarded

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def small(*front: nn.Module) -> nn.Sequential:
    return nn.Sequential(*front, nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))


class Keeping(nn.Module):
    """Counts its calls, remembers what it saw, and makes a buffer when it is first run."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.calls, self.seen, self.past = small(), 0, None, torch.zeros(1)
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("once", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen = x
        self.past += 1
        self.count.add_(1)
        if hasattr(self, "once"):
            del self.once
        self.register_buffer("late", torch.ones(1), persistent=False)
        return self.body(x)


def with_error(network: nn.Module, error: type[BaseException]) -> None:
    def stop(*_: object) -> None:
        raise error("in the middle")

    handle = network.body[-1].register_forward_hook(stop)
    try:
        with pytest.raises(error, match="in the middle"):
            whylook.attribute(network, X, "smoothgrad", 0)
    finally:
        handle.remove()


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_what_a_module_keeps_is_put_back(error: type[BaseException] | None) -> None:
    network = Keeping()
    names = set(vars(network))
    if error is None:
        whylook.attribute(network, X, "smoothgrad", 0)
    else:
        with_error(network, error)
    assert (network.calls, network.seen, set(vars(network))) == (0, None, names)
    assert network.past == 0
    assert network.count == 0
    assert list(network._buffers) == ["count", "once"]


class Drawing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = small()

    def forward(self, x: Tensor) -> Tensor:
        noise = torch.from_numpy(np.random.standard_normal(x.shape)).to(x)
        return self.body(x + noise * random.random() + torch.randn_like(x))


def drawn() -> tuple[float, float, float]:
    return float(np.random.random_sample()), random.random(), float(torch.rand(()))


@pytest.mark.filterwarnings("ignore:.*answers:UserWarning")
@pytest.mark.parametrize("method", ["gradient", "grad-cam", "smoothgrad", "rise"])
def test_the_callers_random_numbers_go_on_where_they_were(method: str) -> None:
    def seed() -> None:
        np.random.seed(3), random.seed(3), torch.manual_seed(3)

    network = Drawing()
    seed()
    expected = drawn()
    seed()
    first = whylook.attribute(network, X, method, 0)
    assert drawn() == expected
    # From the same seed, whatever was drawn between.
    assert torch.equal(whylook.attribute(network, X, method, 0), first)


class Adapted(nn.Module):
    """Merges its adapter into its weights on `eval()` and takes it out on `train()`, as LoRA does."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.adapter, self.merged = small(), nn.Parameter(torch.ones(3)), False

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        if mode == self.merged:
            self.body[-1].bias.data += self.adapter.data * (-1 if mode else 1)
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + (0 if self.merged else self.adapter)


def test_what_eval_does_of_its_own_is_undone() -> None:
    network = Adapted().train()
    before = copy.deepcopy(network.state_dict())
    whylook.attribute(network, X, "gradient", 0)
    assert network.training
    assert not network.merged
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_threads_take_turns() -> None:
    network = small(nn.Dropout(0.5), nn.BatchNorm2d(3)).train()
    before, expected = copy.deepcopy(network.state_dict()), whylook.attribute(network, X, "gradient", 0)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        maps = list(pool.map(lambda _: whylook.attribute(network, X, "gradient", 0), range(60)))
    assert all(torch.equal(m, expected) for m in maps)
    assert all(m.training for m in network.modules())
    assert all(p.requires_grad for p in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("change", [lambda b: b.resize_(2), lambda b: b.data.fill_(2), lambda b: b.fill_(2)])
def test_buffers_are_as_they_were(change: Callable[[Tensor], object]) -> None:
    network = nn.BatchNorm2d(1)
    with guarded(network, X.device):
        change(network.running_mean)
    assert torch.equal(network.running_mean, torch.zeros(1))
