"""Measure how often an audit is right, and write the table into docs/audit.md.

    python docs/make_audit.py REAL [--photos FOLDER]…

REAL holds `weights/` and `photos/` of the real networks; without it only the embedded networks are measured.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from whylook import Model, Preprocess, load_image, load_model
from whylook.auditing.answers import answers
from whylook.auditing.conventions import colors, distance
from whylook.auditing.decision import Candidate, Decision, decide
from whylook.auditing.evidence import evidence
from whylook.phantom import dataset
from whylook.phantom.page import write_between
from whylook.phantom.shipped import NAMES
from whylook.statistics import wilson

PAGE = Path(__file__).with_name("audit.md")
DRAWS, FEW, SET = 60, 10, 12  # subsets of photos, and pictures in each; phantoms in a set
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "squeezenet1_1": ("torchvision:squeezenet1_1", {}),
    "mobilenetv2_100_same": ("mobilenetv2_100", {"arch_options": ["pad_type=same"]}),
}
WIDTHS = {"mobilenetv1_075_same": (0.75, 192), "mobilenetv1_050_same": (0.5, 160)}


def real_networks(folder: Path) -> Iterator[Model]:
    """The four real networks, rightly fed."""
    for name, (arch, options) in NETWORKS.items():
        yield load_model(arch, checkpoint=folder / "weights" / f"{name}.safetensors", name=name, **options)
    from safetensors.torch import load_file
    from timm.models.efficientnet import _gen_mobilenet_v1

    for name, (width, size) in WIDTHS.items():
        network = _gen_mobilenet_v1("mobilenetv1_100", width, pad_type="same")
        network.load_state_dict(load_file(folder / "weights" / f"{name}.safetensors"))
        fed = Preprocess(input_size=size, resize_to=math.floor(size / 0.875), mean=0.5, std=0.5)  # type: ignore[arg-type]
        yield load_model(network.eval(), preprocess=fed, name=name)


class Measured:
    """Answers of one network to pictures, for any of its conventions declared and any subset of the pictures."""

    def __init__(self, model: Model, pictures: Sequence[Any]) -> None:
        self.name, self.conventions = model.name, colors(model.preprocess)
        self.logits = answers(model, pictures, self.conventions)

    def decide(self, declared: int, subset: Any, *, known: bool = True) -> tuple[Decision, str]:
        """The decision and the named convention, had `declared` been declared, and not the right one, number 0.

        `known`: whether the right one is among the common ones, so that an audit would try it.
        """
        order = [declared, *(i for i in range(len(self.conventions)) if i != declared and (known or i))]
        candidates = []
        for i in order:
            c, seen = self.conventions[i], evidence(self.logits[i][subset])
            candidates.append(
                Candidate(c.name, seen.clear, seen.top, distance(c.preprocess, self.conventions[declared].preprocess))
            )
        decision = decide(candidates, hits=False)
        return decision, candidates[decision.named].name

    def changed(self, declared: int) -> float:
        """Share of the pictures whose first class is another than under the right convention."""
        tops = self.logits[:, :, 0].argmax(-1)
        return float((tops[declared] != tops[0]).mean())


def told(kinds: Sequence[str], names: Sequence[str], right: str) -> str:
    """How often another convention was called better supported, and the right one by name."""
    count, n = Counter(kinds), len(kinds)
    caught = count["other"]
    named = sum(k == "other" and name == right for k, name in zip(kinds, names, strict=True))
    return f"{caught / n:.0%} ({named / n:.0%} the right one by name); not assessable {count['not assessable'] / n:.0%}"


def real(folder: Path, photos: Sequence[Path]) -> str:
    """Table of the real networks, each declared to be fed in every way."""
    pictures = [load_image(p) for p in photos]
    rng, lines = np.random.default_rng(0), []
    draws = [np.sort(rng.choice(len(pictures), FEW, replace=False)) for _ in range(DRAWS)]
    for model in real_networks(folder):
        seen = Measured(model, pictures)
        right = seen.conventions[0].name
        for i, convention in enumerate(seen.conventions):
            whole, name = seen.decide(i, np.arange(len(pictures)))
            made = [seen.decide(i, d) for d in draws]
            verdict = {"declared": "best supported", "other": f"better: {name}"}.get(whole.kind, whole.kind)
            mark = " (right)" if i == 0 else ""
            lines.append(
                f"| {seen.name} | {convention.name}{mark} | {seen.changed(i):.0%} | {verdict} "
                f"| {told([d.kind for d, _ in made], [n for _, n in made], right)} |\n"
            )
        sys.stderr.write(f"{model.name}\n")
    columns = (
        "network",
        "declared",
        "other first class",
        f"all {len(pictures)} photos",
        f"{DRAWS} draws of {FEW}: caught",
    )
    head = f"| {' | '.join(columns)} |\n"
    return head + "| --- | --- | --- | --- | --- |\n" + "".join(lines)


def phantoms(sets: int = 10, single: int = 30) -> str:
    """Table of the embedded networks, on disjoint sets of pictures."""
    drawn = list(dataset("clean", sets * SET))
    pictures = [load_image(p.pixels) for p in drawn]
    labels = np.array([p.label for p in drawn])
    parts = np.arange(len(pictures)).reshape(sets, SET)
    lines, alarms, total, alone, of = [], 0, 0, 0, 0
    for name in NAMES:
        seen = Measured(load_model(f"phantom:{name}"), pictures)
        kinds = [seen.decide(0, p)[0].kind for p in parts]
        alarms, total = alarms + kinds.count("other"), total + len(kinds)
        for label in range(4):
            subset = np.flatnonzero(labels == label)[:single]
            alone, of = alone + (seen.decide(0, subset)[0].kind == "other"), of + 1
        ways = range(1, len(seen.conventions))
        wrong = [seen.decide(i, p, known=False)[0].kind for i in ways for p in parts]
        counted = Counter(kinds)
        lines.append(
            f"| phantom:{name} | {counted['other']} / {counted['not assessable']} of {sets} "
            f"| {sum(k == 'other' for k in wrong) / len(wrong):.0%}; "
            f"not assessable {sum(k == 'not assessable' for k in wrong) / len(wrong):.0%} |\n"
        )
        sys.stderr.write(f"{name}\n")
    rate = wilson(alarms, total)
    columns = ("network", "rightly fed: false alarms / not assessable", "wrongly fed (all ways): caught")
    head = f"| {' | '.join(columns)} |\n"
    return (
        head
        + "| --- | --- | --- |\n"
        + "".join(lines)
        + f"\nFalse alarms on disjoint sets of {SET}: {alarms} of {total}, "
        f"95 % interval {rate.low:.1%} to {rate.high:.1%} (Wilson; the networks are the same in all sets). "
        f"Pictures of one class only (up to {single}): {alone} false alarms in {of}.\n"
    )


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("real", nargs="?", type=Path)
    parser.add_argument("--photos", type=Path, action="append", default=[])
    given = parser.parse_args()
    text = phantoms()
    if given.real is not None:
        own = sorted((given.real / "photos").glob("*.jpg"))
        text = f"{real(given.real, own)}\n{text}"
        for folder in given.photos:
            more = sorted(p for p in folder.iterdir() if p.suffix in (".jpg", ".png"))
            text += f"\nWith {len(more)} further photos, chosen by nobody for their answers:\n\n"
            text += real(given.real, [*own, *more])
    write_between(text, PAGE)


if __name__ == "__main__":
    main()
