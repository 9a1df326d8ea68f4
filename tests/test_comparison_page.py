"""What `whylook compare` writes: files, exit codes, and a page that a browser and a screen reader can take."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from safetensors.torch import save_file

from whylook import load_model
from whylook.cli import run
from whylook.comparison.pictures import outline
from whylook.comparison.plots import Axis, forest, strip
from whylook.comparison.words import uncapital
from whylook.phantom import LABELS, dataset

MODELS = ["-m", "phantom:vgg", "-m", "phantom:vgg-shortcut"]


class Outline(HTMLParser):
    """Tags that are open, all ids and links, and what every plot says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.said: list[str | None] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        self.ids += [told["id"] or ""] if "id" in told else []
        self.links += [told["href"] or ""] if tag == "a" else []
        self.fetched += [str(told[k]) for k in ("src", "href") if k in told and tag != "a"]
        if tag == "svg" and "aria-hidden" not in told:
            self.said.append(told.get("aria-label"))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures that can be used, with hostile names, and two that cannot."""
    place = tmp_path_factory.mktemp("films")
    (place / "masks").mkdir()
    rows = ["file,label,group"]
    for i, phantom in enumerate(dataset("clean", 3)):
        name = f"<b>&{i}.png"
        Pillow.fromarray(phantom.pixels[:, :, 0]).save(place / name)
        Pillow.fromarray(phantom.scoring_mask("lesion")).save(place / "masks" / name)
        rows.append(f'"{name}",{LABELS[phantom.label]},patient {i // 2}')
    (place / "broken.png").write_bytes(b"no picture")
    Pillow.fromarray(phantom.scoring_mask("lesion")).save(place / "masks" / "broken.png")
    Pillow.new("L", (128, 128)).save(place / "maskless.png")
    (place / "labels.csv").write_text("\n".join([*rows, "broken.png,disc,", "maskless.png,disc,"]))
    return place


@pytest.fixture(scope="module")
def done(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    out = tmp_path_factory.mktemp("out")
    return run(["compare", str(folder), *MODELS, "-x", "grad-cam", "-x", "gradient", "-o", str(out)]), out


def test_pictures_that_cannot_be_used_are_said_and_end_in_six(done: tuple[int, Path]) -> None:
    code, out = done
    assert code == 6
    assert {p.name for p in out.iterdir()} == {"compare.html", "compare.json", "scores.csv", "measured.jsonl"}
    told = json.loads((out / "compare.json").read_text("utf-8"))
    assert told["schema"] == "whylook-compare/1"
    assert told["data"]["left_out_by_kind"] == {"picture cannot be read": 1, "no mask": 1}
    assert (told["data"]["pictures"], told["data"]["units"]) == (3, 2)
    assert {c["p_holm"] >= c["p"] for c in told["contrasts"]} == {True}
    assert {c["comparisons"] for c in told["contrasts"]} == {len(told["contrasts"])} == {11}
    words = [f["words"] for f in told["findings"]]
    assert all(w.startswith("not assessable (n = ") for w in words)


def test_the_table_holds_every_value_once(done: tuple[int, Path]) -> None:
    with (done[1] / "scores.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    keys = [(r["picture"], r["model"], r["method"], r["metric"], r["beside"]) for r in rows]
    assert len(set(keys)) == len(keys)
    # accuracy; two methods by five metrics; four dummies beside each
    assert len(rows) == 3 * 2 * (1 + 2 * 5 * (1 + 4))
    assert {r["group"] for r in rows} == {"patient 0", "patient 1"}
    told = json.loads((done[1] / "compare.json").read_text("utf-8"))
    for level in told["levels"]:
        mine = [
            float(r["value"])
            for r in rows
            if (r["model"], r["method"], r["metric"]) == (level["model"], level["method"], level["metric"])
        ]
        assert np.mean(mine) == pytest.approx(level["mean"]["value"])


def test_again_measures_nothing_and_gives_the_same(
    done: tuple[int, Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = done
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    run(["compare", str(folder), *MODELS, "-x", "grad-cam", "-x", "gradient", "-o", str(out), "--json"])
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json.loads(before["compare.json"])
    assert "12 results were there" in printed.err
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_a_narrative_is_on_the_page_and_goes_with_the_comparison_that_it_is_of(
    done: tuple[int, Path], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "told"
    shutil.copytree(done[1], place)
    asked = ["compare", str(folder), *MODELS, "-x", "grad-cam", "-x", "gradient", "-o", str(place)]
    run([*asked, "--narrate"])
    claims = json.loads((place / "narrative.json").read_text("utf-8"))["pictures"][0]["claims"]
    assert claims
    printed = " ".join(capsys.readouterr().out.split())
    page = Outline((place / "compare.html").read_text("utf-8"))
    assert not page.wrong
    assert "told" in page.ids
    for claim in claims:
        assert " ".join(claim["text"].split()) in printed
    assert json.loads((place / "compare.json").read_text("utf-8"))["narrative"] == "narrative.json"
    run(asked)
    assert not (place / "narrative.json").exists()
    assert not (place / "narrative.md").exists()


def test_a_network_of_ones_own_is_compared_by_its_options(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_films.py").write_text(
        "from whylook.phantom.networks import build\ndef make(in_chans):\n    return build('vgg')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    save_file(load_model("phantom:vgg").network.state_dict(), tmp_path / "own.safetensors")
    (tmp_path / "names.txt").write_text("\n".join(LABELS))
    out = tmp_path / "out"
    run(["compare", str(folder), "-m", "phantom:vgg", "--arch", "own_films:make", "--checkpoint",
         str(tmp_path / "own.safetensors"), "--in-chans", "1", "--mean", "0.3", "--std", "0.25", "--input-size", "64",
         "--resize", "64", "--class-names", str(tmp_path / "names.txt"), "--name", "mine", "-x", "grad-cam",
         "-o", str(out)])  # fmt: skip
    told = json.loads((out / "compare.json").read_text("utf-8"))
    same = [c for c in told["contrasts"] if {c["first"], c["second"]} == {"phantom:vgg", "mine"}]
    assert same
    assert {c["difference"]["value"] for c in same} == {0}  # one network, by two roads


def test_the_page_is_well_formed_and_fetches_nothing(done: tuple[int, Path]) -> None:
    text = (done[1] / "compare.html").read_text("utf-8")
    page = Outline(text)
    assert not page.wrong
    assert not page.open
    assert len(set(page.ids)) == len(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert all(page.said)
    assert all(f.startswith("data:") for f in page.fetched)
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert "NaN" not in re.sub(r"base64,[^\"]*", "", text)
    assert "&lt;b&gt;&amp;0.png" in text
    assert "<b>" not in text


def test_the_page_fits_a_narrow_screen_and_is_in_the_colors_asked_for(done: tuple[int, Path]) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        backgrounds = set()
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
            said: list[str] = []
            page.on("console", lambda message, said=said: said.append(message.text))
            page.goto((done[1] / "compare.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            backgrounds.add(page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor"))
            assert not said
        browser.close()
        assert len(backgrounds) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "No model was given"),
        (["-m", "phantom:nothing"], 4, "no embedded network"),
        (["-m", "phantom:vgg", "-x", "grad-can"], 2, "did you mean"),
        (["-m", "phantom:vgg", "--effect", "iou"], 2, "METRIC=VALUE"),
        (["-m", "phantom:vgg", "--effect", "size=3"], 2, "enrichment"),
        (["-m", "phantom:vgg", "--effect", "iou=0"], 2, "greater than 0"),
        (["-m", "phantom:vgg", "--labels", "x.csv"], 2, "brings its own"),
        (["-m", "phantom:vgg", "--limit", "0"], 2, "0"),
    ],
)
def test_wrong_usage(
    arguments: list[str], code: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "phantom-data:clean", *arguments, "-o", str(tmp_path / "out")]) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said


def test_an_axis_has_round_numbers_within_it() -> None:
    for low, high in ((-0.31, 4.7), (0, 1), (1e-4, 3e-4), (-1200, 50)):
        ticks = Axis(low, high).ticks()
        assert 2 <= len(ticks) <= 6
        assert all(low - 1e-9 <= t <= high + 1e-9 for t in ticks)
        assert np.ptp(np.diff(ticks)) < 1e-9 * (high - low)
    assert Axis(0, 10).at(5) == "50.00%"
    assert Axis(0, 10).at(99) == Axis(0, 10).at(10)


def test_marks_lie_where_their_values_are() -> None:
    axis = Axis(-1, 1)
    drawn = forest(axis, 0.5, -0.5, 1.0, passed=False, words="a < b")
    assert 'cx="74.00%"' in drawn
    assert 'x1="26.00%" x2="98.00%"' in drawn
    assert "a &lt; b" in drawn
    row = strip(axis, np.array([0.0, np.nan, 7.0]), 0.0, None, None, band=(-0.5, 0.5), chance=0.0, words="w")
    assert row.count("<circle") == 2
    assert row.count('class="far"') == 1
    assert 'x="26.00%" width="48.00%"' in row


def test_an_outline_goes_around_what_is_marked() -> None:
    mask = np.zeros((5, 6), bool)
    mask[1:3, 2:5] = True
    assert sorted(re.findall(r"M\d+ \d+[HV]\d+", outline(mask))) == ["M2 1H5", "M2 1V3", "M2 3H5", "M5 1V3"]
    assert outline(np.ones((2, 2), bool)).count("M") == 4


def test_abbreviations_stay_capital() -> None:
    assert [uncapital(t) for t in ("IoU at equal area", "Pointing game", "ROAD")] == [
        "IoU at equal area",
        "pointing game",
        "ROAD",
    ]
