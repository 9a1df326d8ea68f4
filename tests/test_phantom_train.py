"""Training from nothing: the same twice, and written where it should be."""

import json

import pytest
import torch

from whylook.phantom import dataset, shipped, train
from whylook.phantom.inputs import batch
from whylook.phantom.measure import exam


@pytest.fixture
def quick(monkeypatch):
    """A recipe that takes a second."""
    recipe = train.Recipe(epochs=1, images=32, batch=16)
    monkeypatch.setattr(train, "RECIPES", dict.fromkeys(shipped.FAMILIES, recipe))
    monkeypatch.setattr(train, "exam", lambda: exam(12, 20))
    yield recipe
    torch.use_deterministic_algorithms(False)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(quick):
    drawn = list(dataset("shortcut", quick.images, "train"))
    x, y = batch(drawn), torch.tensor([p.label for p in drawn])
    one, again, other = (train.train("mobilenet", x, y, seed, quick).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])


def test_training_one_family_writes_its_weights_and_keeps_the_others_rows(quick, tmp_path):
    train.main(["--seeds", "2", "--family", "vgg", "--output", str(tmp_path)])
    train.main(["--seeds", "1", "--family", "resnet", "--output", str(tmp_path)])
    table = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert list(table["networks"]) == ["resnet", "resnet-shortcut", "vgg", "vgg-shortcut"]
    assert [len(entry["seeds"]) for entry in table["networks"].values()] == [1, 1, 2, 2]
    assert table["recipes"]["vgg"]["images"] == quick.images
    assert {p.name for p in tmp_path.glob("*.safetensors")} == {f"{name}.safetensors" for name in table["networks"]}


def test_what_was_written_is_what_was_measured(quick, tmp_path, monkeypatch):
    from whylook.phantom.measure import measure

    train.main(["--seeds", "1", "--family", "resnet", "--output", str(tmp_path)])
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    for name, entry in shipped.table()["networks"].items():
        assert {"seed": 0, **measure(shipped.network(name), exam(12, 20))} == entry["seeds"][0]


def test_the_median_is_shipped_not_the_best():
    drops = [(5.0, 1), (1.5, 2), (3.0, 3), (3.0, 2), (4.0, 5), (9.0, 0)]
    rows = [{"drop": {"marker": {"mean": marker}, "lesion": {"mean": lesion}}} for marker, lesion in drops]
    assert train.typical(rows[:5]) == 2
    assert train.typical(rows) == 2
    assert train.typical(rows[:1]) == 0
