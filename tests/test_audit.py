"""Is the model fed the way it was trained? Known conventions are found, right ones raise no alarm."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pil
from torch import Tensor, nn

import whylook
from whylook import Preprocess, load_image, load_model
from whylook.auditing import words
from whylook.auditing.answers import answers
from whylook.auditing.conventions import Convention, alike, colors, distance, interpolations, inverted, sizes
from whylook.auditing.decision import DECLARED, NOT_ASSESSABLE, OTHER, Candidate, decide
from whylook.auditing.evidence import evidence
from whylook.auditing.remedy import remedy
from whylook.auditing.views import NAMES, views
from whylook.errors import ImageError, UsageError
from whylook.models.feeding import settle
from whylook.phantom import dataset
from whylook.statistics import mcnemar

CAFFE = Preprocess(mean=(0.485, 0.458, 0.408), std=1.0, scale=255.0, channel_order="bgr")  # type: ignore[arg-type]


@cache
def films(count: int = 10) -> tuple[whylook.Image, ...]:
    return tuple(load_image(p.pixels) for p in dataset("clean", count))


class Adapted(nn.Module):
    """A network that was trained on inputs times `factor` plus `offset`."""

    def __init__(self, network: nn.Module, factor: float, offset: float) -> None:
        super().__init__()
        self.network, self.factor, self.offset = network, factor, offset

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.network((x - self.offset) / self.factor)
        return answer


def wanting(name: str, wanted: Preprocess, declared: Preprocess) -> whylook.Model:
    """An embedded network that wants to be fed as `wanted`, and is declared to want `declared`."""
    model = load_model(name)
    own = model.preprocess
    # own = (u − m) / s and wanted = (u − n) / t · k, so wanted = own · s · k / t + (m − n) · k / t
    k = wanted.scale / wanted.std[0]
    return replace(
        model,
        network=Adapted(model.network, own.std[0] * k, (own.mean[0] - wanted.mean[0]) * k).eval(),
        preprocess=declared,
    )


def test_a_view_of_the_conventions() -> None:
    for declared in (Preprocess(), CAFFE, Preprocess(mean=0.3, std=0.25, channels=1)):  # type: ignore[arg-type]
        found = colors(declared)
        assert found[0].preprocess is declared
        assert found[0].distance == 0
        assert len({c.name for c in found}) == len(found)
        for i, one in enumerate(found):
            assert not any(alike(one.preprocess, other.preprocess) for other in found[:i])
            assert one.preprocess.input_size == declared.input_size
        assert {c.distance for c in found[1:]} == {1, 2, 3}
    assert next(c.name for c in colors(CAFFE)) == "BGR, Caffe mean"
    assert {c.name for c in colors(Preprocess())} >= {"RGB, [0, 1]", "RGB, [0, 255]", "RGB, [−1, 1]", "BGR, Caffe mean"}


def test_inversion_is_a_changed_record_and_exact() -> None:
    p = Preprocess(mean=0.3, std=0.25, channels=1)  # type: ignore[arg-type]
    unit = torch.rand(2, 1, 5, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(inverted(p).normalize(unit), p.normalize(1 - unit), rtol=0, atol=1e-6)
    assert alike(inverted(inverted(p)), p)
    assert distance(inverted(p), p) == 1
    narrow = load_image(np.full((8, 3, 1), 90, np.uint8))
    padded = replace(p, input_size=(8, 8), resize="none", fill=(0.2,))
    reversed_film = load_image(np.full((8, 3, 1), 255 - 90, np.uint8))
    torch.testing.assert_close(inverted(padded).apply(reversed_film), padded.apply(narrow), rtol=0, atol=1e-6)


def test_unit_then_normalize_is_apply_to_the_bit() -> None:
    image = load_image(np.random.default_rng(0).integers(0, 255, (70, 90, 3), dtype=np.uint8))
    for p in (Preprocess(input_size=32, resize_to=36), replace(CAFFE, input_size=(32, 32), resize_to=(40, 36))):  # type: ignore[arg-type]
        assert torch.equal(p.apply(image), p.normalize(p.unit(image)))


def test_sizes_and_interpolations_differ_from_what_is_declared() -> None:
    here = Convention("x", Preprocess(input_size=64, resize_to=73))  # type: ignore[arg-type]
    ways = sizes(here)
    assert ways[0].preprocess is here.preprocess
    assert [c.preprocess.resize for c in ways[1:]] == ["shorter", "squash", "longer"]
    assert [c.preprocess.interpolation for c in interpolations(here)] == ["bilinear", "bicubic"]


def test_views_are_mirrored_and_cut_from_the_picture() -> None:
    pixels = np.arange(20 * 30 * 3, dtype=np.uint16).reshape(20, 30, 3)
    seen = views(load_image(pixels))
    assert len(seen) == len(NAMES)
    np.testing.assert_array_equal(seen[0].pixels, pixels)
    np.testing.assert_array_equal(seen[1].pixels, pixels[:, ::-1])
    np.testing.assert_array_equal(seen[2].pixels, pixels[:18, :27])
    np.testing.assert_array_equal(seen[5].pixels, pixels[2:, 3:])


def by_hand(logits: np.ndarray) -> np.ndarray:
    """The definition of the evidence, in loops."""
    pictures, count, classes = logits.shape
    mean = [
        sum(logits[p, v, k] for p in range(pictures) for v in range(count)) / pictures / count for k in range(classes)
    ]
    found = []
    for p in range(pictures):
        rows = []
        for v in range(count):
            row = np.array([logits[p, v, k] - mean[k] for k in range(classes)])
            rows.append((row - row.mean()) / row.std())
        total = 0.0
        for v in range(count):
            others = sum(rows[w] for w in range(count) if w != v)
            total += rows[v][int(np.argmax(others))]
        found.append(total / count)
    return np.array(found)


def test_evidence_is_its_definition_and_knows_no_scale() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(7, 6, 5)).astype(np.float32)
    seen = evidence(logits)
    np.testing.assert_allclose(seen.clear, by_hand(logits.astype(np.float64)), rtol=1e-6)
    louder = evidence(logits * 300)
    np.testing.assert_allclose(louder.clear, seen.clear, rtol=1e-5)
    np.testing.assert_array_equal(louder.top, logits[:, 0].argmax(1))
    shifted = evidence(logits + rng.normal(size=5).astype(np.float32) * 50)  # a class that is always preferred
    np.testing.assert_allclose(shifted.clear, seen.clear, atol=1e-4)


def test_a_network_that_answers_one_thing_has_no_evidence() -> None:
    steady = np.tile(np.array([9, 1, 0, 0], np.float32), (12, 6, 1))
    seen = evidence(steady)
    assert np.all(seen.clear == 0)
    assert np.all(seen.agreement == 1)
    noisy = steady + np.random.default_rng(0).normal(scale=1e-2, size=steady.shape).astype(np.float32)
    right = np.zeros((12, 6, 4), np.float32)
    right[np.arange(12), :, np.arange(12) % 4] = 1
    assert abs(evidence(noisy).clear.mean()) < 0.4
    np.testing.assert_allclose(evidence(right).clear, np.sqrt(3), rtol=1e-6)


def candidates(*means: float, n: int = 14, tops: tuple[int, ...] | None = None, spread: float = 0.1) -> list[Candidate]:
    rng = np.random.default_rng(3)
    noise = rng.normal(scale=spread, size=n)
    made = []
    for i, mean in enumerate(means):
        own = noise + rng.normal(scale=spread / 3, size=n)
        top = (np.arange(n) + (i if tops is None else tops[i])) % 5
        made.append(Candidate("abcdefgh"[i], own - own.mean() + mean, top, i))
    return made


def test_the_words_of_a_decision() -> None:
    assert decide(candidates(2, 1, 1), hits=False).words == DECLARED
    caught = decide(candidates(1, 2, 0.5), hits=False)
    assert caught.kind == "other"
    assert caught.words.startswith(f"{OTHER}: b (+1.00 [")
    assert caught.words.endswith("14 of 14 first classes change)")
    few = decide(candidates(1, 2, n=5), hits=False)
    assert few.words == f"{NOT_ASSESSABLE} (5 pictures; with 1 comparison 6 are the fewest)"
    assert decide(candidates(1, 2, n=6), hits=False).kind == "other"
    unsure = decide(candidates(1, 1.1, spread=3), hits=False)
    assert unsure.words.startswith(f"{NOT_ASSESSABLE} (b is ahead, but not by more than chance: +0.10 [")


def test_what_changes_nothing_is_no_alarm() -> None:
    assert decide(candidates(1, 2, 0.5, tops=(0, 0, 1)), hits=False).kind == "declared"  # the same first classes
    assert decide(candidates(1, 1.015, 0.9, spread=1e-3), hits=False).kind == "declared"  # 1.5 % more, however certain
    assert decide(candidates(1, 1.03, spread=1e-3), hits=False).kind == "other"
    alone = candidates(1, 2)
    alone[1] = replace(alone[1], top=np.zeros(14, int))
    assert "names one class for 100%" in decide(alone, hits=False).words


def test_nothing_is_best_supported_where_nothing_is_told_apart() -> None:
    told = "these pictures tell no convention from the declared one"
    assert decide(candidates(1, 2, tops=(0, 0)), hits=False).words == f"{NOT_ASSESSABLE} ({told})"
    collapsed = candidates(2, 1)
    collapsed[0] = replace(collapsed[0], top=np.zeros(14, int))
    assert "the declared convention names one class for 100%" in decide(collapsed, hits=False).words
    for classes in (1, 3):
        head = nn.Linear(4, classes)
        nn.init.zeros_(head.weight)
        blind = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()
        found = whylook.audit(load_model(blind, preprocess=Preprocess((64, 64), resize_to=(64, 64))), list(films()))
        assert found.decision.kind == "not assessable"
        assert all(np.all(row.evidence.clear == 0) for row in found.rows)


class Overflowing(nn.Module):
    """A network of half precision: beyond 100 it answers nothing that is finite."""

    def __init__(self) -> None:
        super().__init__()
        self.network = load_model("phantom:resnet").network

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.network(x)
        return torch.where((x.abs().amax((1, 2, 3)) > 100)[:, None], torch.nan, answer)


def test_an_answer_that_is_not_finite_is_not_right() -> None:
    declared = load_model("phantom:resnet").preprocess
    model = load_model(Overflowing().eval(), preprocess=declared, labels=["a", "b", "c", "d"])
    for labels in ([0] * 10, None):
        found = whylook.audit(model, list(films()), labels)
        loud = next(row for row in found.rows if row.convention.name == "[0, 255]")
        assert (loud.values == 0).all()
        assert (loud.evidence.top == -1).all()
        assert found.decision.named != found.rows.index(loud)
    fed = whylook.audit(
        replace(model, preprocess=replace(declared, mean=(0.0,), std=(1.0,), scale=255.0)), list(films())
    )
    assert "not finite" in fed.html()
    assert fed.decision.kind == "not assessable" or fed.decision.named != 0


def test_a_picture_counts_once_and_a_part_of_a_name_is_not_meant() -> None:
    with pytest.raises(UsageError, match="the same picture as"):
        whylook.audit("phantom:vgg", [*films(9), films(1)[0]])
    with pytest.raises(UsageError, match="has no class 'dis'"):
        whylook.audit("phantom:vgg", list(films(2)), ["disc", "dis"])


def test_of_what_cannot_be_told_apart_the_smallest_change_is_named() -> None:
    found = decide(candidates(1, 2.0, 2.01), hits=False)
    assert found.named == 1
    assert found.same == ("c",)
    assert decide(candidates(1, 2.0, 2.2), hits=False).named == 2


def test_with_labels_it_is_mcnemar() -> None:
    n = 20
    right, wrong = np.ones(n), np.r_[np.ones(10), np.zeros(10)]
    tops = np.arange(n) % 5
    declared, other = Candidate("a", wrong, tops), Candidate("b", right, (tops + wrong.astype(int)) % 5, 1)
    found = decide([declared, other], hits=True)
    assert found.kind == "other"
    assert found.comparisons[1] is not None
    assert found.comparisons[1].p == mcnemar(10, 0)
    assert decide([other, declared], hits=True).kind == "declared"


def test_answers_are_the_networks_own_and_depend_on_no_company() -> None:
    model = load_model("phantom:resnet")
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    ways = colors(model.preprocess)[:3]
    together, alone = answers(model, films(3), ways), answers(model, films(3)[1:2], ways)
    assert together.shape == (3, 3, len(NAMES), 4)
    assert np.array_equal(together[:, 1:2], alone)
    for i, way in enumerate(ways):
        with torch.no_grad():
            own = model.network(torch.stack([way.preprocess.apply(v) for v in views(films(3)[0])]))
        np.testing.assert_allclose(together[i, 0], own, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(v, before[k]) for k, v in model.network.state_dict().items())


@pytest.mark.parametrize("name", ["resnet", "efficientnet"])
def test_rightly_fed_embedded_networks_raise_no_alarm_and_inverted_ones_do(name: str) -> None:
    model = load_model(f"phantom:{name}")
    seen = whylook.audit(model, list(films()))
    assert seen.decision.kind == "declared"
    assert seen.remedy is None
    ways = len(seen.rows) + len(seen.variants) - 1
    assert seen.forwards == ways * 10 * len(NAMES)
    turned = whylook.audit(replace(model, preprocess=inverted(model.preprocess)), list(films()))
    assert turned.decision.kind == "other"
    assert "inverted" not in turned.named.convention.name.replace("not inverted", "")
    one_class = np.bincount(turned.declared.evidence.top).max() > 0.8 * len(films())
    assert ("single class" in words.caution(turned)) == one_class
    assert words.caution(seen) == ""


def test_the_convention_that_a_network_wants_is_named_with_a_remedy_that_works() -> None:
    declared = Preprocess((64, 64), resize_to=(64, 64), mean=0.5, std=0.5, channels=1)  # type: ignore[arg-type]
    wanted = replace(declared, mean=0.0, std=1.0, scale=255.0)  # type: ignore[arg-type]
    model = wanting("phantom:efficientnet", wanted, declared)
    seen = whylook.audit(model, list(films()))
    assert seen.decision.kind == "other"
    assert seen.named.convention.name == "[0, 255]"
    assert seen.remedy is not None
    assert seen.remedy.options == "--mean 0 --std 1 --scale 255"
    cured = replace(model, preprocess=seen.named.convention.preprocess)
    assert whylook.audit(cured, list(films())).decision.kind == "declared"


@pytest.mark.parametrize("declared", [Preprocess(), CAFFE, Preprocess(mean=0.3, std=0.25, channels=1)])  # type: ignore[arg-type]
def test_a_remedys_options_make_the_preprocessing(declared: Preprocess) -> None:
    for convention in colors(declared)[1:]:
        options = remedy(declared, convention.preprocess).options.split()
        given = {k[2:].replace("-", "_"): v for k, v in zip(options[::2], options[1::2], strict=True)}
        made = settle(given, {}, declared, declared.channels, "net")
        assert alike(made, convention.preprocess), convention.name
        made = eval(
            remedy(declared, convention.preprocess).python,
            {"model": load_stub(declared), "dataclasses": _dataclasses()},
        )
        assert alike(made, convention.preprocess)


def load_stub(preprocess: Preprocess) -> whylook.Model:
    return whylook.Model("stub", nn.Identity(), preprocess)


def _dataclasses() -> object:
    import dataclasses

    return dataclasses


class Hues(nn.Module):
    """Names the nearest of six colors; red and blue change places where channels do, just as surely."""

    def __init__(self) -> None:
        super().__init__()
        self.colors = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]]).float()

    def forward(self, x: Tensor) -> Tensor:
        return -((x.mean((2, 3))[:, None] - self.colors) ** 2).sum(2)


def painted() -> tuple[list[np.ndarray], list[int]]:
    rng, labels = np.random.default_rng(0), [i % 6 for i in range(30)]
    shown = Hues().colors.numpy()
    noise = rng.normal(scale=20, size=(30, 24, 24, 3))
    return [
        np.clip(60 + 140 * shown[k] + z, 0, 255).astype(np.uint8) for k, z in zip(labels, noise, strict=True)
    ], labels


def test_what_only_labels_can_tell_is_caught_with_labels_only() -> None:
    fed = Preprocess((24, 24), resize_to=(24, 24), mean=0.0, std=1.0, channel_order="bgr")  # type: ignore[arg-type]
    pictures, labels = painted()
    model = load_model(Hues(), preprocess=fed, labels=["red", "green", "blue", "yellow", "cyan", "magenta"])
    blind = whylook.audit(model, pictures)
    assert blind.decision.kind != "other" or "RGB" not in blind.decision.words
    told = whylook.audit(model, pictures, ["red" if k == 0 else k for k in labels])
    assert told.decision.kind == "other"
    assert told.named.convention.name == "RGB, [0, 1]"
    assert told.remedy is not None
    assert told.remedy.options == "--mean 0,0,0 --std 1,1,1 --channel-order rgb"
    assert (
        whylook.audit(replace(model, preprocess=replace(fed, channel_order="rgb")), pictures, labels).decision.kind
        == "declared"
    )


def test_what_is_asked_for_wrongly_is_said() -> None:
    with pytest.raises(UsageError, match="needs pictures"):
        whylook.audit("phantom:vgg", [])
    with pytest.raises(UsageError, match="seed must be"):
        whylook.audit("phantom:vgg", list(films(2)), seed=-1)
    with pytest.raises(UsageError, match="one right class for each"):
        whylook.audit("phantom:vgg", list(films(2)), [1])
    with pytest.raises(UsageError, match="Class 7 does not exist"):
        whylook.audit("phantom:vgg", list(films(2)), [1, 7])
    with pytest.raises(ImageError, match="too thin"):
        whylook.audit("phantom:vgg", [np.zeros((1, 4_000_000, 1), np.uint8)])


def test_few_pictures_are_not_assessable() -> None:
    seen = whylook.audit("phantom:vgg", list(films(3)))
    assert seen.decision.words == f"{NOT_ASSESSABLE} (3 pictures; with 9 comparisons 9 are the fewest)"
    assert seen.remedy is None
    assert seen.as_dict()["verdict"] == "not assessable"


@cache
def real_model(name: str, folder: Path) -> whylook.Model:
    arch, options = {
        "squeezenet1_1": ("torchvision:squeezenet1_1", {}),
        "mobilenetv2_100_same": ("mobilenetv2_100", {"arch_options": ["pad_type=same"]}),
    }[name]
    return load_model(arch, checkpoint=folder / "weights" / f"{name}.safetensors", name=name, **options)


@cache
def shrunk_photos(folder: Path) -> list[whylook.Image]:
    """The photos at 512 pixels, which is more than the networks see and quicker to resize."""
    found = []
    for path in sorted((folder / "photos").glob("*.jpg")):
        with Pil.open(path) as photo:
            photo.thumbnail((512, 512))
            found.append(load_image(photo))
    return found


@pytest.mark.parametrize(
    ("name", "mistaken", "right"),
    [
        ("mobilenetv2_100_same", "BGR, Caffe mean", "RGB, [−1, 1]"),
        ("squeezenet1_1", "BGR, ImageNet mean and std", "RGB, ImageNet mean and std"),
    ],
)
def test_real_networks_fed_wrongly_are_caught_and_rightly_fed_are_not(
    name: str, mistaken: str, right: str, real: Path
) -> None:
    model = real_model(name, real)
    known = {c.name: c for c in colors(model.preprocess)}
    assert next(iter(known)) == right
    ways = [known[right], known[mistaken]]
    photos = shrunk_photos(real)
    seen = [evidence(of_one) for of_one in answers(model, photos, ways)]
    made = [Candidate(w.name, e.clear, e.top, i) for i, (w, e) in enumerate(zip(ways, seen, strict=True))]
    assert decide(made, hits=False).kind == "declared"
    caught = decide(made[::-1], hits=False)
    assert caught.kind == "other"
    assert caught.words.startswith(f"{OTHER}: {right} (")
    if name.startswith("mobile"):
        assert (seen[0].top != seen[1].top).sum() >= 12


def test_what_may_be_said_of_sizes_is_by_the_rule_of_conventions() -> None:
    seen = whylook.audit("phantom:vgg", [load_image(p.pixels) for p in dataset("clean", 12)])
    assert seen.sizes is not None
    as_conventions = decide([Candidate(r.convention.name, r.values, r.evidence.top) for r in seen.variants], hits=False)
    assert seen.sizes.kind == as_conventions.kind != "other"  # the right one raises no alarm
    assert [r.versus for r in seen.variants] == list(seen.sizes.comparisons)
    # Whatever the films leave open, ways that change nothing at all are named.
    same = [Candidate(r.convention.name, np.ones(12), np.arange(12)) for r in seen.variants]
    told = words.sizes(replace(seen, sizes=decide(same, hits=False)))
    assert "not distinguishable" in told
    assert all(r.convention.name in told for r in seen.variants[1:])
    few = whylook.audit("phantom:vgg", [load_image(p.pixels) for p in dataset("clean", 2)])
    assert "not assessable" in words.sizes(few)
