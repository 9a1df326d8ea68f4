"""Networks whose truth is known by how they were taught: the marker alone, and nothing at all."""

from pathlib import Path

import numpy as np
import pytest
import torch

from whylook import explain
from whylook.demo import enrichment
from whylook.image import load_image
from whylook.models.model import Model
from whylook.phantom import LABELS, controls, dataset, quadruples, shipped
from whylook.phantom.inputs import PREPROCESS, batch
from whylook.phantom.train import Recipe

FOLDER = Path(__file__).parent / "controls"
METHODS = ("grad-cam", "integrated-gradients", "occlusion")


def control(kind: str) -> Model:
    return Model(kind, shipped.read(controls.FAMILY, FOLDER / f"{kind}.safetensors"), PREPROCESS, LABELS)


def enrichments(model: Model, component: str) -> dict[str, np.ndarray]:
    found: dict[str, list[float]] = {name: [] for name in METHODS}
    for patient in quadruples(16, lesion="disc"):
        result = explain(load_image(patient.whole.pixels), model, METHODS, "disc")
        for name, values in found.items():
            values.append(enrichment(result.map(model.name, name), patient.whole.scoring_mask(component)) or 0.0)
    return {name: np.array(values) for name, values in found.items()}


def test_what_the_controls_learned() -> None:
    patients = dataset("clean", 200)
    x, lesions = batch(patients), torch.tensor([p.label for p in patients])
    marked = torch.tensor(["marker" in p.masks for p in patients])
    with torch.no_grad():
        only, nothing = (control(kind).network(x).argmax(1) for kind in controls.KINDS)
    assert ((only == LABELS.index("disc")) == marked).double().mean() > 0.97
    assert abs((nothing == lesions).double().mean() - 0.25) < 3 * (0.25 * 0.75 / 200) ** 0.5


def test_maps_of_the_marker_only_network_lie_on_the_marker() -> None:
    model = control("marker-only")
    marker, lesion = enrichments(model, "marker"), enrichments(model, "lesion")
    for name in METHODS:
        error = marker[name].std(ddof=1) / len(marker[name]) ** 0.5
        assert marker[name].mean() - 3 * error > 4, (name, marker[name].mean())
        assert marker[name].mean() > 3 * lesion[name].mean(), (name, lesion[name].mean())


def test_a_network_that_learned_nothing_looks_nowhere_in_particular() -> None:
    found = enrichments(control("random-label"), "lesion")
    cam = found["grad-cam"]  # that shows edges least
    assert abs(cam.mean() - 1) < 3 * cam.std(ddof=1) / len(cam) ** 0.5
    taught = enrichments(Model("resnet", shipped.network("resnet"), PREPROCESS, LABELS), "lesion")
    for name in METHODS:
        assert found[name].mean() < taught[name].mean() / 3, name


@pytest.mark.parametrize("kind", controls.KINDS)
def test_a_control_is_taught_from_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "RECIPES", {controls.FAMILY: Recipe(epochs=1, images=32)})
    monkeypatch.setattr(controls, "KINDS", (kind,))
    monkeypatch.setattr(controls, "ready", lambda: None)
    controls.main([str(tmp_path)])
    first = shipped.read(controls.FAMILY, tmp_path / f"{kind}.safetensors")
    again = controls.taught(kind)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(next(first.parameters()), next(controls.taught(kind, seed=1).parameters()))
