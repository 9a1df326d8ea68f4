"""CONTRIBUTING.md's example of a method is executed as it stands."""

import re
import sys
from pathlib import Path

import pytest
import torch

import whylook
from toys import batch, build
from whylook.methods import METHODS

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text("utf-8")


def test_the_method_in_contributing_works_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "norm.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    try:
        import norm  # noqa: F401
    finally:
        sys.modules.pop("norm", None)
    assert "gradient-norm" in METHODS
    toy = build("plain")
    x = batch(toy)
    leaf = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(toy(leaf)[:, 2].sum(), leaf)
    torch.testing.assert_close(whylook.attribute(toy, x, "gradient-norm", 2), g.norm(dim=1))

    from whylook.cli import run

    assert run(["methods"]) == 0
    assert "gradient-norm" in capsys.readouterr().out
