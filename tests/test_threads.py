"""Several threads explain one network at once, as a web server's do."""

from concurrent.futures import ThreadPoolExecutor

import torch

import whylook
from toys import batch, build

NAMES = ("gradient", "guided-backprop", "lrp", "deeplift", "rise", "grad-cam")


def test_threads_change_no_map_and_leave_the_network_as_it_was() -> None:
    toy = build("flatten-head")
    x = batch(toy)
    expected = {name: whylook.attribute(toy, x, name, 1, **more(name)) for name in NAMES}
    torch.manual_seed(5)
    following = torch.rand(3)
    torch.manual_seed(5)
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda name: (name, whylook.attribute(toy, x, name, 1, **more(name))), NAMES * 8))
    assert all(torch.equal(values, expected[name]) for name, values in made)
    assert all(p.requires_grad for p in toy.parameters())
    assert torch.equal(torch.rand(3), following)


def more(name: str) -> dict[str, int]:
    return {"samples": 8, "cells": 4} if name == "rise" else {}
