"""The four reference networks with random weights (time does not depend on them), and what every job does with them."""

from __future__ import annotations

from functools import cache

import timm
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from whylook.engine.layers import find_layer
from whylook.engine.request import Request
from whylook.engine.run import run
from whylook.engine.targets import Score, resolve
from whylook.methods import METHODS

NETWORKS = {
    "resnet50": "resnet50",
    "vgg16": "vgg16",
    "efficientnet_b0": "efficientnet_b0",
    "mobilenet": "mobilenetv1_100",
}
SEVEN = ("gradient", "input-x-gradient", "grad-cam", "grad-cam++", "hirescam", "layercam", "xgrad-cam")
TARGET = 7
BATCH = {"resnet50": 8, "vgg16": 2, "efficientnet_b0": 8, "mobilenet": 8}  # where the bare network is fastest per row


@cache
def network(name: str) -> tuple[nn.Module, Tensor, nn.Module]:
    """The network, one input, and its CAM layer."""
    torch.manual_seed(0)
    net = timm.create_model(NETWORKS[name], pretrained=False).eval()
    x = torch.randn(1, 3, 224, 224)
    return net, x, find_layer(net, (x,)).module


def forward(net: nn.Module, x: Tensor, rows: int = 1, batch: int = 1) -> None:
    """So many rows forward in batches."""
    with torch.inference_mode():
        for start in range(0, rows, batch):
            net(x.expand(min(batch, rows - start), -1, -1, -1).contiguous())


def forward_backward(net: nn.Module, x: Tensor) -> Tensor:
    """One row forward and backward to the input."""
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(net(leaf)[:, TARGET].sum(), leaf)[0]


def ours(net: nn.Module, x: Tensor, names: tuple[str, ...], classes: int = 1) -> list[object]:
    """Maps of several methods and classes in one run."""
    targets = [list(range(TARGET, TARGET + classes))]
    _, results = run(net, (x,), [Request(METHODS[n]) for n in names], lambda z, one: resolve(targets, z, one), Score())
    return list(results)


def pgc(kind: type, net: nn.Module, x: Tensor, layer: nn.Module, target: int = TARGET) -> object:
    """A map of pytorch-grad-cam, its layer given."""
    with kind(model=net, target_layers=[layer]) as cam:
        return cam(input_tensor=x, targets=[ClassifierOutputTarget(target)])


class frozen:  # noqa: N801 - used as a context
    """Parameters without gradients inside, as Captum is fastest."""

    def __init__(self, net: nn.Module) -> None:
        self._net = net

    def __enter__(self) -> None:
        self._net.requires_grad_(False)

    def __exit__(self, *_: object) -> None:
        self._net.requires_grad_(True)
