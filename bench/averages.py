"""Methods that average over many evaluations: time, and the memory of fresh processes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from captum.attr import IntegratedGradients, NoiseTunnel, Saliency

import whylook
from bench.harness import OURS, Clock, Goal, Row
from bench.networks import BATCH, NETWORKS, TARGET, forward, forward_backward, frozen, network

FEW = ("resnet50", "mobilenet")  # fifty steps of all four take half an hour on two cores


def integrated_gradients(clock: Clock) -> Iterator[Row]:
    for name in FEW:
        net, x, _ = network(name)

        def tuned(net=net, x=x, rows=BATCH[name]) -> None:
            with frozen(net):
                IntegratedGradients(net).attribute(x, target=TARGET, n_steps=50, internal_batch_size=rows)

        jobs = {
            "fb": lambda net=net, x=x: forward_backward(net, x),
            OURS: lambda net=net, x=x: whylook.attribute(
                net, x, "integrated-gradients", TARGET, steps=50, rule="gauss-legendre"
            ),
            "captum tuned": tuned,
            "captum default": lambda net=net, x=x: IntegratedGradients(net).attribute(x, target=TARGET),
        }
        costs = clock.interleaved(jobs, 3, once=["captum default"])
        costs["50 fb"] = [50 * s for s in costs.pop("fb")]
        goals = [Goal("captum tuned", 1 / 1.5), Goal("captum default", 1 / 3)]
        peers = ["captum tuned", "captum default"]
        note = "tuned: internal batches and frozen parameters"
        yield Row(f"integrated gradients, 50 steps, {name}", costs, "50 fb", goals, peers, note=note)


def smoothgrad(clock: Clock) -> Iterator[Row]:
    for name in FEW:
        net, x, _ = network(name)

        def tuned(net=net, x=x, rows=BATCH[name]) -> None:
            with frozen(net):
                tunnel = NoiseTunnel(Saliency(net))
                tunnel.attribute(x, nt_samples=25, nt_samples_batch_size=rows, stdevs=1.0, target=TARGET, abs=False)

        jobs = {
            "fb": lambda net=net, x=x: forward_backward(net, x),
            OURS: lambda net=net, x=x: whylook.attribute(net, x, "smoothgrad", TARGET),
            "captum tuned": tuned,
        }
        costs = clock.interleaved(jobs, 5)
        costs["25 fb"] = [25 * s for s in costs.pop("fb")]
        yield Row(f"SmoothGrad, 25, {name}", costs, "25 fb", [Goal("captum tuned", 1 / 1.4)], ["captum tuned"])


_LOAD = """
import torch, timm, whylook
torch.manual_seed(0)
net, x = timm.create_model({name!r}).eval(), torch.randn(1, 3, 224, 224)
"""
_RUN = {
    "bare": "with torch.inference_mode(): net(x)",
    OURS: "whylook.attribute(net, x, {method!r}, 7, **{parameters})",
}


def memory(clock: Clock) -> Iterator[Row]:
    """Peak memory of a process that explains, against one that runs the bare network forward once."""
    averages = {
        "integrated gradients, 50 steps": ("integrated-gradients", {"steps": 50}),
        "SmoothGrad, 25": ("smoothgrad", {}),
    }
    for title, (method, parameters) in averages.items():
        for name in FEW if clock.quick else ("vgg16", *FEW):
            programs = {
                n: (_LOAD + line).format(name=NETWORKS[name], method=method, parameters=parameters)
                for n, line in _RUN.items()
            }
            costs = clock.peaks(programs)
            yield Row(f"peak memory, {title}, {name}", costs, "bare", [Goal("bare", 1.25)], unit="MB")


def rise(clock: Clock) -> Iterator[Row]:
    for name in NETWORKS if not clock.quick else FEW:
        net, x, _ = network(name)
        masks = 16 if name == "vgg16" else 64
        jobs = {
            "fwd": lambda net=net, x=x, masks=masks, rows=BATCH[name]: forward(net, x, masks, rows),
            OURS: lambda net=net, x=x, masks=masks: whylook.attribute(net, x, "rise", TARGET, samples=masks),
        }
        note = f"{masks} masks, without what RISE does once; the bare network in batches of {BATCH[name]}"
        costs = clock.interleaved(jobs, 3)
        once = clock.interleaved({"fwd": lambda net=net, x=x: forward(net, x)}, 3)["fwd"]
        costs[OURS] = [max(t - min(once), 0.0) for t in costs[OURS]]  # the pass that finds the target
        yield Row(f"RISE, per mask, {name}", costs, "fwd", [Goal("fwd", 0.75)], note=note)


def occlusion(clock: Clock) -> Iterator[Row]:
    """A window of 16 pixels in steps of its own size, which makes 196 positions; the floor is timed on some of them."""
    from captum.attr import Occlusion

    positions, timed = 196, 32
    wanted = {"vgg16": 1 / 8.5, "mobilenet": 1 / 3.4, "resnet50": 1 / 2.75, "efficientnet_b0": 1 / 1.6}
    for name in ("mobilenet",) if clock.quick else wanted:
        net, x, _ = network(name)
        rows = BATCH[name]

        def peer(net=net, x=x, rows=rows) -> None:
            with frozen(net), torch.no_grad():
                Occlusion(net).attribute(
                    x, target=TARGET, sliding_window_shapes=(3, 16, 16), strides=(3, 16, 16),
                    baselines=0.0, perturbations_per_eval=rows,
                )  # fmt: skip

        jobs = {
            "fwd": lambda net=net, x=x, rows=rows: forward(net, x, timed, rows),
            OURS: lambda net=net, x=x: whylook.attribute(net, x, "occlusion", TARGET, window=16, stride=16),
            "captum tuned": peer,
        }
        costs = clock.interleaved(jobs, 3, once=["captum tuned"])
        costs["fwd"] = [s * positions / timed for s in costs["fwd"]]
        goals = [Goal("captum tuned", wanted[name])]
        note = f"window 16, stride 16: {positions} positions; fwd: of as many rows, in batches of {rows}"
        yield Row(f"occlusion, {name}", costs, "fwd", goals, ["captum tuned"], note=note)


JOBS = {
    "integrated-gradients": integrated_gradients, "smoothgrad": smoothgrad, "memory": memory, "rise": rise,
    "occlusion": occlusion,
}  # fmt: skip
