"""CONTRIBUTING.md's examples of a method and of a metric are executed as they stand."""

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import whylook
from toys import batch, build
from whylook.cli import run
from whylook.methods import METHODS
from whylook.metrics import METRICS, Case, measure
from whylook.registry import Registry

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text("utf-8")


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Imports the page's only piece of code in a language, as a module that is forgotten after the test."""
    added = []

    def add(language: str, name: str, registry: Registry) -> None:
        (code,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
        (tmp_path / f"{name}.py").write_text(code, "utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        added.append(name)
        import_module(name)

    yield add
    for name in added:
        sys.modules.pop(name, None)


def test_the_method_in_contributing_works_as_it_stands(add, capsys: pytest.CaptureFixture[str]) -> None:
    add("python", "norm", METHODS)
    assert "gradient-norm" in METHODS
    toy = build("plain")
    x = batch(toy)
    leaf = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(toy(leaf)[:, 2].sum(), leaf)
    torch.testing.assert_close(whylook.attribute(toy, x, "gradient-norm", 2), g.norm(dim=1))
    assert run(["methods"]) == 0
    assert "gradient-norm" in capsys.readouterr().out


def test_the_metric_in_contributing_works_as_it_stands(add, capsys: pytest.CaptureFixture[str]) -> None:
    add("py", "border", METRICS)
    assert measure("border-share", Case(np.ones((4, 4)))).value == 0.75
    assert measure("border-share", Case(np.zeros((4, 4)))).reason == "the map is zero everywhere"
    assert run(["metrics", "border-share"]) == 0
    assert "Padding in the network" in capsys.readouterr().out
