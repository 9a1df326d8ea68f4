"""Goes through the pictures once: every model's answer, and where all are right, every model's maps and their scores."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, islice
from typing import TYPE_CHECKING, Any

from whylook.ahead import all_ahead
from whylook.comparison.data import DataSet, Item, LeftOut, LeftOutError, Sample
from whylook.comparison.gathered import Gathered, Seen
from whylook.comparison.measuring import answered, scored
from whylook.comparison.plan import Plan
from whylook.comparison.store import Store
from whylook.errors import ImageError, UsageError
from whylook.explainer import class_index, device_of
from whylook.report.words import plain

if TYPE_CHECKING:
    from whylook.models.model import Model

Progress = Callable[[int, int, str], None]
_HELD = 4  # pictures that are read ahead


def gather(
    data: DataSet, models: Sequence[Model], plan: Plan, store: Store, progress: Progress | None = None
) -> tuple[Gathered, tuple[LeftOut, ...]]:
    """Measure what the store does not hold yet; pictures are read one after the other, and not kept.

    Parameters
    ----------
    data : the pictures.
    models : what is compared.
    plan : what is measured.
    store : what has been measured.
    progress : called as `progress(done, total, what)`.

    Returns
    -------
    What was measured, and the pictures that were left out, by name.
    """
    names = tuple(m.name for m in models)
    prints = {m.name: fingerprint(m) for m in models}
    seen: list[Seen] = []
    left = list(data.left_out)
    known: dict[str, str] = {}
    total = len(data.items)
    done = 0
    # In batches: read side by side, and given up before the next.
    items = iter(data.items)
    while batch := list(islice(items, _HELD)):
        for item, found in zip(batch, all_ahead(_read, batch), strict=True):
            if progress:
                progress(done, total, item.name)
            done += 1
            try:
                if isinstance(found, LeftOutError):
                    raise found
                if twin := known.get(found.image.sha256):
                    raise LeftOutError("the same picture twice", f"{item.name}: it is the same picture as {twin}.")
                seen.append(_measured(item, found, models, prints, plan, store))
                known[found.image.sha256] = item.name
            except LeftOutError as why:
                left.append(LeftOut(item.name, why.kind, str(why)))
            except ImageError as why:  # one that can be read, and cannot be fed
                left.append(LeftOut(item.name, "picture cannot be fed", f"{item.name}: {why}"))
            if progress:
                progress(done, total, item.name)
    return Gathered(tuple(seen), names, plan), tuple(sorted(left, key=lambda out: out.name))


def fingerprint(model: Model) -> str:
    """Tells a model from others by all that its answers depend on: weights, network, preprocessing, head, device.

    Empty for a black box, of which nothing is known: what is measured of it is not taken up again.
    """
    made = model.fingerprint
    if not made:
        return ""
    feeding = {k: v for k, v in model.preprocess.as_dict().items() if k != "origin"}
    layers = re.sub(r" at 0x[0-9a-f]+", "", repr(model.network))  # a function's place in memory is no part of it
    about = [made, type(model.network).__qualname__, layers, str(plain(feeding)), model.head, device_of(model).type]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]


def _read(item: Item) -> Sample | LeftOutError:
    try:
        return item.sample()
    except LeftOutError as why:
        return why
    except ImageError as why:
        return LeftOutError("picture cannot be read", f"{item.name}: {why}")


def _measured(
    item: Item, sample: Sample, models: Sequence[Model], prints: dict[str, str], plan: Plan, store: Store
) -> Seen:
    targets = {m.name: _target(m, item, sample) for m in models}
    _one_class(models, targets, item, sample)
    digest = sample.digest

    def kept(kind: str, model: Model, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        own = prints[model.name]
        key = plan.key(kind, own, digest, targets[model.name])
        found = store.get(key) if own else None
        return found if found is not None else store.put(key, measure(), kind=kind, picture=item.name, model=model.name)

    answers = {m.name: kept("answer", m, lambda m=m: answered(m, sample, targets[m.name])) for m in models}  # type: ignore[misc]
    for name, said in answers.items():
        if said["right"] is None and not 0 <= targets[name] < said["classes"]:
            why = f"{item.name}: {name} has no class {sample.label!r}; it has {said['classes']}."
            raise LeftOutError("a label that a model does not know", why)
        if said["right"] is None:
            raise LeftOutError("an answer that is not finite", f"{item.name}: the answer of {name} is not finite.")
    scores = {}
    if all(said["right"] for said in answers.values()):
        scores = {m.name: kept("scores", m, lambda m=m: scored(m, sample, targets[m.name], plan)) for m in models}  # type: ignore[misc]
    return Seen(item.name, str(sample.label), item.group, targets, answers, scores)


def _target(model: Model, item: Item, sample: Sample) -> int:
    """The index of a picture's class; a class that a model knows only in part of its name is not meant."""
    try:
        return class_index(model, sample.label, part=False)
    except UsageError as error:
        raise LeftOutError("a label that a model does not know", f"{item.name}: {error}") from error


def _one_class(models: Sequence[Model], targets: Mapping[str, int], item: Item, sample: Sample) -> None:
    """See that an index means one class: models that have the same classes in another order are not told by index."""
    known = [m for m in models if m.labels is not None and 0 <= targets[m.name] < len(m.labels)]
    for one, other in combinations(known, 2):
        mine, theirs = (_names(m.label(targets[m.name])) for m in (one, other))
        if mine & theirs or not any(mine & _names(label) for label in other.labels or ()):
            continue
        what = f"{one.label(targets[one.name])} for {one.name} and {other.label(targets[other.name])} for {other.name}"
        why = f"{item.name}: class {sample.label} is {what}; give classes by name."
        raise LeftOutError("a class that models number differently", why)


def _names(label: str) -> frozenset[str]:
    """The names that a label lists."""
    return frozenset(part.strip().lower() for part in label.split(","))
