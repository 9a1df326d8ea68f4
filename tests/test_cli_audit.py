"""`whylook audit`: what it prints, writes and leaves with."""

import html
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

import whylook
from whylook import load_image
from whylook.auditing.truth import read_truth
from whylook.cli import run
from whylook.errors import UsageError
from whylook.phantom import dataset


@pytest.fixture
def films(tmp_path: Path) -> list[str]:
    found = []
    for i, p in enumerate(dataset("clean", 10)):
        path = tmp_path / f"film-{i}.png"
        Pil.fromarray(np.asarray(p.pixels).reshape(p.pixels.shape[:2])).save(path)
        found.append(str(path))
    return found


def test_a_verdict_tables_and_two_files(films: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    truth = tmp_path / "truth.csv"
    rows = [f"{Path(f).name};{p.label}" for f, p in zip(films, dataset("clean", 10), strict=True)]
    truth.write_text("\n".join(["file;label", *rows]), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no picture")
    given = [
        "audit",
        "phantom:efficientnet",
        *films,
        str(tmp_path / "notes.txt"),
        "--labels",
        str(truth),
        "-o",
        str(out),
    ]
    assert run([*given, "--json"]) == 6  # one was left out, the others are done
    said = capsys.readouterr()
    printed = json.loads(said.out)
    assert "notes.txt" in said.err
    assert {p.name for p in out.iterdir()} == {"audit.html", "audit.json"}
    written = json.loads((out / "audit.json").read_text("utf-8"))
    assert printed == written
    assert written["schema"] == "whylook-audit/1"
    assert written["verdict"] == "declared"
    assert written["judged_by"] == "accuracy"
    assert len(written["images"]) == 10
    assert written["conventions"][0]["accuracy"] == 1.0
    assert written["conventions"][0]["versus"] is None
    assert "notes.txt" in written["failures"][0]["what"]


def test_a_picture_that_is_there_twice_is_left_out(
    films: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(films[0]).read_bytes())
    assert (
        run(["audit", "phantom:efficientnet", *films[:3], str(copy), films[1], "--json", "-o", str(tmp_path / "o")])
        == 6
    )
    said = capsys.readouterr()
    assert said.err.count("is the same picture as") == 2
    assert len(json.loads(said.out)["images"]) == 3


def test_the_terminal_marks_the_declared_and_says_the_cost(films: list[str], tmp_path: Path) -> None:
    import contextlib
    import io

    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert run(["audit", "phantom:efficientnet", *films[:9], "-o", str(tmp_path / "out")]) == 0
    text = shown.getvalue()
    assert text.startswith("phantom:efficientnet: the declared convention is the best supported (mean 0.3, std 0.25;")
    assert "(declared)" in text
    assert re.search(r"[0-9,]+ forward passes", text)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["phantom:vgg"], 2, "needs a model and pictures"),
        (["phantom:vgg", "not-there.png"], 3, "not-there.png"),
        (["phantom:nothing", "FILM"], 4, "no embedded network"),
        (["phantom:vgg", "FILM", "--labels", "not-there.csv"], 2, "not-there.csv"),
        (["--arch", "resnet18", "FILM"], 2, "--checkpoint"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    arguments: list[str], code: int, message: str, films: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [films[0] if a == "FILM" else a for a in arguments]
    assert run(["audit", *given, "-o", str(tmp_path / "out")]) == code
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_labels_are_read_by_path_name_and_stem(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("label, file\nzebra, a.jpg\n7, sub/b.png\nring, c\n", encoding="utf-8")
    assert read_truth(table, ["x/a.jpg", "sub/b.png", "c.tif"]) == ["zebra", "7", "ring"]
    with pytest.raises(UsageError, match=r"no class for d\.png"):
        read_truth(table, ["d.png"])
    table.write_text("zebra\nlion\n", encoding="utf-8")
    with pytest.raises(UsageError, match="columns file and label; they have zebra"):
        read_truth(table, ["a.jpg"])
    table.write_text("file,label\na,1\na,2\n", encoding="utf-8")
    with pytest.raises(UsageError, match="more than one class"):
        read_truth(table, ["a"])
    table.write_text("file,label\n1.png,2\nx/2.png,2\n", encoding="utf-8")
    with pytest.raises(UsageError, match="several pictures are called so"):
        read_truth(table, ["x/1.png", "y/1.png"])
    assert read_truth(table, ["x/1.png", "x/2.png"]) == ["2", "2"]


@cache
def page() -> str:
    drawn = [load_image(p.pixels) for p in dataset("clean", 9)]
    named = [whylook.Image(i.pixels, name=f"<b>{n}</b>", sha256=i.sha256) for n, i in enumerate(drawn)]
    return whylook.audit("phantom:resnet", named).html([("bad.png", "bad.png cannot be <read>.")])


def test_the_page_needs_nothing_else_and_escapes() -> None:
    text = page()
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert "style=" not in text  # its policy would drop it
    assert "<b>0</b>" not in text
    assert html.escape("<b>0</b>") in text
    assert "cannot be &lt;read&gt;." in text
    assert text.index('class="verdict') < text.index("Conventions")


def test_the_page_draws_every_picture_of_every_convention() -> None:
    text = page()
    lines = text.count('class="line') - 1  # less the head
    assert lines == 10
    assert text.count('class="one"') == lines * 9
    assert text.count('class="mean"') == lines
