"""`python -m bench [NAME…]`: us, the peers and the bare network in one process; prints ratios, medians of 7 rounds.

Peers are tuned as their options allow: Captum with frozen parameters, pytorch-grad-cam with its layer given.
Networks have random weights: time does not depend on them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import timm
import torch
from captum.attr import LayerGradCam, Saliency
from pytorch_grad_cam import EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

import whylook
from bench.harness import Row, fresh, interleaved
from bench.perturbation import occlusion, rise
from whylook.attribution import Request, run
from whylook.layers import find_layer
from whylook.methods import METHODS
from whylook.targets import Score, resolve

NETWORKS = {
    "resnet50": "resnet50",
    "vgg16": "vgg16",
    "efficientnet_b0": "efficientnet_b0",
    "mobilenet": "mobilenetv1_100",
}
SEVEN = ("gradient", "input-x-gradient", "grad-cam", "grad-cam++", "hirescam", "layercam", "xgrad-cam")
TARGET = 7


def network(name: str) -> tuple[nn.Module, Tensor, nn.Module]:
    torch.manual_seed(0)
    net = timm.create_model(NETWORKS[name], pretrained=False).eval()
    x = torch.randn(1, 3, 224, 224)
    return net, x, find_layer(net, (x,)).module


def forward(net: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return net(x)


def forward_backward(net: nn.Module, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(net(leaf)[:, TARGET].sum(), leaf)[0]


def ours(net: nn.Module, x: Tensor, names: tuple[str, ...], classes: int = 1) -> list[object]:
    targets = [list(range(TARGET, TARGET + classes))]
    _, results = run(net, (x,), [Request(METHODS[n]) for n in names], lambda z, one: resolve(targets, z, one), Score())
    return list(results)


def pgc(kind: type, net: nn.Module, x: Tensor, layer: nn.Module) -> object:
    with kind(model=net, target_layers=[layer]) as cam:
        return cam(input_tensor=x, targets=[ClassifierOutputTarget(TARGET)])


def gradient() -> Iterator[Row]:
    for name in NETWORKS:
        net, x, _ = network(name)
        jobs = {
            "fb": lambda net=net, x=x: forward_backward(net, x),
            "whylook": lambda net=net, x=x: whylook.attribute(net, x, "gradient", TARGET),
            "captum": lambda net=net, x=x: Saliency(net).attribute(x.clone().requires_grad_(), target=TARGET),
        }
        yield interleaved(f"gradient, {name}", jobs, "fb")


def grad_cam() -> Iterator[Row]:
    for name in NETWORKS:
        net, x, layer = network(name)
        jobs = {
            "fwd": lambda net=net, x=x: forward(net, x),
            "whylook": lambda net=net, x=x: whylook.attribute(net, x, "grad-cam", TARGET),
            "captum": lambda net=net, x=x, layer=layer: LayerGradCam(net, layer).attribute(x, target=TARGET),
            "pytorch-grad-cam": lambda net=net, x=x, layer=layer: pgc(GradCAM, net, x, layer),
        }
        yield interleaved(f"grad-cam, {name}", jobs, "fwd")


def seven_calls(net: nn.Module, x: Tensor, layer: nn.Module) -> None:
    """Seven maps as the peers make them: two calls of Captum, five of pytorch-grad-cam."""
    Saliency(net).attribute(x.clone().requires_grad_(), target=TARGET)
    x * Saliency(net).attribute(x.clone().requires_grad_(), target=TARGET, abs=False)
    for kind in (GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM):
        pgc(kind, net, x.clone().requires_grad_(), layer)  # with frozen parameters it needs a graph from the input


def seven() -> Iterator[Row]:
    for name in NETWORKS:
        net, x, layer = network(name)

        def peers(net: nn.Module = net, x: Tensor = x, layer: nn.Module = layer) -> None:
            seven_calls(net, x, layer)

        def frozen(net: nn.Module = net, x: Tensor = x, layer: nn.Module = layer) -> None:
            net.requires_grad_(False)
            try:
                seven_calls(net, x, layer)
            finally:
                net.requires_grad_(True)

        jobs = {
            "fb": lambda net=net, x=x: forward_backward(net, x),
            "whylook": lambda net=net, x=x: ours(net, x, SEVEN),
            "seven calls of the peers": peers,
            "the same, parameters frozen": frozen,
        }
        yield interleaved(f"seven maps of one class, {name}", jobs, "fb")


def classes() -> Iterator[Row]:
    for name in NETWORKS:
        net, x, _ = network(name)
        jobs = {
            "fwd": lambda net=net, x=x: forward(net, x),
            "one class": lambda net=net, x=x: ours(net, x, SEVEN[2:]),
            "six classes": lambda net=net, x=x: ours(net, x, SEVEN[2:], 6),
        }
        yield interleaved(f"five CAMs of one class and of six, {name}", jobs, "fwd")


def eigen_cam() -> Iterator[Row]:
    for name in NETWORKS:
        net, x, layer = network(name)
        jobs = {
            "fwd": lambda net=net, x=x: forward(net, x),
            "whylook": lambda net=net, x=x: whylook.attribute(net, x, "eigen-cam", TARGET),
            "pytorch-grad-cam": lambda net=net, x=x, layer=layer: pgc(EigenCAM, net, x, layer),
        }
        yield interleaved(f"eigen-cam, {name}", jobs, "fwd")


def four() -> Iterator[Row]:
    """Four networks, seven maps each, one photo; loading excluded."""
    nets = [network(name) for name in NETWORKS]

    jobs = {
        "four fb": lambda: [forward_backward(net, x) for net, x, _ in nets],
        "whylook": lambda: [ours(net, x, SEVEN) for net, x, _ in nets],
        "peers": lambda: [seven_calls(net, x, layer) for net, x, layer in nets],
    }
    yield interleaved("four networks, seven maps each", jobs, "four fb")


def startup() -> Iterator[Row]:
    programs = {
        "import torch": ["-c", "import torch"],
        "whylook --help": ["-m", "whylook", "--help"],
        "whylook methods": ["-m", "whylook", "methods"],
        "whylook models": ["-m", "whylook", "models"],
        "import captum": ["-c", "import captum.attr"],
        "import pytorch_grad_cam": ["-c", "import pytorch_grad_cam"],
    }
    yield fresh("start-up, fresh processes", programs, "import torch")


BENCHES = {
    f.__name__.replace("_", "-"): f
    for f in (startup, gradient, grad_cam, eigen_cam, seven, classes, four, occlusion, rise)
}


def main() -> None:
    chosen = sys.argv[1:] or list(BENCHES)
    if unknown := [n for n in chosen if n not in BENCHES]:
        sys.exit(f"There is no benchmark {unknown[0]!r}; there are {', '.join(BENCHES)}.")
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, float32, 224×224, medians of 7 interleaved rounds"
    )
    for name in chosen:
        for row in BENCHES[name]():
            print(row, flush=True)


main()
