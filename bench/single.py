"""One map: gradient, Grad-CAM, Eigen-CAM, Ablation-CAM."""

from __future__ import annotations

import math
from collections.abc import Iterator

from captum.attr import LayerGradCam, Saliency
from pytorch_grad_cam import AblationCAM, EigenCAM, GradCAM

import whylook
from bench.harness import OURS, Clock, Goal, Row
from bench.networks import NETWORKS, TARGET, forward, forward_backward, network, pgc


def gradient(clock: Clock) -> Iterator[Row]:
    for name in NETWORKS:
        net, x, _ = network(name)
        jobs = {
            "fb": lambda net=net, x=x: forward_backward(net, x),
            OURS: lambda net=net, x=x: whylook.attribute(net, x, "gradient", TARGET),
            "captum": lambda net=net, x=x: Saliency(net).attribute(x.clone().requires_grad_(), target=TARGET),
        }
        yield Row(f"gradient, {name}", clock.interleaved(jobs), "fb", [Goal("fb", 1.05)], ["captum"])


def grad_cam(clock: Clock) -> Iterator[Row]:
    for name in NETWORKS:
        net, x, layer = network(name)
        jobs = {
            "fwd": lambda net=net, x=x: forward(net, x),
            OURS: lambda net=net, x=x: whylook.attribute(net, x, "grad-cam", TARGET),
            "captum": lambda net=net, x=x, layer=layer: LayerGradCam(net, layer).attribute(x, target=TARGET),
            "pytorch-grad-cam": lambda net=net, x=x, layer=layer: pgc(GradCAM, net, x, layer),
        }
        goals = [Goal("fwd", 1.10), Goal("captum", 1 / 1.2), Goal("pytorch-grad-cam", 1 / 4)]
        yield Row(f"Grad-CAM, {name}", clock.interleaved(jobs), "fwd", goals, ["captum", "pytorch-grad-cam"])


def eigen_cam(clock: Clock) -> Iterator[Row]:
    for name in NETWORKS:
        net, x, layer = network(name)
        jobs = {
            "fwd": lambda net=net, x=x: forward(net, x),
            OURS: lambda net=net, x=x: whylook.attribute(net, x, "eigen-cam", TARGET),
            "pytorch-grad-cam": lambda net=net, x=x, layer=layer: pgc(EigenCAM, net, x, layer),
        }
        goals = [Goal("fwd", 1.15)]
        yield Row(f"Eigen-CAM, {name}", clock.interleaved(jobs), "fwd", goals, ["pytorch-grad-cam"])


def ablation_cam(clock: Clock) -> Iterator[Row]:
    """All channels by us; of the peer, which runs the whole network per channel, 32 channels, multiplied."""
    for name in ("resnet50", "mobilenet"):
        net, x, layer = network(name)
        channels = {"resnet50": 2048, "mobilenet": 1024}[name]
        share = 16
        kind = type("Share", (AblationCAM,), {})

        def part(net=net, x=x, layer=layer, kind=kind, share=share, channels=channels) -> None:
            with kind(model=net, target_layers=[layer], ratio_channels_to_ablate=share / channels, batch_size=8) as cam:
                from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

                cam(input_tensor=x, targets=[ClassifierOutputTarget(TARGET)])

        jobs = {
            "fwd": lambda net=net, x=x: forward(net, x),
            OURS: lambda net=net, x=x: whylook.attribute(net, x, "ablation-cam", TARGET),
            "pytorch-grad-cam": part,
        }
        costs = clock.interleaved(jobs, 3)
        base = [min(costs["fwd"])] * len(costs["pytorch-grad-cam"])
        # Its run is two passes of the network and the share of the channels; only the share is multiplied.
        whole = [
            2 * b + max(t - 2 * b, b) * math.ceil(channels / share)
            for t, b in zip(costs["pytorch-grad-cam"], base, strict=True)
        ]
        yield Row(
            f"Ablation-CAM, {name}",
            {**costs, "pytorch-grad-cam": whole},
            "fwd",
            [Goal("pytorch-grad-cam", 1 / 100)],
            ["pytorch-grad-cam"],
            note=f"the peer's cost is extrapolated from {share} of {channels} channels in batches of 8",
        )


JOBS = {"gradient": gradient, "grad-cam": grad_cam, "eigen-cam": eigen_cam, "ablation-cam": ablation_cam}
