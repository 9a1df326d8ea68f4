"""Data sets for comparisons: what is found, what is left out and said, and masks against other people's rasterizers."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from whylook.comparison.data import DataSet, Item, LeftOutError, Sample
from whylook.comparison.marks import mask_file, polygon, run_lengths, unpacked
from whylook.comparison.opening import open_data
from whylook.errors import ImageError, UsageError
from whylook.image import load_image


def picture(path: Path, size: tuple[int, int] = (6, 4), shade: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new("L", size, shade).save(path)


def mask(path: Path, size: tuple[int, int] = (6, 4), marked: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros(size[::-1], np.uint8)
    values[1:3, 2:4] = 255 * marked
    Pillow.fromarray(values).save(path)


def read(data: DataSet) -> tuple[dict[str, Sample], dict[str, str]]:
    """Samples by name, and by name the kind under which a picture is left out."""
    samples, left = {}, {out.name: out.kind for out in data.left_out}
    for item in data.items:
        try:
            samples[item.name] = item.sample()
        except LeftOutError as why:
            left[item.name] = why.kind if Path(item.name).stem in str(why) else "it is not named"
        except ImageError:
            left[item.name] = "picture cannot be read"
    return samples, left


def test_one_folder_per_class(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "a.png")
    picture(tmp_path / "dog" / "b.jpg")
    mask(tmp_path / "masks" / "cat" / "a.png")
    mask(tmp_path / "masks" / "b.png")
    mask(tmp_path / "suspicious" / "b.png")
    data = open_data(tmp_path)
    samples, left = read(data)
    assert not left
    assert {name: s.label for name, s in samples.items()} == {"cat/a.png": "cat", "dog/b.jpg": "dog"}
    assert samples["cat/a.png"].mask.sum() == 4
    assert samples["cat/a.png"].suspicious is None
    assert samples["dog/b.jpg"].suspicious.sum() == 4
    assert (data.marked, data.suspicious) == ("mask", "suspicious")


def test_what_cannot_take_part_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    for name in ("good", "unlabeled", "nomask", "small", "empty", "broken", "twice"):
        picture(tmp_path / f"{name}.png")
    for name in ("good", "unlabeled", "broken", "twice", "torn"):
        mask(tmp_path / "masks" / f"{name}.png")
    mask(tmp_path / "masks" / "small.png", (5, 4))
    mask(tmp_path / "masks" / "empty.png", marked=False)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    picture(tmp_path / "torn.png")
    (tmp_path / "masks" / "torn.png").write_bytes(b"no mask")
    names = ("good", "nomask", "small", "empty", "broken", "twice", "torn", "gone")
    rows = [f"{n}.png,cat,p1" for n in names] + ["twice.png,dog,p1"]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,group", *rows]))
    samples, left = read(open_data(tmp_path))
    assert list(samples) == ["good.png"]
    assert left == {
        "unlabeled.png": "no label",
        "nomask.png": "no mask",
        "small.png": "mask of another size",
        "empty.png": "empty mask",
        "broken.png": "picture cannot be read",
        "twice.png": "two labels",
        "torn.png": "mask cannot be read",
        "gone.png": "no such picture",
    }


def test_labels_by_stem_semicolons_and_another_group_column(tmp_path: Path) -> None:
    picture(tmp_path / "x" / "a.png")
    picture(tmp_path / "x" / "b.png")
    (tmp_path / "told.csv").write_text("﻿file;label;patient\na;cat;7\nx/b.png;dog;\n", encoding="utf-8")
    data = open_data(tmp_path, labels=tmp_path / "told.csv", groups="patient")
    assert [(i.name, i.group) for i in data.items] == [("x/a.png", "7"), ("x/b.png", None)]
    assert [s.label for s in read(data)[0].values()] == ["cat", "dog"]
    assert "1 have none" in " ".join(data.notes)
    with pytest.raises(UsageError, match="no column 'ward'"):
        open_data(tmp_path, labels=tmp_path / "told.csv", groups="ward")


def test_a_stem_that_two_pictures_have_does_not_say_whose_mask_it_is(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "1.png")
    picture(tmp_path / "dog" / "1.png")
    mask(tmp_path / "masks" / "1.png")
    assert set(read(open_data(tmp_path))[1].values()) == {"a mask for several"}


def test_a_mask_or_a_label_that_may_be_of_several_pictures_is_nobodys(tmp_path: Path) -> None:
    for name in ("a.png", "a.bmp", "x/b.png", "y/b.png", "x/c.png"):
        picture(tmp_path / name)
    for name in ("a", "x/b", "y/b", "c"):
        mask(tmp_path / "masks" / f"{name}.png")
    (tmp_path / "labels.csv").write_text("file,label\na.png,cat\na.bmp,cat\nb.png,dog\nx/c.png,cat\n")
    samples, left = read(open_data(tmp_path))
    assert left == {
        "a.png": "a mask for several", "a.bmp": "a mask for several",
        "x/b.png": "a label for several", "y/b.png": "a label for several",
    }  # fmt: skip
    assert list(samples) == ["x/c.png"]


def test_a_line_with_too_many_fields_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("file,label,group\na.png,tiger cat, Felis,p7\n")
    with pytest.raises(UsageError, match="more fields in line 2 than columns"):
        open_data(tmp_path)


def test_the_lot_depends_on_names_only() -> None:
    def item(name: str) -> Item:
        return Item(name, None, lambda: Sample(load_image(np.zeros((2, 2), np.uint8)), "cat"))

    names = [f"{i}.png" for i in range(50)]
    some, turned = (DataSet("d", tuple(map(item, order))).limited(9, seed=3) for order in (names, names[::-1]))
    assert [i.name for i in some.items] == [i.name for i in turned.items]
    assert [i.name for i in some.items] != names[:9]
    assert "9 of its 50" in some.notes[-1]


@pytest.mark.parametrize("data", ["nowhere", "phantom-data:unknown", __file__])
def test_no_such_data(data: str) -> None:
    with pytest.raises(UsageError):
        open_data(data)


def test_options_that_do_not_go_with_the_data(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--masks"):
        open_data("phantom-data:clean", masks=tmp_path)
    with pytest.raises(UsageError, match="no pictures"):
        open_data(tmp_path)
    picture(tmp_path / "cat" / "a.png")
    with pytest.raises(UsageError, match="no file of labels"):
        open_data(tmp_path, groups="patient")
    with pytest.raises(UsageError, match="no folder of masks"):
        open_data(tmp_path, masks=tmp_path / "elsewhere")


def test_masks_of_every_kind_of_png(tmp_path: Path) -> None:
    marked = np.zeros((4, 5), bool)
    marked[1:3, 2:] = True
    path = tmp_path / "mask.png"
    for mode in ("1", "L", "P", "RGB", "RGBA", "LA"):
        Pillow.fromarray(marked.astype(np.uint8) * (1 if mode == "P" else 255)).convert(
            "L" if mode == "P" else mode
        ).save(path)
        assert (mask_file(path) == marked).all(), mode


def test_masks_with_a_palette_are_read_by_color_unless_its_first_entry_is_the_background(tmp_path: Path) -> None:
    marked = np.zeros((4, 5), bool)
    marked[1:3, 2:] = True
    path = tmp_path / "mask.png"

    def saved(values: np.ndarray, palette: list[int], **options: object) -> np.ndarray:
        made = Pillow.fromarray(values.astype(np.uint8), "P")
        made.putpalette(palette)
        made.save(path, **options)
        return mask_file(path)

    white_first = [255, 255, 255, 0, 0, 0]
    assert (saved(~marked, white_first) == marked).all()
    assert (saved(marked * 5, [0, 0, 0] * 10) == marked).all()  # a label map: colors say nothing
    assert (saved(marked, [255, 255, 255, 255, 0, 0], transparency=0) == marked).all()
    assert (saved(~marked, [255, 0, 0, 0, 0, 0], transparency=1) == marked).all()
    gray = Pillow.fromarray(marked.astype(np.uint8) * 255).convert("RGB")
    gray.quantize(4).save(path)
    assert (mask_file(path) == marked).all()


def test_polygons_agree_with_matplotlib() -> None:
    from matplotlib.path import Path as Outline

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:23, :31] + 0.5
    for _ in range(60):
        corners = rng.uniform(-5, 36, (3, 2))  # a triangle, partly outside
        expected = Outline(np.vstack([corners, corners[:1]])).contains_points(np.stack([x, y], -1).reshape(-1, 2))
        assert (polygon(corners.ravel().tolist(), (23, 31)).ravel() == expected).all()


def test_a_polygon_on_pixel_borders_is_those_pixels() -> None:
    made = polygon((2, 1, 5, 1, 5, 4, 2, 4), (6, 7))
    expected = np.zeros((6, 7), bool)
    expected[1:4, 2:5] = True
    assert (made == expected).all()


def test_run_lengths_undo_themselves() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        wanted = rng.random((7, 5)) < 0.4
        flat = np.concatenate([[False], wanted.ravel(order="F")])  # unmarked first
        counts = np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat)), [wanted.size]]))
        assert (run_lengths(counts, (7, 5)) == wanted).all()
    with pytest.raises(ValueError, match="add up"):
        run_lengths([3, 4], (2, 2))


def ellipse() -> np.ndarray:
    y, x = np.mgrid[:120, :160]
    return (y - 60) ** 2 / 40**2 + (x - 70) ** 2 / 50**2 < 1


@pytest.mark.parametrize(
    ("packed", "wanted"),
    [  # what pycocotools 2.0.11 makes of these masks
        ("d0", np.zeros((4, 5), bool)),
        ("0d0", np.ones((4, 5), bool)),
        ("013000", np.eye(3, dtype=bool)),
        ("331N00000140L05OM", np.random.default_rng(0).random((7, 5)) < 0.5),
        (
            "]`2?U38J4L4L4M2M4M2N2N2M4N0O2N2N2N2N2O0O2O0O2N2O0O2O0O2O000O2O000O2O000O2O00000O2O0000000000000000000000"
            "0000000000000000000001N1000001N10001N10001N10001N101N101N2N101N101N2N2N2N2N102L3N2N2N3L3N3L4L4L6H_d4",
            ellipse(),
        ),
    ],
)
def test_packed_run_lengths_are_those_of_pycocotools(packed: str, wanted: np.ndarray) -> None:
    assert (run_lengths(unpacked(packed), wanted.shape) == wanted).all()


def test_packed_run_lengths_that_break_off_or_are_none() -> None:
    with pytest.raises(ValueError, match="break off"):
        unpacked("d0a")
    with pytest.raises(ValueError, match="not of packed"):
        unpacked("d0é")


def coco(path: Path, annotations: list[dict], images: list[dict] | None = None) -> Path:
    images = images or [{"id": 1, "file_name": "a.png", "height": 4, "width": 6, "patient": 12}]
    names = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": names}))
    return path


def test_coco_polygons_runs_and_boxes_are_one_mask(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    file = coco(
        tmp_path / "all.json",
        [
            {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]},
            {"image_id": 1, "category_id": 1, "segmentation": {"counts": [20, 4], "size": [4, 6]}},
            {"image_id": 1, "category_id": 1, "segmentation": {"counts": "21e0", "size": [4, 6]}},
            {"image_id": 1, "category_id": 1, "bbox": [2, 3, 1, 1]},
        ],
    )
    data = open_data(file, groups="patient")
    sample = read(data)[0]["a.png"]
    expected = np.zeros((4, 6), bool)
    expected[:2, :2] = expected[2, 0] = expected[:, 5] = expected[3, 2] = True
    assert (sample.mask == expected).all()
    assert (sample.label, data.items[0].group) == ("cat", "12")


def test_pictures_that_exif_turns(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 3  # half a turn, which no size betrays
    Pillow.new("L", (6, 4), 90).save(tmp_path / "a.png", exif=exif)
    file = coco(tmp_path / "all.json", [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 1]}])
    assert read(open_data(file))[1] == {"a.png": "turned by EXIF"}
    drawn = np.zeros((4, 6), np.uint8)
    drawn[0, :2] = 255
    for suffix in ("png", "tif"):
        Pillow.fromarray(drawn).save(tmp_path / f"mask.{suffix}", exif=exif)
        assert (mask_file(tmp_path / f"mask.{suffix}") == (drawn[::-1, ::-1] > 0)).all()


def test_coco_with_several_categories_asks_which(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    boxes = [{"image_id": 1, "category_id": c, "bbox": [c, 0, 1, 1]} for c in (1, 2)]
    file = coco(tmp_path / "all.json", boxes)
    assert read(open_data(file))[1] == {"a.png": "several categories"}
    (tmp_path / "told.csv").write_text("file,label\na.png,dog\n")
    sample = read(open_data(file, labels=tmp_path / "told.csv"))[0]["a.png"]
    assert sample.label == "dog"
    assert np.argwhere(sample.mask).tolist() == [[0, 2]]


def test_coco_takes_groups_and_any_case_from_labels_and_masks_of_no_other_picture(tmp_path: Path) -> None:
    files = ["x/a.png", "y/a.png", "b.png", "c.png", "d.png"]
    for name in files:
        picture(tmp_path / name)
        mask(tmp_path / "marks" / f"{Path(name).stem}.png")
    images = [{"id": i, "file_name": name, "height": None} for i, name in enumerate(files)]
    boxes = [{"image_id": i, "category_id": 1, "bbox": [1, 0, 1, 1]} for i in range(5)]
    file = coco(tmp_path / "all.json", boxes, images)
    told = tmp_path / "told.csv"
    told.write_text(
        "file,label,patient,group\nb.png,CAT,7,1\nc.png,cat,7,2\nd.png,cat,7,3\nd.png,dog,7,3\ngone.png,cat,,\n"
    )
    data = open_data(file, labels=told, groups="patient", suspicious=tmp_path / "marks")
    samples, left = read(data)
    assert left == {
        "x/a.png": "a mask for several", "y/a.png": "a mask for several", "d.png": "two labels", "gone.png": "no such picture",
    }  # fmt: skip
    assert {i.name: i.group for i in data.items} == {"b.png": "7", "c.png": "7", "x/a.png": None, "y/a.png": None}
    assert "2 have none" in " ".join(data.notes)
    assert samples["b.png"].label == "cat"
    assert {i.name: i.group for i in open_data(file, labels=told).items}["c.png"] == "2"
    with pytest.raises(UsageError, match="no column 'ward'"):
        open_data(file, labels=told, groups="ward")
    with pytest.raises(UsageError, match="have the id 1"):
        open_data(coco(tmp_path / "twice.json", boxes, [*images, {"id": 1, "file_name": "e.png"}]))


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ({"segmentation": {"counts": "abc", "size": [4, 6]}}, "mask cannot be read"),
        ({"segmentation": {"counts": "d ", "size": [4, 6]}}, "mask cannot be read"),
        ({"segmentation": {"counts": [1, 2], "size": [4, 6]}}, "mask cannot be read"),
        ({"segmentation": {"counts": [10, 10], "size": [4, 5]}}, "mask of another size"),
        ({"segmentation": [[1, 2, 3]]}, "mask cannot be read"),
        ({}, "mask cannot be read"),
        ({"bbox": [0, 0, 0.2, 0.2]}, "empty mask"),
    ],
)
def test_coco_annotations_that_are_none(annotation: dict, kind: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    file = coco(tmp_path / "all.json", [{"image_id": 1, "category_id": 1, **annotation}])
    assert read(open_data(file))[1] == {"a.png": kind}


def test_coco_pictures_of_another_size_or_without_annotation(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", (8, 4))
    picture(tmp_path / "b.png")
    images = [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}, {"id": 2, "file_name": "b.png"}]
    file = coco(tmp_path / "all.json", [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2]}], images)
    assert read(open_data(file))[1] == {"a.png": "mask of another size", "b.png": "no annotation"}
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(UsageError, match="COCO"):
        open_data(tmp_path / "bad.json")
