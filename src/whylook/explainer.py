"""`explain`: pictures, models and methods in; explanations out. The grouping into passes lives here."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, cast, overload

import numpy as np
import torch
from torch import Tensor

from whylook import baselines
from whylook.ahead import ahead, all_ahead
from whylook.engine.request import Layers, Precision, Raw, Request, check_precision, takes_only_scores
from whylook.engine.run import run
from whylook.engine.targets import Score, ScoreName, SelfContrastError, resolve
from whylook.engine.trace import Trace
from whylook.errors import Unsupported, UsageError
from whylook.explanation import Explanation, Map, Prediction, Target
from whylook.image import Image, load_image
from whylook.methods import METHODS, Method
from whylook.models import load_model
from whylook.models.model import Model
from whylook.parameters import check_seed

REFERENCE_MODELS = ("resnet50", "vgg16", "efficientnet_b0", "mobilenet")
DEFAULT_METHODS = ("gradient", "input-x-gradient", "grad-cam")
Progress = Callable[[int, int, str], None]
ClassName = int | str


@overload
def explain(
    images: list[Any] | tuple[Any, ...],
    models: Any = ...,
    methods: str | Sequence[str] = ...,
    targets: ClassName | Sequence[ClassName] | None = ...,
    *,
    score: ScoreName = ...,
    against: ClassName | None = ...,
    layer: Layers = ...,
    parameters: Mapping[str, Mapping[str, Any]] | None = ...,
    seed: int = ...,
    device: str | None = ...,
    precision: Precision = ...,
    progress: Progress | None = ...,
) -> list[Explanation]: ...
@overload
def explain(
    images: Any,
    models: Any = ...,
    methods: str | Sequence[str] = ...,
    targets: ClassName | Sequence[ClassName] | None = ...,
    *,
    score: ScoreName = ...,
    against: ClassName | None = ...,
    layer: Layers = ...,
    parameters: Mapping[str, Mapping[str, Any]] | None = ...,
    seed: int = ...,
    device: str | None = ...,
    precision: Precision = ...,
    progress: Progress | None = ...,
) -> Explanation: ...
def explain(
    images: Any,
    models: Any = REFERENCE_MODELS,
    methods: str | Sequence[str] = DEFAULT_METHODS,
    targets: ClassName | Sequence[ClassName] | None = None,
    *,
    score: ScoreName = "logit",
    against: ClassName | None = None,
    layer: Layers = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    device: str | None = None,
    precision: Precision = None,
    progress: Progress | None = None,
) -> Explanation | list[Explanation]:
    """Show where models look in pictures.

    Parameters
    ----------
    images : a picture (`Image`, or what `load_image` takes), or a list of them.
    models : a model (`Model`, or what `load_model` takes by name), or several; by default the four reference models.
    methods : one or several names from `whylook methods`.
    targets : the class explained: an index or a label, or several; None: each model's own top class; "shared": for all
        models the class whose mean probability over the models is highest.
    score : `logit`, `probability` or `margin`.
    against : a second class, for "why A rather than B?".
    layer : for CAMs, a dotted name or a module; None finds the last spatial layer of each model. Of a list of them the
        maps are scaled to a largest absolute value of 1, brought to the finest grid and averaged.
    parameters : by method name, its own parameters, as `{"smoothgrad": {"samples": 50}}`.
    seed : of the methods' random numbers.
    device : `auto`, `cpu`, `cuda`, `mps`, …: where the models are run; those given are moved there, and stay. None:
        where they are (models loaded by name are on the CPU).
    precision : `bfloat16` runs those of the methods that need only scores in it; their maps say so.
    progress : called as `progress(done, total, what)`.

    Returns
    -------
    Explanation, or a list of them, in order, for a list of pictures.

    Raises
    ------
    ImageError, ModelError, UsageError
        For a picture or model that cannot be read, or an argument that cannot be right.
    Unsupported
        If not a single map could be made; where some can, the others are in `Explanation.failures`.
    """
    several = isinstance(images, list | tuple)
    pictures = all_ahead(load_image, images) if several else [load_image(images)]
    single = isinstance(models, str | Model) or callable(models)
    loaded = load_models([models] if single else list(models), device)
    requests = make_requests(methods, layer, parameters, precision)
    job = Job(loaded, requests, targets, score, against, seed)
    total = len(pictures) * job.units
    done = 0
    results = []
    inputs = ahead(job.prepare, pictures, workers=1) if several else [job.prepare(p) for p in pictures]
    for picture, prepared in zip(pictures, inputs, strict=True):

        def advance(units: int, what: str) -> None:
            nonlocal done
            done += units
            if progress:
                progress(done, total, what)

        results.append(job.explain(picture, advance, prepared))
    return results if several else results[0]


def load_models(models: Sequence[Any], device: str | None = None) -> list[Model]:
    """Load each of `models`; two of the same name raise `UsageError`, for their results could not be told apart."""
    loaded = [m if isinstance(m, Model) and device is None else load_model(m, device=device) for m in models]
    if not loaded:
        raise UsageError("No model was given; name at least one, for example 'phantom:resnet'.")
    names = [m.name for m in loaded]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise UsageError(f"Two models are called {twice[0]!r}; give one of them another name (name=…).")
    return loaded


def make_requests(
    methods: str | Sequence[str],
    layer: Layers = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    precision: Precision = None,
) -> list[Request]:
    """Turn method names into requests; the layer goes to the methods that read one."""
    names = [methods] if isinstance(methods, str) else list(dict.fromkeys(methods))
    if not names:
        raise UsageError(f"No method was given; there are {', '.join(METHODS.names())}.")
    given = dict(parameters or {})
    if stray := [n for n in given if n not in names]:
        raise UsageError(f"Parameters are given for {stray[0]!r}, which is not among the methods asked for.")
    chosen = [METHODS[n] for n in names]
    if layer is not None and not any(m.needs.layer for m in chosen):
        raise UsageError(f"layer={layer!r} is given, but none of {', '.join(names)} reads a layer.")
    able = [precision is not None and takes_only_scores(m) for m in chosen]
    if precision is not None and not any(able):
        check_precision(chosen[0], precision)
    return [
        Request(m, given.get(m.name, {}), layer if m.needs.layer else None, precision if coarse else None)
        for m, coarse in zip(chosen, able, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class Job:
    """What is to be done with every picture; the fields are `explain`'s arguments, loaded."""

    models: Sequence[Model]
    requests: Sequence[Request]
    targets: ClassName | Sequence[ClassName] | None
    score: ScoreName
    against: ClassName | None
    seed: int

    def __post_init__(self) -> None:
        check_seed(self.seed)
        Score(self.score, None if self.against is None else 0)  # an unknown name, or a pair that cannot be, is said now

    @property
    def units(self) -> int:
        """Units of progress per picture."""
        return len(self.models) * (1 + sum(r.evaluations for r in self.requests))

    def prepare(self, image: Image) -> list[Tensor]:
        """The input of every model, in order."""
        return [prepare(model, image) for model in self.models]

    def explain(
        self, image: Image, advance: Callable[[int, str], None], inputs: Sequence[Tensor] | None = None
    ) -> Explanation:
        """Explain one picture, whose `inputs` may have been prepared before; see `explain`."""
        predictions: dict[str, Prediction] = {}
        maps: list[Map] = []
        failures: list[tuple[str, str, str]] = []
        shared = self._shared(image) if isinstance(self.targets, str) and self.targets == "shared" else None
        for model, x in zip(self.models, inputs or self.prepare(image), strict=True):
            classes = shared if shared is not None else self._classes(model)
            against = None if self.against is None else class_index(model, self.against)
            score = Score(self.score, against, softmax=model.head == "softmax")
            ready = [prepared(r, model, x, self.seed) for r in self.requests]
            start = perf_counter()
            try:
                seen, results = run(
                    model.network,
                    (x,),
                    ready,
                    lambda logits, _, classes=classes: _choose(logits, classes),  # type: ignore[misc]
                    score,
                    seed=self.seed,
                    progress=lambda rows, name=model.name: advance(rows, name),  # type: ignore[misc]
                )
            except SelfContrastError as error:
                if self.targets is not None:
                    raise
                predictions[model.name] = answer(model, image)  # its own top class is the one to contrast with
                failures.append((model.name, "", str(error)))
                continue
            together = perf_counter() - start - sum(r.seconds for r in results if isinstance(r, Raw))
            predictions[model.name] = predict(model, seen.logits)
            served = sum(isinstance(r, Raw) and not r.seconds for r in results) * seen.targets.shape[1]
            for request, raw in zip(self.requests, results, strict=True):
                if isinstance(raw, Unsupported):
                    failures.append((model.name, request.method.name, str(raw)))
                    continue
                for k, index in enumerate(seen.targets[0].tolist()):
                    seconds = raw.seconds / seen.targets.shape[1] or together / max(1, served)
                    maps.append(self._map(image, model, request, raw, seen, k, index, score, seconds))
            advance(1, model.name)
        if not maps:
            raise Unsupported(failures[0][2])
        return Explanation(
            image=image,
            models={m.name: m for m in self.models},
            predictions=predictions,
            maps=tuple(maps),
            failures=tuple(failures),
            provenance=provenance(self.models, self.seed),
            fingerprints={m.name: m.fingerprint for m in self.models},
        )

    def _map(
        self, image: Image, model: Model, request: Request, raw: Raw, seen: Trace, k: int, index: int, score: Score,
        seconds: float,
    ) -> Map:  # fmt: skip
        method = request.method
        values = raw.values[0] if isinstance(raw.values, tuple) else raw.values
        array = one_map(values[0, k], method)
        facts = {name: float(numbers[0, k]) for name, numbers in raw.facts.items()}
        if method.floating:
            facts["level"] = float(array.mean(dtype=np.float64))
            array = array - np.float32(facts["level"])
        against = score.against
        return Map(
            values=array,
            method=method.name,
            model=model.name,
            target=Target(
                index, model.label(index), score.name, against, None if against is None else model.label(against)
            ),
            signed=method.signed,
            parameters={**request.parameters, **({"precision": request.precision} if request.precision else {})},
            geometry=replace(model.preprocess.geometry(image), extent=raw.extent),
            layer=", ".join(layer.name for layer in raw.layers) or None,
            seed=self.seed if method.seeded or baselines.draws(request.parameters.get("baseline")) else None,
            seconds=seconds,
            passes={"forward": raw.forwards, "backward": raw.backwards},
            reason=why_empty(array, method, seen, raw, k),
            facts=facts,
            warning=raw.warnings[0][k] if raw.warnings and raw.warnings[0] else None,
        )

    def _classes(self, model: Model) -> list[int] | None:
        if self.targets is None:
            return None
        several = not isinstance(self.targets, str) and isinstance(self.targets, Iterable)
        wanted = list(cast("Iterable[ClassName]", self.targets)) if several else [cast("ClassName", self.targets)]
        if not wanted:
            raise UsageError("No target was given; leave targets out to explain each model's own top class.")
        return [class_index(model, t) for t in wanted]

    def _shared(self, image: Image) -> list[int]:
        """The class with the highest mean probability over all models."""
        answers = [answer(model, image).probabilities.astype(np.float64) for model in self.models]
        if len({len(a) for a in answers}) > 1 or len({m.labels for m in self.models if m.labels is not None}) > 1:
            raise UsageError(
                "The models do not have the same classes, so none can be shared; "
                "leave targets out to explain each model's own top class."
            )
        return [int(np.mean(answers, axis=0).argmax())]


def _choose(logits: Tensor, classes: list[int] | None) -> Tensor:
    return resolve(None if classes is None else [classes] * logits.shape[0], logits)


def prepare(model: Model, image: Image) -> Tensor:
    """The input [1, c, h, w] of `model`, on its device and in its dtype."""
    first = next((p for p in model.network.parameters() if p.is_floating_point()), None)
    x = model.preprocess.apply(image)[None]
    return x if first is None else x.to(first.device, first.dtype)


def prepared(request: Request, model: Model, x: Tensor, seed: int) -> Request:
    """The request with names and pictures among its parameters brought to the space of the input `x` [1, c, h, w].

    Where the smallest and largest possible input is not given, it is black and white.
    """
    own = dict(request.parameters)
    for name, otherwise in (("baseline", None), ("low", "black"), ("high", "white")):
        if name in own:
            given = otherwise if own[name] is None else own[name]
            own[name] = baselines.prepared(given, model.preprocess, x, seed)
    unchanged = all(own[name] is value for name, value in request.parameters.items())
    return request if unchanged else replace(request, parameters=own)


def answer(model: Model, image: Image) -> Prediction:
    """What a model says of a picture, without any map."""
    seen, _ = run(model.network, (prepare(model, image),), [], lambda logits, _: _choose(logits, None), Score())
    return predict(model, seen.logits)


def predict(model: Model, logits: Tensor) -> Prediction:
    """Prediction from logits [1, classes]."""
    probabilities = model.probabilities(logits)[0].float().cpu().numpy()
    labels = tuple(model.label(i) for i in range(logits.shape[1]))
    return Prediction(logits[0].float().cpu().numpy(), probabilities, labels)


def class_index(model: Model, name: ClassName, *, part: bool = True) -> int:
    """Index of a class given as an index or a label (any case; one of the names that a label lists).

    A text of digits is the class of that name, where one has it (grades, digits); else it is an index.

    Parameters
    ----------
    model : whose class it is.
    name : index or label.
    part : whether a part of a label will do, if only one has it.

    Raises
    ------
    UsageError
        If no class, or more than one, is meant.
    """
    if isinstance(name, int | np.integer) and not isinstance(name, bool):
        return int(name)
    text = str(name).strip().lower()
    if re.fullmatch(r"-?[0-9]+", text) and text not in (label.strip().lower() for label in model.labels or ()):
        return int(text)
    if model.labels is None:
        raise UsageError(f"{model.name} has no labels, so the target {name!r} must be given as a class index.")
    labels = [label.strip().lower() for label in model.labels]
    hits = [i for i, label in enumerate(labels) if label == text]
    hits = hits or [i for i, label in enumerate(labels) if text in [part.strip() for part in label.split(",")]]
    hits = hits or [i for i, label in enumerate(labels) if part and text in label]
    if len(hits) == 1:
        return hits[0]
    if hits:
        some = ", ".join(f"{model.labels[i]} ({i})" for i in hits[:6])
        raise UsageError(f"The target {name!r} fits {len(hits)} classes of {model.name}: {some}; give the index.")
    from difflib import get_close_matches

    near = [model.labels[labels.index(n)] for n in get_close_matches(text, labels, n=3)]
    hint = f"did you mean {' or '.join(near)}?" if near else "give its index."
    raise UsageError(f"{model.name} has no class {name!r}; {hint}")


def one_map(values: Tensor, method: Method) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Float32 [h', w'] from one map [h', w'], or from input-space values [c, h, w] as the method says."""
    if values.ndim == 3 and method.channels is not None:
        values = values.sum(0) if method.channels == "sum" else values.abs().amax(0)
    if values.ndim != 2:
        raise Unsupported(f"{method.name} gives a map of shape {tuple(values.shape)}; pictures need two axes.")
    return values.float().cpu().numpy()


def why_empty(
    array: np.ndarray[Any, np.dtype[np.float32]], method: Method, seen: Trace, raw: Raw, k: int
) -> str | None:
    """Why a map shows nothing, in a sentence, or None where it shows something."""
    if not np.isfinite(array).all():
        return "The map is not finite: the network's activations or gradients overflow for this picture."
    if array.any():
        return None
    if method.needs.attention:
        return "The map is zero: no attention speaks for the target here, or the score does not depend on the picture."
    names = [layer.name for layer in raw.layers]
    gradients = [seen.gradients[name][k] for name in names if name in seen.gradients]
    if not names:
        gradients = [g[k] for g in seen.input_gradients[:1]]
    if gradients and not any(bool(g.any()) for g in gradients):
        return (
            "The map is zero: the score's gradient is zero everywhere, because the score is saturated "
            "or does not depend on what was read."
        )
    if names and not any(bool(seen.activations[name].any()) for name in names):
        return f"The map is zero: nothing is active in layer {', '.join(names)} for this picture."
    if names:
        return "The map is zero: everything in the layer speaks against the target, and the method shows only what is for it."
    if raw.warnings and raw.warnings[0] and raw.warnings[0][k]:
        return f"The map is zero. {raw.warnings[0][k]}"
    return (
        "The map is zero: what the method changes in this picture makes no difference to what it measures "
        "(the picture may be its own baseline)."
    )


def device_of(model: Model) -> torch.device:
    """Where the model's weights are."""
    first = next(iter(model.network.parameters()), None)
    return torch.device("cpu") if first is None else first.device


def provenance(models: Sequence[Model], seed: int) -> dict[str, Any]:
    """What the bits of a map depend on beside the versions, for the record."""
    return {
        "seed": seed,
        "devices": sorted({str(device_of(m)) for m in models}),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
    }
