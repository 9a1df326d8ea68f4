"""The trust card on maps whose truth is known: what can be believed, what cannot, and what it never says."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pil

import whylook
from whylook import TrustCard, load_image, load_model, trust
from whylook.cli import run
from whylook.errors import Unsupported, UsageError
from whylook.explanation import Explanation
from whylook.methods import METHODS
from whylook.methods.method import Needs, method
from whylook.metrics.dummies import sobel
from whylook.metrics.grids import shifted, shifted_ranks, spearman
from whylook.phantom import DEMO_SEED, picture, render
from whylook.trustcard import trust_all
from whylook.trustcard.measured import THOROUGH, USUAL

FILM = render(DEMO_SEED, lesion="disc", marker=True, catheter=True)


@pytest.fixture(scope="module")
def explained() -> Explanation:
    return whylook.explain(picture(), ["phantom:vgg-shortcut", "phantom:resnet"], ["lrp", "hirescam"])


@pytest.fixture(scope="module")
def together(explained: Explanation) -> Explanation:
    return trust_all(explained)


@pytest.fixture(scope="module")
def shortcut(explained: Explanation) -> TrustCard:
    """The map that lies on the marker, with the lesion as mask."""
    return trust(explained, "phantom:vgg-shortcut", "lrp", mask=FILM.scoring_mask("lesion"))


@pytest.fixture
def blind() -> Iterator[None]:
    """Explainers that do not look at the network, registered as methods for a while."""
    facts = {
        "space": "pixels",
        "signed": False,
        "paper": "none",
        "formula": "–",
        "cost": "–",
        "limits": "–",
        "prefer": "–",
    }

    @method("edges-only", title="Edges", needs=Needs(gradient=True), **facts)
    def edges_only(x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """The picture's edges."""
        return torch.stack([torch.from_numpy(sobel(row.detach().cpu().numpy())) for row in x])

    @method("all-alike", title="All alike", needs=Needs(gradient=True), **facts)
    def all_alike(x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """The same everywhere."""
        return torch.ones(x.shape[0], *x.shape[2:])

    @method("by-lot", title="By lot", needs=Needs(gradient=True), **facts)
    def by_lot(x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Numbers drawn by lot."""
        return torch.rand(
            x.shape[0], *x.shape[2:], generator=torch.Generator().manual_seed(int(x.sum() * 1000) % 2**31)
        )

    yield
    for name in ("edges-only", "all-alike", "by-lot"):
        del METHODS._entries[name]


def test_maps_of_what_the_networks_rest_on_are_supported(together: Explanation) -> None:
    found = {(c.map.model, c.map.method): c.verdict for c in together.cards}
    assert found["phantom:resnet", "lrp"] == found["phantom:resnet", "hirescam"] == "supported"
    assert found["phantom:vgg-shortcut", "lrp"] == "supported"


def test_a_supported_map_of_a_network_that_looks_at_the_wrong_thing(shortcut: TrustCard) -> None:
    assert shortcut.verdict == "supported"
    assert "does not tell whether the model looks at the right thing" in shortcut.because
    lesion = shortcut.question("place")
    assert lesion.verdict == "not better than chance"
    assert not lesion.decides
    assert shortcut.figure("enrichment").value < 1
    assert shortcut.lost == pytest.approx(0)


def test_explainers_that_do_not_look_at_the_network_are_not_supported(blind: None) -> None:
    model = load_model("phantom:resnet-shortcut")
    edges = trust(picture(), model, "edges-only")
    assert edges.figure("full-randomization").value == pytest.approx(1)
    assert edges.figure("sobel").value == pytest.approx(1)
    assert (edges.question("learned").verdict, edges.verdict) == ("not better than chance",) * 2
    assert edges.question("stability").verdict == "supported"  # stable, and wrong
    alike = trust(picture(), model, "all-alike")
    assert alike.verdict == "not assessable"
    assert "same everywhere" in alike.because
    assert {q.verdict for q in alike.questions} == {"not assessable"}
    lot = trust(picture(), model, "by-lot")
    assert lot.verdict == "not better than chance"
    assert {lot.question(q).verdict for q in ("dependence", "learned", "stability", "agreement")} == {lot.verdict}


def test_a_card_in_company_is_the_card_alone(shortcut: TrustCard, together: Explanation) -> None:
    card = next(c for c in together.cards if (c.map.model, c.map.method) == ("phantom:vgg-shortcut", "lrp"))
    alone = {q.name: q for q in shortcut.questions}
    for question in card.questions:
        assert question == alone[question.name]
    assert [m.method for m in together.maps] == [c.map.method for c in together.cards]


def test_the_budget_is_kept_and_counted(shortcut: TrustCard) -> None:
    assert shortcut.budget == 300
    assert USUAL.evaluations <= shortcut.passes["forward"] <= 300
    assert USUAL.plan(1)[:2] == (3, True)
    for cost in range(1, 5000, 7):
        plan = USUAL.plan(cost)
        used = USUAL.evaluations + cost * (1 + plan.draws + plan.flip)
        assert plan.left is not None
        assert used + plan.left <= 300 or plan[:2] == (0, False)
        assert plan.draws or not plan.flip  # what decides comes first
    assert USUAL.plan(4000) == (0, False, 0)
    assert THOROUGH.plan(4000) == (10, True, None)


def test_a_dear_method_is_not_made_again_and_says_so() -> None:
    card = trust(picture(), "phantom:resnet", "rise", parameters={"samples": 400})
    assert card.verdict == "not assessable"
    assert "--thorough" in card.because
    assert card.question("dependence").verdict != "not assessable"
    assert card.figure("flip-consistency").reason is not None


def test_another_family_answers(explained: Explanation, together: Explanation) -> None:
    families = {(METHODS[c.map.method].family, METHODS[c.second].family) for c in together.cards if c.second}
    assert families == {("rules", "cam"), ("cam", "rules")}


def test_what_cannot_be_asked_is_refused(explained: Explanation) -> None:
    with pytest.raises(UsageError, match="of one map; choose one of"):
        trust(explained)
    with pytest.raises(UsageError, match="There is no map"):
        trust(explained, "phantom:resnet", "rise")
    with pytest.raises(UsageError, match="one picture"):
        trust([picture()], "phantom:resnet")
    for several in ({"method": ["lrp", "gradient"]}, {"target": [0, 1]}, {"model": ["phantom:resnet", "phantom:vgg"]}):
        with pytest.raises(UsageError, match="of one map; several"):
            trust(picture(), **{"model": "phantom:resnet", **several})
    with pytest.raises(UsageError, match="mask has shape"):
        trust(explained, "phantom:resnet", "lrp", mask=np.ones((3, 3), bool))
    with pytest.raises(Unsupported):
        trust(picture(), "phantom:resnet", "attention-rollout")


def test_a_mask_that_the_model_was_not_shown_leaves_the_rest_standing() -> None:
    wide = np.zeros((64, 128, 1), np.uint8)
    wide[:, 32:96] = picture().pixels[::2, ::2]
    mask = np.zeros((64, 128), bool)
    mask[:, :20] = True  # the crop keeps the middle
    card = trust(load_image(wide), "phantom:resnet", "hirescam", mask=mask)
    assert card.question("place").verdict == "not assessable"
    assert "outside" in card.question("place").because
    assert card.lost == pytest.approx(1)
    assert any("cut away" in w for w in card.warnings)
    assert card.question("dependence").verdict != "not assessable"


def test_a_black_box_has_no_copy_with_random_weights() -> None:
    from whylook.engine.blackbox import BlackBox
    from whylook.metrics import Case
    from whylook.perturbed import Perturbed, perturbing
    from whylook.remake import Remake
    from whylook.trustcard.reliance import falls_of_copies, reliance

    model = load_model("phantom:resnet")
    x, network = model.preprocess.apply(picture())[None], BlackBox(lambda inputs: model.network(inputs))
    with perturbing(network, x) as board:
        remake = Remake(lambda network, x, target: x[0, 0].numpy(), network, x, 0, 4)
        case = Case(x[0, 0].numpy(), perturbed=Perturbed(board, 0), remake=remake)
        assert falls_of_copies(case) == []
        assert "no copy" in str(reliance(case, []).reason)


def test_warnings_name_another_answer_and_low_probability(shortcut: TrustCard) -> None:
    card = trust(picture(), "phantom:resnet", "hirescam", "ring")
    assert any("not ring" in w for w in card.warnings)
    assert not any("probability" in w for w in shortcut.warnings)


def test_the_page_is_whole_says_the_verdict_first_and_runs_nothing(shortcut: TrustCard, tmp_path: Path) -> None:
    folder = shortcut.save(tmp_path / "card")
    page = (folder / "trust.html").read_text("utf-8")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{allowed}'" in page
    assert "<script" not in page
    assert " style=" not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.index("Supported") < page.index("Deletion") < page.index("Enrichment")
    assert "not calibrated" in page
    for figure in (f for q in shortcut.questions for f in q.figures):
        assert figure.title in page
    assert page.count('class="bar-of"') == sum(f.value is not None for q in shortcut.questions for f in q.figures)
    record = json.loads((folder / "trust.json").read_text("utf-8"))
    assert record["schema"] == "whylook-trust/1"
    assert record["verdict"] == "supported"
    assert record["target"]["calibrated"] is False


def test_shifts_are_what_moving_one_map_over_the_other_gives() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((5, 7)), rng.random((5, 7))
    sums = [float((a * np.roll(b, (i, j), (0, 1))).sum()) for i in range(5) for j in range(7)]
    found = shifted(a, b)
    assert found.own == pytest.approx(sums[0])
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(sums[1:], [0.025, 0.975])))
    assert found.z == pytest.approx((sums[0] - np.mean(sums[1:])) / np.std(sums[1:]))
    assert shifted_ranks(a, b).own == pytest.approx(spearman(a, b))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    Pil.fromarray(FILM.pixels[:, :, 0]).save(path)
    return path


def test_the_command_prints_one_document_and_writes_the_folder(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask, out = tmp_path / "mask.png", tmp_path / "out"
    Pil.fromarray(np.zeros((128, 128), np.uint8)).save(mask)
    asked = [str(film), "-m", "phantom:resnet", "-x", "hirescam", "--mask", str(mask), "-o", str(out), "--json"]
    assert run(["trust", *asked]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "trust.json").read_text("utf-8"))
    assert {p.name for p in out.iterdir()} == {"trust.html", "trust.json"}
    place = next(q for q in printed["questions"] if q["name"] == "place")
    assert (place["verdict"], place["because"]) == ("not assessable", "the mask is empty")
    assert printed["verdict"] == "supported"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--mask", "small.png"], 2, "8 × 8 pixels, the picture 128 × 128"),
        (["--mask", "none.png"], 3, "there is no such file"),
        (["-x", "grad-camm"], 2, "did you mean grad-cam"),
        (["-x", "attention-rollout"], 2, "attention"),
        (["--set", "rise.samples=3"], 2, "the method is grad-cam"),
        (["-t", "cat"], 2, "no class 'cat'"),
    ],
)
def test_errors_are_a_sentence(
    film: Path, tmp_path: Path, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Pil.fromarray(np.full((8, 8), 255, np.uint8)).save("small.png")
    assert run(["trust", str(film), "-m", "phantom:resnet", *arguments]) == code
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "whylook-trust").exists()


def test_reports_have_verdicts_where_asked_for_and_say_how_to_get_them(film: Path, tmp_path: Path) -> None:
    asked = ["explain", str(film), "-m", "phantom:resnet", "-x", "hirescam", "-x", "lrp"]
    assert run([*asked, "-o", str(tmp_path / "without")]) == 0
    assert "whylook explain --trust" in (tmp_path / "without" / "report.html").read_text("utf-8")
    assert run([*asked, "--trust", "-o", str(tmp_path / "with")]) == 0
    assert "another kind of method agrees" in (tmp_path / "with" / "report.html").read_text("utf-8")
    maps = json.loads((tmp_path / "with" / "result.json").read_text("utf-8"))["maps"]
    assert [m["trust"]["verdict"] for m in maps] == ["supported", "supported"]
    assert json.loads((tmp_path / "without" / "result.json").read_text("utf-8"))["maps"][0]["trust"] is None
