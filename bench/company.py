"""Several maps, several classes, several networks."""

from __future__ import annotations

from collections.abc import Iterator

from captum.attr import Saliency
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from torch import Tensor, nn

from bench.harness import OURS, Clock, Goal, Row
from bench.networks import NETWORKS, SEVEN, TARGET, forward, forward_backward, frozen, network, ours, pgc


def seven_calls(net: nn.Module, x: Tensor, layer: nn.Module) -> None:
    """Seven maps as the peers make them: two calls of Captum, five of pytorch-grad-cam."""
    Saliency(net).attribute(x.clone().requires_grad_(), target=TARGET)
    x * Saliency(net).attribute(x.clone().requires_grad_(), target=TARGET, abs=False)
    for kind in (GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM):
        pgc(kind, net, x.clone().requires_grad_(), layer)  # with frozen parameters it needs a graph from the input


def seven(clock: Clock) -> Iterator[Row]:
    for name in NETWORKS:
        net, x, layer = network(name)

        def with_frozen(net: nn.Module = net, x: Tensor = x, layer: nn.Module = layer) -> None:
            with frozen(net):
                seven_calls(net, x, layer)

        jobs = {
            "fb": lambda net=net, x=x: forward_backward(net, x),
            OURS: lambda net=net, x=x: ours(net, x, SEVEN),
            "seven calls": lambda net=net, x=x, layer=layer: seven_calls(net, x, layer),
            "seven calls, frozen": with_frozen,
        }
        goals = [Goal("fb", 1.10), Goal("seven calls", 1 / 8.5), Goal("seven calls, frozen", 1 / 6)]
        peers = ["seven calls", "seven calls, frozen"]
        yield Row(f"seven maps of one class, {name}", clock.interleaved(jobs, 5), "fb", goals, peers)


def classes(clock: Clock) -> Iterator[Row]:
    for name in NETWORKS:
        net, x, layer = network(name)
        jobs = {
            "fwd": lambda net=net, x=x: forward(net, x),
            "one class": lambda net=net, x=x: ours(net, x, SEVEN[2:]),
            OURS: lambda net=net, x=x: ours(net, x, SEVEN[2:], 6),
            "pytorch-grad-cam": lambda net=net, x=x, layer=layer: [
                pgc(GradCAM, net, x, layer, TARGET + i) for i in range(6)
            ],
        }
        goals = [Goal("one class", 1.20)]
        note = "five CAMs of six classes against five CAMs of one; the peer makes Grad-CAM alone, six times"
        costs = clock.interleaved(jobs, 5)
        yield Row(f"five classes more, {name}", costs, "fwd", goals, ["pytorch-grad-cam"], note=note)


def four(clock: Clock) -> Iterator[Row]:
    """Four networks, seven maps each, one photo; loading excluded."""
    nets = [network(name) for name in NETWORKS]
    jobs = {
        "fb": lambda: [forward_backward(net, x) for net, x, _ in nets],
        OURS: lambda: [ours(net, x, SEVEN) for net, x, _ in nets],
        "peers": lambda: [seven_calls(net, x, layer) for net, x, layer in nets],
    }
    costs = clock.interleaved(jobs, 5)
    yield Row("four networks, seven maps each", costs, "fb", [Goal("peers", 1 / 15)], ["peers"], note="fb: of all four")


JOBS = {"seven": seven, "classes": classes, "four": four}
