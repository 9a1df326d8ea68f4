"""The saved folder: whole or without `result.json`, and strict JSON in it."""

import errno
import json
import os
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import made_up
from whylook.errors import WhylookError
from whylook.report import bundle
from whylook.report.manifest import keys, manifest, rows, to_json
from whylook.report.section import Section


@pytest.fixture(autouse=True)
def light_figures(monkeypatch):
    """Drawing is tested elsewhere; here a figure only has to be a file."""
    monkeypatch.setattr(bundle, "_png", lambda explanation, stream: stream.write(b"PNG"))


def strict(path: Path):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(path.read_text("utf-8"), parse_constant=refuse)


def test_a_saved_folder_holds_every_map_bit_for_bit(tmp_path):
    explanation = made_up.explanation(targets=2)
    folder = bundle.save([explanation], tmp_path / "new" / "out")
    assert sorted(p.name for p in folder.iterdir()) == [
        "facts.json",
        "figure.png",
        "maps.npz",
        "report.html",
        "result.json",
    ]
    result = strict(folder / "result.json")
    assert result["schema"] == "whylook/1"
    assert len(result["maps"]) == len(explanation.maps)
    with np.load(folder / "maps.npz") as arrays:
        for record, made in zip(result["maps"], explanation.maps, strict=True):
            values = arrays[record["key"]]
            assert values.dtype == np.float32
            assert (values == made.values).all()
            assert record["grid"] == list(values.shape)
            assert record["method"] == made.method
            assert record["facts"] == made.facts
            assert record["warning"] == made.warning
            assert result["models"][record["model"]]["name"] == made.model
    image = result["images"][0]
    assert (image["sha256"], image["width"], image["height"]) == (explanation.image.sha256, 96, 64)
    assert result["models"][0]["preprocess"] == json.loads(json.dumps(made_up.FEEDING[0].as_dict()))
    assert result["models"][0]["fingerprint"] == "f00d0"
    assert result["predictions"][0]["top"][0]["label"] == made_up.LABELS[0]
    assert result["failures"] == [
        {"image": 0, "model": "vgg16", "method": made_up.METHODS[1], "what": None, "reason": made_up.FAILURE}
    ]
    assert set(result["versions"]) >= {"whylook", "python", "torch", "numpy"}


def test_several_pictures_have_a_figure_each_and_stale_ones_go(tmp_path):
    three = [made_up.explanation(made_up.picture(name=f"{n}.png")) for n in "abc"]
    folder = bundle.save(three, tmp_path)
    assert (folder / "figure-3.png").exists()
    bundle.save(three[:1], tmp_path)
    assert sorted(p.name for p in folder.glob("figure*")) == ["figure.png"]
    assert [i["figure"] for i in strict(folder / "result.json")["images"]] == ["figure.png"]


def test_sections_alone_are_enough(tmp_path):
    sections = [Section("One", explanations=(made_up.explanation(),))]
    folder = bundle.save([], tmp_path, sections=sections, title="A story")
    assert len(strict(folder / "result.json")["maps"]) == 11
    assert "<title>A story</title>" in (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), RuntimeError()]
)
def test_a_run_that_breaks_off_leaves_no_result_and_no_litter(tmp_path, monkeypatch, failure):
    bundle.save([made_up.explanation()], tmp_path)
    assert (tmp_path / "result.json").exists()

    def archive(stream, arrays):
        stream.write(b"half of it")
        raise failure

    monkeypatch.setattr(bundle, "_archive", archive)
    expected = WhylookError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected) as caught:
        bundle.save([made_up.explanation()], tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["facts.json", "figure.png", "maps.npz", "report.html"]
    assert zipfile.is_zipfile(tmp_path / "maps.npz")  # the earlier one, whole
    if isinstance(failure, OSError):
        assert "maps.npz" in str(caught.value)
        assert "no space left" in str(caught.value)


def test_what_came_to_nothing_is_among_the_failures(tmp_path):
    problems = [("scan.dcm", "scan.dcm is a DICOM file.")]
    folder = bundle.save([made_up.explanation(failing=False)], tmp_path, problems=problems)
    entry = {"image": None, "model": None, "method": None, "what": "scan.dcm", "reason": "scan.dcm is a DICOM file."}
    assert strict(folder / "result.json")["failures"] == [entry]
    assert manifest([], problems=problems)["failures"] == [entry]


def test_a_folder_is_checked_without_being_made(tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("mine")
    bundle.check_folder(tmp_path / "new" / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
    for path in (tmp_path / "taken", tmp_path / "taken" / "below" / "it"):
        with pytest.raises(WhylookError, match=r"Cannot write .*taken.*file, not a folder"):
            bundle.check_folder(path)
    with pytest.raises(WhylookError, match="name is too long"):
        bundle.check_folder(tmp_path / ("x" * 300))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(WhylookError, match=r"Cannot write .*new.*may not write there"):
        bundle.check_folder(tmp_path / "new" / "out")


def test_the_old_result_is_gone_before_anything_is_written(tmp_path, monkeypatch):
    bundle.save([made_up.explanation()], tmp_path)
    seen = []
    write = bundle._write
    monkeypatch.setattr(bundle, "_write", lambda p, f: (seen.append((tmp_path / "result.json").exists()), write(p, f)))
    bundle.save([made_up.explanation()], tmp_path)
    assert seen == [False] * 5
    assert (tmp_path / "result.json").exists()


def test_a_path_that_is_a_file_is_named(tmp_path):
    there = tmp_path / "taken"
    there.write_text("mine")
    for path in (there, there / "below"):
        with pytest.raises(WhylookError, match=r"Cannot write .*taken.*file, not a folder"):
            bundle.save([made_up.explanation()], path)
    assert there.read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    tmp_path.chmod(stat.S_IREAD | stat.S_IEXEC)
    try:
        with pytest.raises(WhylookError, match="may not write"):
            bundle.save([made_up.explanation()], tmp_path)
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_a_refused_write_is_told_with_a_remedy(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(WhylookError, match=r"report\.html: you may not write there; choose another folder"):
        bundle.save([made_up.explanation()], tmp_path)


def test_numbers_that_json_does_not_know_become_null(tmp_path):
    explanation = made_up.explanation()
    odd = explanation.maps[0]
    values = odd.values.copy()
    values[0, 0], values[1, 1] = np.nan, np.inf
    parameters = {"a": float("nan"), "b": np.float32(2), "c": (1, None), "d": np.arange(3), "e": object}
    odd = replace(odd, values=values, parameters=parameters, seconds=float("inf"), reason="Not finite.")
    folder = bundle.save([replace(explanation, maps=(odd,))], tmp_path)
    (record,) = strict(folder / "result.json")["maps"]
    assert record["parameters"] == {"a": None, "b": 2.0, "c": [1, None], "d": [0, 1, 2], "e": str(object)}
    assert record["seconds"] is None
    assert np.isfinite([record["min"], record["max"]]).all()


def test_keys_are_safe_and_distinct():
    explanation = made_up.explanation(models=("../x", "..\\x", "a b", "A_b"), failing=False, empty=False)
    (names,) = keys([explanation])
    assert len({n.lower() for n in names}) == len(names) == 12
    assert all(set(n) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_.") for n in names)
    assert names[0] == "0._x.made-up-gradient.0"


def test_models_that_share_a_name_are_told_apart():
    first, second = made_up.explanation(models=("m",)), made_up.explanation(models=("m",))
    other = replace(second, fingerprints={"m": "other"})
    content = manifest([first, first, other])
    assert [m["fingerprint"] for m in content["models"]] == ["f00d0", "other"]
    assert [m["model"] for m in content["maps"]] == [0] * 6 + [1] * 3
    json.loads(to_json(content))


def test_rows_are_plain_values_one_per_map():
    explanation = made_up.explanation()
    table = rows(explanation)
    assert len(table) == len(explanation.maps)
    assert table[0]["model"] == "resnet50"
    assert table[0]["grid"] == "56×56"
    assert {type(v) for row in table for v in row.values()} <= {str, int, float, type(None)}
    (empty,) = [row for row in table if row["reason"]]
    assert empty["max"] == 0


def test_figures_of_somebody_else_stay(tmp_path):
    (tmp_path / "figure-2.png").write_bytes(b"mine")
    bundle.save([made_up.explanation()], tmp_path)
    assert (tmp_path / "figure-2.png").read_bytes() == b"mine"
    bundle.save([made_up.explanation()], tmp_path)
    assert (tmp_path / "figure-2.png").exists()


@pytest.mark.parametrize(
    "content", ["", "no JSON", "[]", '{"images": [{}]}', '{"images": [{"figure": "../figure.png"}]}']
)
def test_a_result_of_somebody_else_is_no_reason_to_fail(tmp_path, content):
    (tmp_path / "result.json").write_text(content)
    assert strict(bundle.save([made_up.explanation()], tmp_path) / "result.json")["schema"] == "whylook/1"
