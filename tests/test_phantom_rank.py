"""The ranking of methods by what networks rest on: its numbers, its memory, its page; and the flatten head's marker."""

import json

import numpy as np
import pytest
import torch

from whylook import explain
from whylook.demo import enrichment
from whylook.image import load_image
from whylook.models.phantom import phantom
from whylook.phantom import quadruples, rank, seeds, shipped, train
from whylook.phantom.measure import exam

# Two networks on three components and four patients, one training.
RESULT = {
    "patients": 4,
    "drops": {f"{n} {s}": [[4.0, m, 0.1]] * 4 for s in ("shipped", 0, 1) for n, m in (("vgg", -0.2), ("vgg-shortcut", 3))},
    "enrichments": {
        "right": {f"{n} {s}": [[9.0, m, 0.1]] * 4 for s in ("shipped", 0, 1) for n, m in (("vgg", 0.2), ("vgg-shortcut", 5))},
        "wrong": {f"{n} {s}": [[0.1, m, 9.0]] * 4 for s in ("shipped", 0, 1) for n, m in (("vgg", 5.0), ("vgg-shortcut", 0.2))},
    },
    "refused": {"legrad": "no attention"},
}  # fmt: skip


def test_spearman_is_that_of_the_books() -> None:
    a, b = np.array([1.0, 2, 3, 4, 5]), np.array([5.0, 6, 7, 8, 7])
    assert rank.spearman(a, b) == pytest.approx(0.8207826817)  # a textbook's, with a tie at ranks 3.5
    assert rank.spearman(a, -a) == -1
    assert np.isnan(rank.spearman(a, np.ones(5)))


def test_a_method_that_puts_networks_and_components_in_order_has_rho_one() -> None:
    assert rank.correlation(RESULT, "right", "shipped") == pytest.approx(1)  # lesions and catheters tie on both sides
    assert rank.correlation(RESULT, "wrong", 0) < -0.8
    assert rank.correlation(RESULT, "legrad", 0) is None


def test_intervals_over_seeds_are_students() -> None:
    mean, low, high = rank.over_seeds([0.5, 0.6, 0.7, 0.6, 0.6])
    assert mean == pytest.approx(0.6)
    assert high - mean == pytest.approx(2.776 * np.std([0.5, 0.6, 0.7, 0.6, 0.6], ddof=1) / 5**0.5)
    assert low == pytest.approx(1.2 - high)
    assert rank.over_seeds([1.0, 0.5])[1:] == (-1.0, 1.0)


def test_the_page_is_sorted_and_says_what_was_left_out() -> None:
    text = rank.markdown(RESULT)
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == ["right", "wrong"]
    assert "5.0 × | 0.2 × |" in lines[0]
    assert "2 of 8 networks" in lines[0]
    assert "1.00 [1.00, 1.00] (2)" in lines[0]  # both seeds
    alone = {
        **RESULT,
        "enrichments": {"right": {k: v for k, v in RESULT["enrichments"]["right"].items() if "shipped" in k}},
    }
    assert "training seeds" not in rank.markdown(alone)
    assert "no meaning for these networks: `legrad`" in text


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shipped, "NAMES", ("vgg", "vgg-shortcut"))
    arguments = ["--folder", str(tmp_path), "--patients", "2", "--method", "grad-cam", "--method", "legrad"]
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured: begin -->\n<!-- measured: end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(rank, "ready", lambda: None)
    rank.main([*arguments, "--page", str(page)])
    first = json.loads((tmp_path / "ranking.json").read_text(encoding="utf-8"))
    assert set(first["enrichments"]["grad-cam"]) == {"vgg shipped", "vgg-shortcut shipped"}
    assert "legrad" in first["refused"]
    assert "| `grad-cam`" in page.read_text(encoding="utf-8")
    monkeypatch.setattr(rank, "enrichments", lambda *_: pytest.fail("measured again"))
    rank.main([*arguments[:6], "--page", str(page)])
    assert json.loads((tmp_path / "ranking.json").read_text(encoding="utf-8")) == first


def test_networks_of_every_seed_are_trained_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(train, "exam", lambda: exam(12, 20))
    quick = dict.fromkeys(shipped.FAMILIES, train.Recipe(epochs=1, images=32, batch=16))
    monkeypatch.setattr(seeds, "RECIPES", quick)
    made = list(seeds.trained(tmp_path, [3], ["vgg"]))
    assert [(name, seed) for name, seed, _ in made] == [("vgg", 3), ("vgg-shortcut", 3)]
    monkeypatch.setattr(seeds, "train", lambda *_: pytest.fail("trained again"))
    for (_, _, one), (_, _, again) in zip(made, seeds.trained(tmp_path, [3], ["vgg"]), strict=True):
        assert all(
            torch.equal(a, b) for a, b in zip(one.state_dict().values(), again.state_dict().values(), strict=True)
        )
    assert {p.name for p in tmp_path.iterdir()} == {"vgg-3.safetensors", "vgg-shortcut-3.safetensors"}


def test_on_a_flatten_head_grad_cam_misses_the_marker_that_hirescam_shows() -> None:
    # The shortcut VGG rests on the marker (its disc's logit falls without it); its head reads each place by itself, and
    # a gradient averaged over the picture cannot say which place counts.
    model = phantom("vgg-shortcut")
    found: dict[str, list[float]] = {"grad-cam": [], "hirescam": [], "layercam": []}
    for patient in quadruples(24, lesion="disc"):
        result = explain(load_image(patient.whole.pixels), model, list(found), 0)
        mask = patient.whole.scoring_mask("marker")
        for name, values in found.items():
            values.append(enrichment(result.map(model.name, name), mask) or 0.0)
    mean = {name: float(np.mean(values)) for name, values in found.items()}
    assert mean["hirescam"] > 2 * mean["grad-cam"], mean
    assert mean["layercam"] > mean["grad-cam"], mean
    assert np.mean(np.array(found["hirescam"]) > np.array(found["grad-cam"])) > 0.9


def test_integrated_gradients_follow_what_the_shipped_networks_rest_on(tmp_path) -> None:
    wanted = {"ig": ("integrated-gradients", {"baseline": "blur"}), "variance": ("vargrad", {})}
    networks = [(name, rank.SHIPPED, shipped.network(name)) for name in shipped.NAMES]
    result = rank.measure(networks, wanted, 3, tmp_path / "ranking.json")
    assert rank.correlation(result, "ig", rank.SHIPPED) > 0.7
    assert rank.correlation(result, "ig", rank.SHIPPED) > rank.correlation(result, "variance", rank.SHIPPED)
    low, high = rank.over_patients(result, "ig", rank.SHIPPED)
    assert low <= high
