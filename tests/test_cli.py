"""The command line: one sentence per error, exit codes, one JSON document, and nothing lost."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pil

from whylook.cli import run
from whylook.cli.explain import parse_settings
from whylook.engine.devices import pick
from whylook.errors import UsageError

MODEL = ["-m", "phantom:resnet"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Pil.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)).save(path)
    return path


def sentence_of(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err


def test_explain_writes_everything(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(["explain", str(photo), *MODEL, "-m", "phantom:vgg", "-o", str(out)]) == 0
    assert {p.name for p in out.iterdir()} == {"report.html", "figure.png", "maps.npz", "facts.json", "result.json"}
    result = json.loads((out / "result.json").read_text("utf-8"))
    assert result["schema"] == "whylook/1"
    assert "report.html" in capsys.readouterr().out


def test_json_is_one_document_on_standard_output(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["explain", str(photo), *MODEL, "-o", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "result.json").read_text("utf-8"))
    for command in (["methods"], ["models"], ["methods", "grad-cam"]):
        assert run([*command, "--json"]) == 0
        json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain"], "PHOTO"),
        (["explian"], "explian"),
        (["explain", "PHOTO", "--foo"], "--foo"),
        (["explain", "PHOTO", "-x", "grad-camm", *MODEL], "did you mean grad-cam"),
        (["explain", "PHOTO", "-t", "bicycle", *MODEL], "has no class 'bicycle'"),
        (["explain", "PHOTO", "-t", "9", *MODEL], "classes 0 to 3"),
        (["explain", "PHOTO", "--set", "samples=3", *MODEL], "METHOD.NAME=VALUE"),
        (["explain", "PHOTO", "--set", "smoothgrad.samples=3", *MODEL], "not among the methods"),
        (["explain", "PHOTO", "-x", "smoothgrad", "--set", "smoothgrad.samples=0", *MODEL], "samples of 1 or more"),
        (["explain", "PHOTO", "--window", "1", *MODEL], "not 2 numbers"),
        (["explain", "PHOTO", "--device", "cuda:9", *MODEL], "no device"),
        (["explain", "PHOTO", "--checkpoint", "w.pth"], "needs both --arch NAME and --checkpoint FILE"),
        (["explain", "PHOTO", "--mean", "0.5", *MODEL], "--mean describes a network of your own"),
        (["explain", "PHOTO", *MODEL, *MODEL], "Two models are called"),
        (["methods", "gradcam"], "did you mean"),
    ],
)
def test_wrong_usage_is_2(
    arguments: list[str], message: str, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if "cuda:9" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.chdir(tmp_path)
    assert run([str(photo) if a == "PHOTO" else a for a in arguments]) == 2
    assert message in sentence_of(capsys)
    assert not (tmp_path / "whylook-out").exists()


def test_pictures_that_cannot_be_read_are_3_and_the_others_are_done(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.jpg").write_text("this is no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:500])
    (tmp_path / "scan.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 100)
    bad = [tmp_path / n for n in ("text.jpg", "empty.png", "cut.png", "scan.dcm", "missing.png")] + [tmp_path]
    out = tmp_path / "out"
    assert run(["explain", *map(str, bad), str(photo), *MODEL, "-o", str(out)]) == 3
    err = sentence_of(capsys)
    for path in bad:
        assert sum(path.name in line for line in err.splitlines()) >= 1, path.name
    result = json.loads((out / "result.json").read_text("utf-8"))
    assert len(result["images"]) == 1
    assert run(["explain", *map(str, bad), *MODEL, "-o", str(tmp_path / "none")]) == 3
    assert not (tmp_path / "none").exists()


def test_models_that_are_not_to_be_had_are_4_and_the_others_are_done(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["explain", str(photo), "-m", "phantom:alexnet", *MODEL, "-o", str(out)]) == 4
    assert "phantom" in sentence_of(capsys)
    assert (out / "result.json").is_file()
    assert run(["explain", str(photo), "-m", "phantom:alexnet", "-o", str(tmp_path / "none")]) == 4
    torch.save(torch.nn.Linear(3, 3), tmp_path / "whole.pth")
    assert run(["explain", str(photo), "--arch", "resnet18", "--checkpoint", str(tmp_path / "whole.pth")]) == 4
    assert "state_dict" in sentence_of(capsys)
    # Of several kinds: 6.
    assert run(["explain", str(photo), "nothere.png", "-m", "phantom:alexnet", *MODEL, "-o", str(out)]) == 6


def test_single_maps_that_cannot_be_made_are_6(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_net.py").write_text(
        "import torch\n"
        "def make():\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 4))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.save(__import__("own_net").make().state_dict(), tmp_path / "own.pth")
    arguments = ["explain", str(photo), "--arch", "own_net:make", "--checkpoint", str(tmp_path / "own.pth"),
                 "--mean", "0.5", "--std", "0.5", "--input-size", "32", "-o", str(tmp_path / "out")]  # fmt: skip
    assert run([*arguments, "-x", "gradient", "-x", "grad-cam"]) == 6
    assert "no layer with a spatial output" in sentence_of(capsys)
    assert (tmp_path / "out" / "result.json").is_file()
    assert run([*arguments, "-x", "gradient"]) == 0


@pytest.mark.parametrize("command", [["explain", "PHOTO", *MODEL], ["demo"]])
def test_an_unusable_folder_is_a_sentence_before_anything_is_loaded(
    command: list[str], photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import whylook.image
    import whylook.models

    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(whylook.image, "load_image", lambda *a, **k: 1 / 0)
    monkeypatch.setattr(whylook.models, "load_model", lambda *a, **k: 1 / 0)
    assert run([str(photo) if a == "PHOTO" else a for a in command] + ["-o", str(tmp_path / "file")]) == 2
    assert "file, not a folder" in sentence_of(capsys)


def test_json_is_one_document_also_when_nothing_could_be_made(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for arguments, code, what in (
        (["nosuch.jpg", *MODEL], 3, "nosuch.jpg"),
        ([str(photo), "-m", "phantom:alexnet"], 4, "phantom:alexnet"),
    ):
        assert run(["explain", *arguments, "-o", str(out), "--json"]) == code
        result = json.loads(capsys.readouterr().out)
        assert (result["schema"], result["images"], result["maps"]) == ("whylook/1", [], [])
        (failure,) = result["failures"]
        assert failure["what"] == what
        assert what.partition(":")[2] in failure["reason"]
        assert not out.exists()


def test_what_could_not_be_had_is_in_the_result(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken_factory.py").write_text("def make(): raise ValueError('no weights')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    out = tmp_path / "out"
    assert run(["explain", str(photo), "nosuch.jpg", "-m", "broken_factory:make", *MODEL, "-o", str(out)]) == 6
    assert "broken_factory:make failed with ValueError: no weights" in sentence_of(capsys)
    result = json.loads((out / "result.json").read_text("utf-8"))
    assert [f["what"] for f in result["failures"]] == ["nosuch.jpg", "broken_factory:make"]
    assert [m["name"] for m in result["models"]] == ["phantom:resnet"]


def test_a_map_s_numbers_and_warning_are_in_the_table(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = ["--set", "integrated-gradients.steps=1", "--set", "integrated-gradients.baseline=black"]
    given = ["-x", "integrated-gradients", *setting, "-o", str(tmp_path)]
    assert run(["explain", str(photo), *MODEL, *given]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Integrated Gradients" in said
    (record,) = json.loads((tmp_path / "result.json").read_text("utf-8"))["maps"]
    assert record["method"] == "integrated-gradients"
    assert record["parameters"] == {"baseline": "black", "steps": 1, "rule": None, "tolerance": 0.05}
    assert record["facts"]["relative_residual"] > 0.05
    assert record["facts"]["evaluations"] == 1
    assert "take more steps" in record["warning"]
    assert "evaluations 1." in said


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ("integrated-gradients.baseline=blakc", "neither a picture's path nor one of black"),
        ("integrated-gradients.stepps=5", "no parameter 'stepps'"),
        ("integrated-gradients.steps=0", "steps must be a whole number, 1 or more"),
        ("integrated-gradients.rule=simpson", "no rule 'simpson'"),
        ("integrated-gradients", "is not METHOD.NAME=VALUE"),
        ("integrated-gradients.steps=five", "steps of integrated-gradients must be a whole number, not 'five'"),
        ("integrated-gradients.steps=5,6", "must be a whole number, not [5, 6]"),
        ("integrated-gradients.steps=inf", "must be a whole number, not inf"),
        ("integrated-gradients.rule=", "rule of integrated-gradients must be a name, not ''"),
        ("integrated-gradients.tolerance=0", "tolerance must be above 0"),
        ("integrated-gradients.seed=1", "give it once for all methods, as an argument seed=… or as --seed"),
    ],
)
def test_a_setting_that_cannot_be_is_2(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, match: str
) -> None:
    given = ["-x", "integrated-gradients", "--set", setting, "-o", str(tmp_path)]
    assert run(["explain", str(photo), *MODEL, *given]) == 2
    assert match in capsys.readouterr().err


def test_a_setting_that_is_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match=r"gives rise\.samples twice"):
        parse_settings(["rise.samples=5", "lime.samples=9", "rise.samples = 6"])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (["--seed", "1.5"], "'1.5' is not a whole number"),
        (["--seed", "-1"], "seed must be a whole number from 0"),
        (["--seed", "9" * 30], "seed must be a whole number from 0"),
        (["--num-classes", "3.5"], "'3.5' is not a whole number"),
        (["-x", "lime", "--set", "lime.segments=a,b"], "is neither grid"),
    ],
)
def test_numbers_that_are_none_are_2(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], match: str
) -> None:
    """A seed of 1.5 was rounded to 2, and one too large ended in an error that nobody expected."""
    assert run(["explain", str(photo), *MODEL, *given, "-o", str(tmp_path / "out")]) == 2
    assert match in sentence_of(capsys)
    assert not (tmp_path / "out").exists()


def test_several_values_of_a_setting_are_a_list() -> None:
    parsed = parse_settings(["a.baseline=black,white", "a.steps=5", "b.noise=.5", "b.window=4,8", "a.rule=midpoint"])
    assert parsed == {
        "a": {"baseline": ["black", "white"], "steps": 5, "rule": "midpoint"},
        "b": {"noise": 0.5, "window": [4, 8]},
    }


def test_how_a_picture_was_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Pil.fromarray(np.arange(6400, dtype=np.uint16).reshape(80, 80)).save(tmp_path / "deep.png")
    command = ["explain", str(tmp_path / "deep.png"), *MODEL, "-o", str(tmp_path / "out")]
    assert run(command) == 0
    assert "deep.png: 16-bit values kept" in sentence_of(capsys)
    assert run([*command, "--window", "60000,61000"]) == 0
    assert "so all of it is black: --window 0,6399 may be meant." in sentence_of(capsys)


def test_a_picture_that_cannot_be_fed_is_3_and_the_others_are_done(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Pil.fromarray(np.zeros((2, 100_000), np.uint8)).save(tmp_path / "strip.png")
    out = tmp_path / "out"
    command = ["explain", str(tmp_path / "strip.png"), str(photo), *MODEL, "-o", str(out)]
    assert run(command) == 3
    assert "strip.png is too thin" in sentence_of(capsys)
    assert [i["name"] for i in json.loads((out / "result.json").read_text("utf-8"))["images"]] == ["photo.png"]


class Machine:
    """What `pick` asks of torch, on a machine with two GPUs."""

    device = staticmethod(torch.device)

    class cuda:  # noqa: N801
        is_available = staticmethod(lambda: True)
        device_count = staticmethod(lambda: 2)


def test_devices_that_are_not_there_are_refused() -> None:
    assert [pick(d, Machine) for d in ("auto", "cuda", "cuda:1", "cpu")] == ["cuda", "cuda", "cuda:1", "cpu"]
    for name in ("cuda:2", "cuda:7", "cpu:3", "mps", "gpu", "cuda:x", ""):
        with pytest.raises(UsageError, match="There is no device"):
            pick(name, Machine)
    with pytest.raises(UsageError, match="cuda:0 to cuda:1"):
        pick("cuda:7", Machine)


@pytest.mark.parametrize("arguments", [["methods"], ["models"], ["methods", "--json"], ["explain", "é×.jpg", "--json"]])
def test_a_code_page_is_no_reason_to_fail(arguments: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "whylook", *arguments], capture_output=True, timeout=120, cwd=tmp_path, env=environment
    )
    assert done.returncode == (3 if arguments[0] == "explain" else 0), done.stderr
    text = done.stdout.decode("ascii")
    assert not text.isspace()
    if "--json" in arguments:
        content = json.loads(text)
        assert arguments[0] != "explain" or content["failures"][0]["what"] == "é×.jpg"


def test_titles_are_lines_of_their_own(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", str(photo), *MODEL, "-o", str(tmp_path / "out")]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "photo.png: what the models say (probabilities are not calibrated)" in lines


def test_every_exit_code_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "1 an error that whylook did not expect" in " ".join(capsys.readouterr().out.split())


def test_an_error_nobody_expected_is_a_sentence_too(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import whylook.image

    monkeypatch.setattr(whylook.image, "load_image", lambda *a, **k: 1 / 0)
    assert run(["explain", str(photo), *MODEL]) == 1
    assert "ZeroDivisionError" in sentence_of(capsys)
    assert run(["explain", str(photo), *MODEL], debug=True) == 1
    assert "Traceback" in capsys.readouterr().err


def test_help_and_lists_import_no_torch() -> None:
    code = (
        "import sys\nfrom whylook.cli import run\n"
        "for a in (['--help'], ['explain', '--help'], ['compare', '--help'], ['methods'], ['models'], ['--version']):\n"
        "    assert run(a) == 0, a\n"
        "assert not {'torch', 'timm', 'torchvision', 'matplotlib'} & set(sys.modules), 'heavy import'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)


WAITS = """
import pathlib, time, torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 2)
    def forward(self, x):
        if len(x) == 1 and x.requires_grad:  # the pass itself, not a look at the network while it is loaded
            pathlib.Path(READY).touch()
            time.sleep(100)
        return self.fc(x.mean((2, 3)))
def make():
    return Net()
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_in_the_middle_leaves_no_result(photo: Path, tmp_path: Path) -> None:
    out, ready = tmp_path / "out", tmp_path / "ready"
    (tmp_path / "waits.py").write_text(WAITS.replace("READY", repr(str(ready))))
    (tmp_path / "model.toml").write_text(
        'arch = "waits:make"\ncheckpoint = "w.pth"\nmean = 0.5\nstd = 0.5\ninput_size = 8\n'
    )
    torch.save({"fc.weight": torch.ones(2, 3), "fc.bias": torch.zeros(2)}, tmp_path / "w.pth")
    command = [sys.executable, "-m", "whylook", "explain", str(photo), "-m", str(tmp_path / "model.toml"),
               "-x", "gradient", "-o", str(out)]  # fmt: skip
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # a shell ignores it for what runs behind
    )
    until = time.monotonic() + 120
    while not ready.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert ready.exists(), err
    assert process.returncode == 130, err
    assert "Interrupted. 0 of 1 pictures were done; nothing was written." in err
    assert "Traceback" not in err
    assert not out.exists()
