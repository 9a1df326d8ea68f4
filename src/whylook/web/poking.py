"""What a hand does to a picture, and what models make of it: edits, and the answers, margins and maps before and after."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from whylook.errors import ImageError, Unsupported, UsageError
from whylook.geometry import Box, on_picture
from whylook.image import Image, load_image

if TYPE_CHECKING:
    from whylook.engine.targets import ScoreName
    from whylook.explainer import ClassName
    from whylook.explanation import Explanation, Map, Prediction
    from whylook.models.model import Model

Fill = Literal["blur", "mean", "noise"]
FILLS: tuple[Fill, ...] = get_args(Fill)
_BLURRED_AT = 256  # longest side at which the blur is computed: what it leaves has no finer detail
_MASK_PIXELS = 16_000_000
_REMEMBERED = 16  # pictures per network
_FIRST: WeakKeyDictionary[Any, OrderedDict[str, Prediction]] = WeakKeyDictionary()  # answers, by network and picture


@dataclass(frozen=True, eq=False)
class Edit:
    """A part of the picture that is filled in.

    Parameters
    ----------
    mask : bool [H, W] of the picture; True is filled.
    fill : `blur` (the picture, Gaussian-blurred by a tenth of its shorter side), `mean` (its mean color) or `noise`
        (uniform in all that a picture can be, seeded).
    """

    mask: NDArray[np.bool_]
    fill: Fill = "blur"

    def __post_init__(self) -> None:
        if self.fill not in FILLS:
            raise UsageError(f"A part of a picture cannot be filled with {self.fill!r}; there are {', '.join(FILLS)}.")


def edited(image: Image, edits: Sequence[Edit], seed: int = 0) -> Image:
    """Fill in parts of a picture, one edit after the other, each with what is made of the picture as it was.

    Parameters
    ----------
    image : the picture; of 8 bits without a window it stays at 8 bits, any other becomes float32 in [0, 1].
    edits : what is filled in; with none, or none that marks anything, the picture comes back itself.
    seed : of the noise.

    Raises
    ------
    UsageError
        If a mask has not the picture's size.
    """
    for edit in edits:
        if edit.mask.shape != image.pixels.shape[:2]:
            raise UsageError(
                f"A mask is {_size(edit.mask.shape)} pixels, the picture {_size(image.pixels.shape)}; they must be equal."
            )
    edits = [e for e in edits if e.mask.any()]
    if not edits:
        return image
    unit = image.unit()
    fillings = {fill: filling(unit, fill, seed) for fill in dict.fromkeys(e.fill for e in edits)}
    eight = image.pixels.dtype == np.uint8 and image.window is None
    pixels: NDArray[Any] = image.pixels.copy() if eight else unit
    for edit in edits:
        new = fillings[edit.fill][edit.mask]
        pixels[edit.mask] = np.rint(new * 255).astype(np.uint8) if eight else new
    share = float(np.logical_or.reduce([e.mask for e in edits]).mean())
    notes = (*image.notes, f"{100 * share:.1f} % of it filled in by hand ({', '.join(fillings)}).")
    return replace(load_image(pixels), name=image.name, notes=notes)


def filling(unit: NDArray[np.float32], fill: Fill, seed: int = 0) -> NDArray[np.float32]:
    """What a picture is filled with.

    Parameters
    ----------
    unit : float32 [h, w, c] in [0, 1].
    fill : see `Edit`.
    seed : of `noise`.

    Returns
    -------
    float32 [h, w, c] in [0, 1].
    """
    if fill == "mean":
        return np.broadcast_to(unit.mean((0, 1), dtype=np.float64).astype(np.float32), unit.shape)
    if fill == "noise":
        return np.random.default_rng(seed).random(unit.shape, np.float32)
    return _blurred(unit)


def _blurred(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    """The baseline `blur` of the picture; a large one is made smaller for it, and the blur large again."""
    import torch
    from torch.nn.functional import interpolate

    from whylook.baselines import BLUR, blurred

    height, width = unit.shape[:2]
    ratio = min(1.0, _BLURRED_AT / max(height, width))
    size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
    x = torch.from_numpy(np.ascontiguousarray(unit.transpose(2, 0, 1)))[None]
    if ratio < 1:
        x = interpolate(x, size=size, mode="area")
    x = blurred(x, BLUR * min(size))
    if ratio < 1:
        x = interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
    out: NDArray[np.float32] = x[0].permute(1, 2, 0).clamp(0, 1).numpy()
    return out


def highest(
    values: NDArray[np.float32], picture: tuple[int, int], placement: Box, visible: Box, share: float
) -> NDArray[np.bool_]:
    """Where a map is highest, in the picture.

    Parameters
    ----------
    values : float32 [h', w'], the map at its own grid.
    picture : (height, width).
    placement, visible : (top, left, bottom, right) in picture pixels, of the map's cells and of what the model was shown.
    share : in (0, 1], of what the model was shown; only what is above 0 counts, so that less may be marked.

    Returns
    -------
    bool [H, W].

    Raises
    ------
    UsageError
        If the share cannot be, or the map is nowhere above 0.
    """
    if not 0 < share <= 1:
        raise UsageError(f"share={share!r} must be above 0 and at most 1, of what the model was shown.")
    on = on_picture(values, picture, placement, visible).ravel()
    seen = int(np.isfinite(on).sum())
    order = np.argsort(-np.where(on > 0, on, 0), kind="stable")[: max(1, round(share * seen))]
    mask = np.zeros(on.size, bool)
    mask[order[on[order] > 0]] = True
    if not mask.any():
        raise UsageError(
            "This map is nowhere above 0, so it shows nothing that could be removed or kept; take another."
        )
    return mask.reshape(picture)


def read_mask(data: bytes, picture: tuple[int, int]) -> NDArray[np.bool_]:
    """Read a painted mask: whatever is opaque (or, without transparency, not black) is marked.

    Parameters
    ----------
    data : a PNG of the picture's proportions; one that is smaller is brought to the picture's size by nearest pixels.
    picture : (height, width).

    Returns
    -------
    bool [H, W].

    Raises
    ------
    ImageError
        If it is no PNG, is too large, or has other proportions than the picture.
    """
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(data), formats=("PNG",)) as opened:
            width, height = opened.size
            if width * height > _MASK_PIXELS:
                raise ImageError(f"A mask of {_size((height, width))} pixels is too large; paint it smaller.")
            channel = opened.convert("RGBA").getchannel("A") if _has_alpha(opened) else opened.convert("L")
    except ImageError:
        raise
    except Exception as error:
        raise ImageError("A mask could not be read; it must be a PNG.") from error
    if abs(width * picture[0] - height * picture[1]) > max(picture):  # as proportions, to one of its pixels
        raise ImageError(f"A mask of {_size((height, width))} pixels has not the proportions of {_size(picture)}.")
    if (height, width) != picture:
        channel = channel.resize((picture[1], picture[0]), Pillow.Resampling.NEAREST)
    return np.asarray(channel) > 127


def _has_alpha(picture: Any) -> bool:
    return picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} × {shape[0]}"


def patient(seed: int, kind: str, *, lesion: bool = True, marker: bool = True, catheter: bool = True) -> Image:
    """Draw a phantom with its parts switched on or off; what stays does not move.

    Parameters
    ----------
    seed : the patient.
    kind : of the lesion: `disc`, `ring`, `cross` or `triangle`.
    lesion, marker, catheter : whether each is there.

    Returns
    -------
    Image, uint8 [128, 128, 1].
    """
    from whylook.phantom import picture, render

    whole = picture(seed, lesion=kind, marker=marker, catheter=catheter)
    if lesion:
        return whole
    drawn = render(seed, lesion=kind, marker=marker, catheter=catheter, drop=["lesion"])
    parts = ", ".join(f"{'with' if there else 'without'} {name}" for name, there in _switches(marker, catheter))
    note = f"Drawn by whylook.phantom, seed {seed}: no lesion, {parts}. It shows no person."
    return replace(load_image(drawn.pixels), name=f"phantom-{kind}-{seed}-without.png", notes=(note,))


def _switches(marker: bool, catheter: bool) -> tuple[tuple[str, bool], ...]:
    return ("marker", marker), ("catheter", catheter)


@dataclass(frozen=True)
class Answer:
    """What a model says of one state of the picture: about the class explained, and its first answers.

    Parameters
    ----------
    margin : log-odds of the class (the logit itself where classes do not exclude each other), or its logit less that of
        the class it is asked against.
    probability : of the class; not calibrated.
    top : (index, label, probability), most probable first.
    """

    margin: float
    probability: float
    top: tuple[tuple[int, str, float], ...]


@dataclass(frozen=True, eq=False)
class Poked:
    """What came of it: per model the class explained, the answers before and after; the maps after."""

    targets: Mapping[str, int]
    before: Mapping[str, Answer]
    after: Mapping[str, Answer]
    explanation: Explanation


def poke(
    image: Image,
    changed: Image,
    models: Sequence[Model],
    methods: Sequence[str],
    *,
    targets: Mapping[str, int] | None = None,
    against: ClassName | None = None,
    score: ScoreName = "logit",
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> Poked:
    """Ask models about a picture and about a changed one, both times about the same class.

    Parameters
    ----------
    image, changed : before and after.
    models, methods : for the maps of `changed`.
    targets : by the model's name, the class that is explained; where none is given, the model's first answer to `image`.
    against, score, parameters : as for `explain`; the margin does not depend on `score`.
    seed : of the methods' random numbers.

    Raises
    ------
    UsageError
        If an argument cannot be right.
    Unsupported
        If not a single map could be made.
    """
    from whylook.explainer import answer, class_index, explain

    before: dict[str, Answer] = {}
    after: dict[str, Answer] = {}
    classes: dict[str, int] = {}
    fingerprints: dict[str, str] = {}
    predictions: dict[str, Prediction] = {}
    maps: list[Map] = []
    failures: list[tuple[str, str, str]] = []
    whole: Explanation | None = None
    for model in models:
        first = _first(model, image)
        index = (targets or {}).get(model.name)
        index = first.top(1)[0].index if index is None else index
        other = None if against is None else class_index(model, against)
        classes[model.name] = index
        before[model.name] = _answer(model, first, index, other)
        try:
            whole = explain(
                changed, model, methods, index, against=other, score=score, parameters=parameters, seed=seed
            )  # fmt: skip
        except Unsupported as error:
            failures.append((model.name, "", str(error)))
            predictions[model.name] = answer(model, changed)
        else:
            maps += whole.maps
            failures += whole.failures
            fingerprints |= whole.fingerprints
            predictions[model.name] = whole.predictions[model.name]
        after[model.name] = _answer(model, predictions[model.name], index, other)
    if whole is None:
        raise Unsupported(failures[0][2] if failures else "No model was given; name at least one.")
    explanation = replace(
        whole,
        models={m.name: m for m in models},
        predictions=predictions,
        maps=tuple(maps),
        failures=tuple(failures),
        fingerprints=fingerprints,
    )
    return Poked(classes, before, after, explanation)


def _first(model: Model, image: Image) -> Prediction:
    """What the model says of the picture as it was; asked once while a person pokes at it."""
    from whylook.explainer import answer

    known = _FIRST.setdefault(model.network, OrderedDict())
    if image.sha256 not in known:
        known[image.sha256] = answer(model, image)
        while len(known) > _REMEMBERED:
            known.popitem(last=False)
    return known[image.sha256]


def _answer(model: Model, prediction: Prediction, index: int, against: int | None) -> Answer:
    import torch

    from whylook.engine.targets import Score, resolve

    logits = torch.from_numpy(prediction.logits).double()[None]
    score = Score("margin" if against is None else "logit", against, softmax=model.head == "softmax")
    margin = float(score(logits, resolve(index, logits)))
    top = tuple((r.index, r.label, r.probability) for r in prediction.top(3))
    return Answer(margin, float(prediction.probabilities[index]), top)
