"""`whylook narrate`: what the maps of a photo, or of a saved result, show, in checked sentences."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Sequence
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whylook.cli.explain import explain
from whylook.cli.llm import NO_SERVICE, Service, Shown, speak
from whylook.cli.terminal import document, out, say
from whylook.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from whylook.narration.narrative import Narrative

_WIDTH = 100


def narrate(photos: list[str], /, **options: Any) -> int:
    """See `_about`, which gives this the options and the help of `explain`."""
    if not any((Path(p) / "result.json").is_file() for p in photos):
        if folders := [p for p in photos if Path(p).is_dir()]:
            raise UsageError(f"{folders[0]} holds no result.json: it is no result of whylook explain.")
        return explain(photos, narrate=True, **options)
    if len(photos) > 1:
        raise UsageError("whylook narrate takes photos, or one folder with a result.json, not several of both.")
    if wrong := [name for name in options if name not in ("mask", "output", "json", "service")]:
        raise UsageError(
            f"--{wrong[0].replace('_', '-')} is for photos; {photos[0]} holds a result, whose maps are made. It takes "
            "--mask, --output, --json and the options of the language service."
        )
    return _saved(Path(photos[0]), **options)


def _about() -> None:
    """Take the options and the help of explain, less the flag that is set here."""
    update_wrapper(narrate, explain, assigned=("__annotations__",), updated=())
    whole = inspect.signature(explain)
    kept = [p for p in whole.parameters.values() if p.name != "narrate"]
    narrate.__signature__ = whole.replace(parameters=kept)  # type: ignore[attr-defined]
    lines = inspect.getdoc(explain) or ""
    rest = lines.partition("\n")[2]
    rest = rest.replace(
        "    Pictures: JPEG, PNG, WebP, TIFF, BMP or GIF.",
        "    Pictures, or a folder that whylook explain wrote (then only --mask, --output, --json and the service).",
    )
    start = rest.index("narrate : bool")
    rest = rest[:start] + rest[rest.index("mask : list") :].replace("For --narrate: a", "A")
    narrate.__doc__ = f"Say in checked sentences what the maps of a photo, or of a saved result, show.\n{rest}"


_about()


def _saved(
    folder: Path,
    *,
    mask: Sequence[str] | None = None,
    output: Path | None = None,
    json: bool = False,
    service: Service = NO_SERVICE,
) -> int:
    from whylook.facts.evidence import of_folder
    from whylook.narration import narrate as tell
    from whylook.narration import recorded
    from whylook.narration.narrative import document as content
    from whylook.report.bundle import check_folder, retell

    place = output or folder
    check_folder(place)
    kept = of_folder(folder)
    service.check(len(kept), mask)
    regions = masks(mask, [e.picture for e in kept], narrate=True)
    narratives = [tell(e, regions) for e in kept]
    place.mkdir(parents=True, exist_ok=True)
    left = retell(narratives, folder, place)
    error = None
    if service.wanted:
        shown = [
            Shown(n.facts, recorded.picture(folder, i), recorded.maps(e))
            for i, (e, n) in enumerate(zip(kept, narratives, strict=True))
        ]
        spoken = speak(shown, narratives, service, place, tell=say if json else out)
        narratives, error = spoken.narratives, spoken.error
        left = retell(narratives, folder, place)
    if left:
        say(f"No report with these sentences was written: {left}.")
    if json:
        document(content(narratives))
        return error.exit_code if error else 0
    for narrative in narratives:
        prose(narrative)
    out(f"Written to {place}: {'' if left else 'report.html, '}narrative.json, narrative.md, facts.json")
    return error.exit_code if error else 0


def masks(given: Sequence[str] | None, photos: Sequence[str], *, narrate: bool) -> dict[str, NDArray[np.bool_]] | None:
    """Read the regions of `--mask`, by name."""
    if not given:
        return None
    if not narrate:
        raise UsageError("--mask is for the sentences: give --narrate with it.")
    if len(photos) > 1:
        raise UsageError("--mask marks regions of one picture; give one photo with it.")
    from whylook.masks import read_mask

    regions = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not equals:
            name, file = Path(text).stem, text
        if name in regions:
            raise UsageError(f"--mask gives {name} twice; give each region a name: NAME=FILE.")
        regions[name] = read_mask(file)
    return regions


def prose(narrative: Narrative) -> None:
    """Print a narrative, folded to lines that can be read."""
    out("")
    for line in narrative.text().splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        out(textwrap.fill(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))
    out("")
