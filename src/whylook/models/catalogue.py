"""What `whylook models` lists: the embedded and the reference models, and every source."""

from __future__ import annotations

from whylook.models.sources import SOURCES


def catalogue() -> dict[str, list[dict[str, str]]]:
    """Facts for listings: `models` and `sources`, each a list of `name`, `what` (and `example`). Imports no torch."""
    from whylook.models.timm import ALIASES
    from whylook.phantom.shipped import NAMES, parts

    embedded = []
    for name in NAMES:
        family, kind = parts(name)
        learned = "learned the lesion" if kind == "clean" else "learned a marker instead of the lesion"
        embedded.append({"name": f"phantom:{name}", "what": f"embedded, no download: a small {family} that {learned}"})
    reference = [{"name": alias, "what": f"reference model, timm's {name}"} for alias, name in ALIASES.items()]
    sources = [{"name": s.name, "what": s.title, "example": s.example} for s in SOURCES]
    return {"models": reference + embedded, "sources": sources}
