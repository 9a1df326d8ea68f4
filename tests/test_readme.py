"""The README's Python and its links are true."""

import re
from pathlib import Path

import pytest
import torch

import whylook

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    high, low = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    scope: dict[str, object] = {}
    exec(high, scope)
    m = scope["m"]
    assert isinstance(m, whylook.Map)
    assert (tmp_path / "out" / "result.json").is_file()
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 500),
    )  # fmt: skip
    exec(low, {"whylook": whylook, "module": network, "x": torch.randn(2, 3, 16, 16)})


def test_links_and_pictures_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or (ROOT / target).is_file(), target


def test_it_names_one_command_each_for_the_demo_the_page_and_the_tests() -> None:
    commands = re.findall(r"^pip install uv && (.+)$", README, re.MULTILINE)
    assert commands == ["uv run whylook demo", "uv run whylook serve", "uv run pytest -q -n 2"]
