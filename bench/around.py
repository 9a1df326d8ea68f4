"""What lies around the network: starting, loading, a folder of photos."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import whylook
from bench.harness import OURS, Clock, Goal, Row
from bench.networks import NETWORKS


def startup(clock: Clock) -> Iterator[Row]:
    ours = {"--help": ["--help"], "methods": ["methods"], "models": ["models"], "a wrong argument": ["nothing-such"]}
    for title, arguments in ours.items():
        run = f"import sys; from whylook.cli import main\ntry: main({arguments!r})\nexcept SystemExit: pass"
        programs = {
            "import torch": ["-c", "import torch"],
            OURS: ["-c", run],
            "import captum": ["-c", "import captum.attr"],
            "import pytorch_grad_cam": ["-c", "import pytorch_grad_cam"],
        }
        if title != "--help":
            programs = {n: programs[n] for n in ("import torch", OURS)}
        costs = clock.fresh(programs, 5)
        peers = [n for n in costs if n.startswith(("import c", "import p"))]
        yield Row(f"whylook {title}", costs, "import torch", [Goal("import torch", 0.4)], peers)


def loading(clock: Clock) -> Iterator[Row]:
    """Reading the weights: the file's bytes into tensors of their own."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("resnet50", "vgg16", "mobilenet"):
            path = Path(folder) / f"{name}.safetensors"
            save_file(timm.create_model(NETWORKS[name]).state_dict(), path)

            def read(path: Path = path) -> list[torch.Tensor]:
                return [t.clone() for t in load_file(path).values()]

            jobs = {
                "reading": read,
                OURS: lambda path=path, name=name: whylook.load_model(NETWORKS[name], checkpoint=path),
                "timm": lambda path=path, name=name: timm.create_model(NETWORKS[name], checkpoint_path=str(path)),
            }
            yield Row(f"loading, {name}", clock.interleaved(jobs, 5), "reading", [Goal("reading", 1.2)], ["timm"])


def folder(clock: Clock) -> Iterator[Row]:
    """Twenty-four photos of 12 megapixels, Grad-CAM of MobileNet."""
    count = 6 if clock.quick else 24
    with tempfile.TemporaryDirectory() as where:
        rng = np.random.default_rng(0)
        paths = []
        for i in range(count):
            coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
            paths.append(str(Path(where) / f"{i}.jpg"))
            coarse.resize((4000, 3000), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
        torch.manual_seed(0)
        model = whylook.load_model(timm.create_model(NETWORKS["mobilenet"]).eval())
        jobs = {
            "in turn": lambda: [whylook.explain(p, model, "grad-cam") for p in paths],
            OURS: lambda: whylook.explain(paths, model, "grad-cam"),
        }
        note = f"{count} JPEG files of 4000×3000"
        yield Row("folder of photos", clock.interleaved(jobs, 3), "in turn", [Goal("in turn", 1 / 1.3)], note=note)


JOBS = {"startup": startup, "loading": loading, "folder": folder}
