"""Several threads that explain one network: each gets its own map, and the network comes back as it was."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

import whylook
from toys import batch, build


@pytest.mark.parametrize("method", ["grad-cam", "ablation-cam", "guided-backprop", "smoothgrad"])
def test_threads_do_not_meet_in_a_network(method: str) -> None:
    toy = build("batch-norm").train()
    more = {"samples": 4} if method == "smoothgrad" else {}
    inputs = [batch(toy, 2, seed) for seed in range(4)]
    expected = [whylook.attribute(toy, x, method, 1, **more) for x in inputs]
    start = Barrier(4)

    def work(i: int) -> bool:
        start.wait()
        return all(torch.equal(whylook.attribute(toy, inputs[i], method, 1, **more), expected[i]) for _ in range(8))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert all(p.requires_grad for p in toy.parameters())
    assert all(m.training for m in toy.modules())
    assert not any(m._forward_hooks for m in toy.modules())
