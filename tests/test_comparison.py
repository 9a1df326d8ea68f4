"""Comparisons of models: identities, verdicts on values whose truth is known, and whole runs on the phantom."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import whylook
from whylook.comparison import page
from whylook.comparison.contrasts import Contrast, contrasts, findings, levels
from whylook.comparison.data import DataSet, Sample
from whylook.comparison.gathered import Gathered, Seen
from whylook.comparison.opening import open_data
from whylook.comparison.plan import LOCALIZATION, Plan
from whylook.comparison.run import Comparison, compare
from whylook.comparison.store import FILE, Store
from whylook.comparison.words import missing
from whylook.errors import UsageError
from whylook.phantom import dataset

PAIR = ("phantom:resnet", "phantom:resnet-shortcut")
FAST = ("grad-cam", "gradient")
Values = Mapping[str, Mapping[str, list[float | None]]]


def made_up(values: Values, groups: list[str] | None = None, right: Mapping[str, list[int]] | None = None) -> Gathered:
    """Enrichments by model and method, all else left out; pictures that are not right for all have no scores."""
    models = tuple(values)
    methods = tuple(next(iter(values.values())))
    count = len(values[models[0]][methods[0]])
    pictures = []
    for i in range(count):
        answers = {m: {"right": 1 if right is None else right[m][i], "classes": 4} for m in models}
        scores = {
            m: {
                "maps": {x: {"enrichment": (values[m][x][i], 1.0, None)} for x in methods},
                "dummies": {}, "suspicious": {}, "suspicious_dummies": {}, "failures": {}, "lost": None,
            }
            for m in models
        }  # fmt: skip
        seen = Seen(f"{i:04}", "cat", groups[i] if groups else None, {}, answers, scores)
        pictures.append(seen if all(a["right"] for a in answers.values()) else replace(seen, scores={}))
    return Gathered(tuple(pictures), models, Plan(methods, metrics=("enrichment",), suspicious=()))


def by_pair(made: list[Contrast]) -> dict[tuple[str, str, str], tuple[float | None, ...]]:
    """By metric, method and first model: difference, interval and p."""
    return {
        (c.metric, c.method, c.first): (
            c.tested.difference.value, c.tested.difference.low, c.tested.difference.high, c.tested.p, c.tested.p_holm,
        )
        for c in made
    }  # fmt: skip


def negative(value: float | None) -> float | None:
    return None if value is None else 0 - value


def normal(count: int, mean: float, seed: int) -> list[float]:
    return np.random.default_rng(seed).normal(mean, 1, count).tolist()


def test_a_model_does_not_differ_from_itself() -> None:
    own = {"grad-cam": normal(40, 3, 0), "gradient": normal(40, 2, 1)}
    gathered = made_up({"a": own, "b": own})
    made = contrasts(gathered)
    assert {(c.tested.difference.value, c.tested.p, c.tested.p_holm) for c in made} == {(0.0, 1.0, 1.0)}
    assert {f.verdict.kind for f in findings(gathered, made, None)} == {"no difference"}


def test_the_other_way_round_is_the_same_with_other_signs() -> None:
    a = {"grad-cam": normal(40, 3, 0), "gradient": normal(40, 2, 1)}
    b = {"grad-cam": normal(40, 2.5, 2), "gradient": normal(40, 2.2, 3)}
    there, back = (by_pair(contrasts(made_up(v))) for v in ({"a": a, "b": b}, {"b": b, "a": a}))
    for (metric, method, first), (value, low, high, p, p_holm) in there.items():
        assert first == "a"
        assert back[metric, method, "b"] == (negative(value), negative(high), negative(low), p, p_holm)


def test_higher_needs_every_method() -> None:
    low, high = normal(40, 1, 0), normal(40, 4, 1)
    clear = made_up({"a": {"grad-cam": high, "gradient": high}, "b": {"grad-cam": low, "gradient": low}})
    found = {f.metric: f.verdict for f in findings(clear, contrasts(clear), None)}
    assert found["enrichment"].words == (
        "a higher than b (interval excludes 0, Holm p < .05, same sign in 2 of 2 method families)"
    )
    assert found["accuracy"].kind == "no difference"
    mixed = made_up({"a": {"grad-cam": high, "gradient": low}, "b": {"grad-cam": low, "gradient": low}})
    assert {f.verdict.words for f in findings(mixed, contrasts(mixed), None)} == {"no detectable difference"}


def test_two_methods_of_one_family_are_one_witness() -> None:
    low, high = normal(40, 1, 0), normal(40, 4, 1)
    gathered = made_up({"a": {"grad-cam": high, "hirescam": high}, "b": {"grad-cam": low, "hirescam": low}})
    words = [f.verdict.words for f in findings(gathered, contrasts(gathered), None) if f.metric == "enrichment"]
    assert words == ["a higher than b (interval excludes 0, Holm p < .05, same sign in 1 of 1 method family)"]


def test_three_pictures_show_nothing() -> None:
    gathered = made_up({"a": {"grad-cam": [9.0, 9.1, 9.2]}, "b": {"grad-cam": [1.0, 1.1, 1.0]}})
    found = findings(gathered, contrasts(gathered), None)
    assert {f.verdict.kind for f in found} == {"not assessable"}
    assert all(c.tested.p >= 0.25 for c in contrasts(gathered))
    assert "n = 3: 2 comparisons leave no p that could pass; 7 are the fewest" in found[0].verdict.words


def test_many_pictures_of_one_patient_are_one_unit() -> None:
    rng = np.random.default_rng(0)
    per_patient = rng.normal(0.8, 1, 8)
    values = np.repeat(per_patient, 20)
    patients = [f"p{i // 20}" for i in range(160)]
    zeros = {"grad-cam": [0.0] * 160}
    grouped, alone = (
        by_pair(contrasts(made_up({"a": {"grad-cam": values.tolist()}, "b": zeros}, g)))["enrichment", "grad-cam", "a"]
        for g in (patients, None)
    )
    few = by_pair(contrasts(made_up({"a": {"grad-cam": per_patient.tolist()}, "b": {"grad-cam": [0.0] * 8}})))
    assert grouped[:4] == pytest.approx(few["enrichment", "grad-cam", "a"][:4])
    assert alone[3] < 0.001 < grouped[3]
    assert grouped[2] - grouped[1] > 3 * (alone[2] - alone[1])


def test_accuracy_is_told_over_all_pictures_and_maps_over_the_common_ones() -> None:
    right = {"a": [1] * 40, "b": [1] * 30 + [0] * 10}
    own = {"grad-cam": normal(40, 3, 0)}
    gathered = made_up({"a": own, "b": own}, right=right)
    made = {c.metric: c.tested for c in contrasts(gathered)}
    assert (made["accuracy"].difference.n, made["enrichment"].difference.n) == (40, 30)
    assert made["accuracy"].p == pytest.approx(2 * 0.5**10)  # ten discordant pictures, all on one side
    assert [v.estimate.n for v in levels(gathered)] == [30, 30]


def test_missing_values_leave_pairs_out_and_are_counted() -> None:
    a, b = normal(20, 3, 0), normal(20, 2, 1)
    gathered = made_up({"a": {"grad-cam": [None, *a[1:]]}, "b": {"grad-cam": b}})
    tested = next(c.tested for c in contrasts(gathered) if c.metric == "enrichment")
    assert (tested.difference.n, tested.missing) == (19, 1)
    assert tested.difference.value == pytest.approx(np.mean(np.subtract(a, b)[1:]))
    never = made_up({"a": {"grad-cam": [None] * 20, "gradient": a}, "b": {"grad-cam": b, "gradient": b}})
    assert {(c.metric, c.method) for c in contrasts(never)} == {("accuracy", ""), ("enrichment", "gradient")}


def test_the_number_of_units_for_a_wished_effect_falls_with_it() -> None:
    gathered = made_up({"a": {"grad-cam": normal(40, 3, 0)}, "b": {"grad-cam": normal(40, 3, 1)}})
    small, large = (
        next(c.needed for c in contrasts(gathered, wished={"enrichment": e}) if c.metric == "enrichment")
        for e in (0.2, 1.0)
    )
    assert small > 4 * large > 40


@pytest.fixture(scope="module")
def phantom_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    folder = tmp_path_factory.mktemp("compared")
    return compare("phantom-data:shortcut", PAIR, FAST, limit=4, folder=folder), folder


def numbers(comparison: Comparison) -> list[tuple[object, ...]]:
    columns = ("picture", "model", "method", "metric", "value", "chance", "beside")
    return sorted(tuple(str(row[c]) for c in columns) for row in comparison.table())


def test_neither_the_order_of_pictures_nor_that_of_models_changes_a_bit(
    phantom_run: tuple[Comparison, Path],
) -> None:
    forth, _ = phantom_run
    data = open_data("phantom-data:shortcut", limit=4)
    turned = DataSet(data.name, data.items[::-1], marked=data.marked, suspicious=data.suspicious)
    back = compare(turned, PAIR[::-1], FAST[::-1])
    assert numbers(back) == numbers(forth)
    there, here = by_pair(forth.contrasts), by_pair(back.contrasts)
    for (metric, method, first), (value, low, high, p, p_holm) in there.items():
        if metric == "mass":  # against the area share, which is always second
            assert here[metric, method, first] == (value, low, high, p, p_holm)
        else:
            assert here[metric, method, PAIR[1]] == (negative(value), negative(high), negative(low), p, p_holm)


def test_a_folder_and_coco_of_the_same_pictures_give_the_same_numbers(
    phantom_run: tuple[Comparison, Path], tmp_path: Path
) -> None:
    images, annotations, rows = [], [], ["file,label"]
    for i, phantom in enumerate(dataset("shortcut", 4)):
        name = f"{phantom.seed}.png"
        Pillow.fromarray(phantom.pixels[:, :, 0]).save(tmp_path / name)
        for kind, component in (("masks", "lesion"), ("marker", "marker")):
            (tmp_path / kind).mkdir(exist_ok=True)
            if component in phantom.masks:
                Pillow.fromarray(phantom.scoring_mask(component)).save(tmp_path / kind / name)
        rows.append(f"{name},{whylook.phantom.LABELS[phantom.label]}")
        flat = np.concatenate([[False], phantom.scoring_mask("lesion").ravel(order="F")])
        counts = np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat)), [128 * 128]])).tolist()
        images.append({"id": i, "file_name": name, "height": 128, "width": 128})
        runs = {"counts": counts, "size": [128, 128]}
        annotations.append({"image_id": i, "category_id": phantom.label, "segmentation": runs})
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    categories = [{"id": i, "name": name} for i, name in enumerate(whylook.phantom.LABELS)]
    told = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "coco.json").write_text(json.dumps(told))
    expected = phantom_run[0]
    folder = compare(tmp_path, PAIR, FAST, suspicious=tmp_path / "marker")
    assert numbers(folder) == numbers(expected)
    assert folder.data.suspicious == "marker"
    coco = compare(tmp_path / "coco.json", PAIR, FAST, suspicious=tmp_path / "marker")
    assert numbers(coco) == numbers(expected)
    assert coco.sentences() == expected.sentences() == folder.sentences()


def test_a_run_that_was_broken_off_goes_on_where_it_was(
    phantom_run: tuple[Comparison, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, folder = phantom_run
    lines = (folder / FILE).read_text().splitlines(keepends=True)
    assert len(lines) == 4 * 2 * 2
    (tmp_path / FILE).write_text("".join(lines[:-1]) + lines[-1][:50])  # the last one was being written
    measured = []
    from whylook.comparison import gathering

    real = gathering.scored
    monkeypatch.setattr(gathering, "scored", lambda *given: measured.append(given[0].name) or real(*given))
    resumed = compare("phantom-data:shortcut", PAIR, FAST, limit=4, folder=tmp_path)
    assert measured == ["phantom:resnet-shortcut"]
    assert resumed.taken_up == 15
    assert numbers(resumed) == numbers(whole)
    # Another method is another measurement; the answers stay.
    again = compare("phantom-data:shortcut", PAIR[:1], "gradient", limit=2, folder=tmp_path)
    assert len(measured) == 3
    assert again.taken_up == 2


def test_an_interrupted_run_has_kept_what_was_measured(tmp_path: Path) -> None:
    def interrupt(done: int, total: int, what: str) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare("phantom-data:clean", PAIR[:1], "gradient", limit=3, folder=tmp_path, progress=interrupt)
    kept = [json.loads(line)["kind"] for line in (tmp_path / FILE).read_text().splitlines()]
    assert kept == ["answer", "scores"]


def test_a_store_reads_back_what_it_keeps(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept = store.put("k", {"value": 0.1 + 0.2, "pair": (1, None)})
    store.close()
    assert Store(tmp_path).get("k") == kept == {"value": 0.1 + 0.2, "pair": [1, None]}
    assert Store().get("k") is None


def test_a_full_disk_is_said_and_what_was_measured_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.put("k", {"value": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("whylook.comparison.store.os.fsync", full)
    with pytest.raises(whylook.WhylookError, match="No space left on device; what was measured before is kept"):
        store.put("l", {"value": 2})
    store.close()
    assert Store(tmp_path).get("k") == {"value": 1}


def test_labels_that_a_model_does_not_know_and_pictures_twice_are_left_out() -> None:
    known = open_data("phantom-data:clean", limit=2)
    first, second = known.items

    def labeled(label: str | int) -> Sample:
        sample = second.sample()
        pixels = np.array(sample.image.pixels)
        pixels[0, 0] = len(str(label))
        return replace(sample, label=label, image=whylook.load_image(pixels))

    more = (
        replace(second, name="a-part", read=lambda: labeled("tri")),
        replace(second, name="beyond", read=lambda: labeled(4)),
        replace(second, name="foreign", read=lambda: labeled("zebra")),
        replace(first, name="twin"),
    )
    made = compare(DataSet("d", (*known.items, *more), marked="lesion"), PAIR[:1], "gradient")
    assert {out.name: out.kind for out in made.left_out} == {
        "a-part": "a label that a model does not know",
        "beyond": "a label that a model does not know",
        "foreign": "a label that a model does not know",
        "twin": "the same picture twice",
    }
    assert len(made.gathered.pictures) == 2
    with pytest.raises(UsageError, match="Not a single picture"):
        compare(DataSet("d", more[2:3]), PAIR[:1], "gradient")


def test_a_class_that_models_number_differently_is_told_by_name_only() -> None:
    known = open_data("phantom-data:clean", limit=1)
    (item,) = known.items
    index = whylook.phantom.LABELS.index(str(item.sample().label))
    model = whylook.load_model(PAIR[0])
    turned = replace(model, name="turned", labels=tuple(reversed(model.labels)))
    alike = replace(model, name="alike", labels=tuple(f"{label}, or so" for label in model.labels))
    strange = replace(model, name="strange", labels=("a", "b", "c", "d"))

    def run(label: str | int, *models: whylook.Model) -> Comparison:
        again = replace(item, read=lambda: replace(item.read(), label=label))
        return compare(DataSet("d", (again,), marked="lesion"), [model, *models], "gradient")

    assert len(run(index, alike, strange).gathered.pictures) == 1
    with pytest.raises(UsageError, match="give classes by name"):
        run(str(index), turned)
    assert [a["right"] for a in run(known.items[0].sample().label, turned).gathered.pictures[0].answers.values()].count(
        1
    ) < 2


def test_a_label_of_digits_is_the_class_of_that_name() -> None:
    from whylook.explainer import class_index

    graded = replace(whylook.load_model(PAIR[0]), labels=("1", "10", "2", "3"))
    assert [class_index(graded, label) for label in ("1", "10", "2", "3", "0", 1, "-1")] == [0, 1, 2, 3, 0, 1, -1]


def test_a_twin_of_a_picture_that_was_left_out_takes_its_place() -> None:
    (item,) = open_data("phantom-data:clean", limit=1).items
    unknown = replace(item, name="0", read=lambda: replace(item.read(), label="zebra"))
    made = compare(DataSet("d", (unknown, item), marked="lesion"), PAIR[:1], "gradient")
    assert [p.name for p in made.gathered.pictures] == [item.name]
    assert [out.kind for out in made.left_out] == ["a label that a model does not know"]


def test_what_two_models_share_was_not_there_from_an_earlier_run(tmp_path: Path) -> None:
    model = whylook.load_model(PAIR[0])
    pair = [model, replace(model, name="same")]
    assert compare("phantom-data:clean", pair, "gradient", limit=1, folder=tmp_path).taken_up == 0
    assert compare("phantom-data:clean", pair, "gradient", limit=1, folder=tmp_path).taken_up == 4


def test_pictures_without_a_number_are_said_and_why() -> None:
    gathered = made_up({"a": {"gradient": [2.0, 3.0, 1.0]}, "b": {"gradient": [1.0, None, None]}})
    for picture in gathered.pictures[1:]:
        picture.scores["b"]["maps"]["gradient"]["enrichment"] = (None, None, "nothing in the map speaks for the target")
    made = Comparison(DataSet("d", (), marked="mask"), dict.fromkeys("ab"), gathered, ())
    assert missing(made) == [
        "No number where nothing in the map speaks for the target: Enrichment in mask of b by Gradient in 2 of 3 pictures. "
        "These pictures are left out of that measure."
    ]
    (_, level) = levels(gathered)
    assert page._of(level, 3) == ' <span class="muted">(n = 1)</span>'
    assert page._of(level, 1) == ""


def test_models_without_a_picture_in_common_have_no_difference_and_no_mark() -> None:
    gathered = made_up({"a": {"gradient": [1.0, None]}, "b": {"gradient": [None, 1.0]}})
    made = Comparison(DataSet("d", (), marked="mask"), dict.fromkeys("ab"), gathered, ())
    drawn = page._metric(made, "maps", "enrichment")
    assert "nan" not in drawn
    assert "– (there are no values)" in drawn


def test_without_masks_only_the_gap_is_measured() -> None:
    made = compare("phantom-data:marker-only", PAIR[1:], "grad-cam", limit=2)
    assert made.plan.metrics == ("deletion-gap",)
    assert {v.metric for v in made.levels} == {"deletion-gap", "mass", "enrichment"}
    assert not any(row["metric"] in LOCALIZATION for row in made.table())


def test_a_method_that_a_network_does_not_take_is_said_and_not_compared() -> None:
    made = compare("phantom-data:clean", PAIR, ["gradient", "legrad"], limit=1)
    assert {c.method for c in made.contrasts if c.kind == "maps"} == {"gradient"}
    assert {f["method"] for f in made.as_dict()["failures"]} == {"legrad"}


def test_a_black_box_is_compared_by_what_it_allows() -> None:
    network = whylook.load_model(PAIR[0])

    def scores(images):
        return network.network(images)

    box = whylook.load_model(scores, preprocess=network.preprocess, labels=network.labels, name="box")
    made = compare("phantom-data:clean", [box, network], limit=1, parameters={"rise": {"samples": 20}})
    assert made.plan.methods == ("occlusion", "rise")
    differences = [c.tested.difference.value for c in made.contrasts if c.kind == "maps" and c.metric == "iou"]
    assert differences == pytest.approx([0.0, 0.0], abs=0.02)
