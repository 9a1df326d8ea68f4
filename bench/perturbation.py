"""Occlusion and RISE against Captum and against as many bare forwards, at the batch sizes that suit each best."""

from __future__ import annotations

from collections.abc import Iterator

import timm
import torch
from captum.attr import Occlusion
from torch import Tensor, nn

import whylook
from bench.harness import Row, interleaved

NETWORKS = {
    "vgg16": "vgg16",
    "resnet50": "resnet50",
    "mobilenet": "mobilenetv1_100",
    "efficientnet_b0": "efficientnet_b0",
}
TARGET = 7
WINDOW, STRIDE = 16, 16
MASKS = 128
BATCH = 8  # the fastest for bare forwards and for Captum on the processors tried: larger ones leave the cache
ROUNDS = 3  # each takes hundreds of forwards


def network(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return timm.create_model(NETWORKS[name], pretrained=False).eval().requires_grad_(False), torch.randn(1, 3, 224, 224)


def forwards(net: nn.Module, x: Tensor, count: int) -> None:
    batch = x.repeat(BATCH, 1, 1, 1)
    with torch.inference_mode():
        for start in range(0, count, BATCH):
            net(batch[: count - start])


@torch.no_grad()
def captum(net: nn.Module, x: Tensor, batch: int) -> Tensor:
    shape, strides = (3, WINDOW, WINDOW), (3, STRIDE, STRIDE)
    return Occlusion(net).attribute(x, shape, strides, target=TARGET, perturbations_per_eval=batch)


def occlusion() -> Iterator[Row]:
    for name in NETWORKS:
        net, x = network(name)
        count = ((224 - WINDOW) // STRIDE + 1) ** 2 + 1

        def ours(net: nn.Module = net, x: Tensor = x) -> object:
            return whylook.attribute(net, x, "occlusion", TARGET, window=WINDOW, stride=STRIDE)

        jobs = {
            f"{count} forwards": lambda net=net, x=x, count=count: forwards(net, x, count),
            "whylook": ours,
            "captum": lambda net=net, x=x: captum(net, x, BATCH),
            "captum as it comes": lambda net=net, x=x: captum(net, x, 1),
        }
        yield interleaved(f"occlusion, {name}", jobs, f"{count} forwards", rounds=ROUNDS)


def rise() -> Iterator[Row]:
    for name in NETWORKS:
        net, x = network(name)
        jobs = {
            f"{MASKS} forwards": lambda net=net, x=x: forwards(net, x, MASKS),
            "whylook": lambda net=net, x=x: whylook.attribute(net, x, "rise", TARGET, samples=MASKS),
        }
        yield interleaved(f"rise, {MASKS} masks, {name}", jobs, f"{MASKS} forwards", rounds=ROUNDS)
