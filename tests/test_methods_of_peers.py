"""The page for those who come from another library: every name of ours in it is a method, and every method is in it."""

import re
from pathlib import Path

import pytest

from whylook.engine.rules.relevance import COMPOSITES
from whylook.methods import METHODS

PAGE = (Path(__file__).parents[1] / "docs" / "methods-of-peers.md").read_text("utf-8")
OURS = PAGE.partition("## What is under another name")[2].partition("Where they differ")[0]
# In none of the libraries that are compared with.
ONLY_HERE = {"attention-rollout", "transformer-attribution"}
PARAMETERS = {p for m in METHODS for p in m.parameters} | {"layer"}


def named() -> set[str]:
    """What stands in code style in the right column."""
    rows = [line.split("|") for line in OURS.splitlines() if line.startswith("| ") and "---" not in line]
    return {name for row in rows[1:] for name in re.findall(r"`([^`]+)`", row[2])}


def test_every_name_of_ours_is_a_method_a_parameter_or_a_value() -> None:
    for name in named():
        plain = name.partition("=")[0]
        assert name in METHODS or plain in PARAMETERS or name in COMPOSITES, name


def test_every_method_is_named() -> None:
    assert set(METHODS.names()) - named() == ONLY_HERE


def test_what_is_left_out_points_at_what_there_is() -> None:
    left = PAGE.partition("## What is left out")[2]
    cells = [line.split("|")[2] for line in left.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(cells) >= 8
    for name in (n for cell in cells for n in re.findall(r"`([^`]+)`", cell)):
        assert name in METHODS or name in PARAMETERS or name == "attribute", name


@pytest.mark.parametrize(
    ("package", "classes"),
    [
        ("captum.attr", ["DeepLiftShap", "ShapleyValueSampling", "FeatureAblation", "LayerIntegratedGradients"]),
        ("pytorch_grad_cam", ["KPCA_CAM", "FEM", "ShapleyCAM", "FinerCAM", "RefineCAM"]),
        ("torchcam.methods", ["ISCAM", "SSCAM", "LeGrad"]),
        ("zennit.composites", ["EpsilonPlus", "EpsilonAlpha2Beta1", "EpsilonGammaBox", "ExcitationBackprop"]),
    ],
)
def test_the_peers_have_what_is_said(package: str, classes: list[str]) -> None:
    module = pytest.importorskip(package, reason=f"needs {package} (uv sync installs it)")
    for name in classes:
        assert hasattr(module, name)
        assert f"`{name}`" in PAGE
