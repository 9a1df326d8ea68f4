"""Before anything leaves the machine: what exactly, and where to; a person agrees, or nothing is sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from whylook.errors import ServiceError

if TYPE_CHECKING:
    from whylook.narration.request import Request
    from whylook.narration.settings import Settings


def described(requests: Sequence[Request], settings: Settings, *, left_out: int = 0) -> list[str]:
    """Return the lines that say what leaves: address, facts, pictures, sizes.

    Parameters
    ----------
    requests : one per picture that is told about.
    settings : where they go.
    left_out : overlays that are not among the pictures because there are too many.
    """
    way = "" if settings.is_encrypted or settings.is_local else ", NOT ENCRYPTED: anybody on the way can read it"
    place = "this machine" if settings.is_local else "another machine"
    lines = [
        "This would be sent to a language service:",
        f"  to         {settings.url} ({place}{way}), model {settings.model}",
        f"  key        {'the one in OPENAI_API_KEY' if settings.key else 'none'}",
    ]
    total = 0
    for number, request in enumerate(requests, 1):
        which = f" of picture {number}" if len(requests) > 1 else ""
        lines.append(
            f"  facts{which}: {len(request.facts.encode()):,} bytes of JSON (numbers; names of models, classes, "
            "methods, regions)"
        )
        lines += [
            f"  picture    {_printable(p.caption)}: {p.size[0]} × {p.size[1]} pixels, {len(p.data):,} bytes"
            for p in request.pictures
        ]
        total += len(json.dumps(request.for_responses(schema=True)))
    if left_out:
        lines.append(f"  not        {left_out} further overlays, which are too many for one request")
    lines += [
        f"  in all     {total:,} bytes with instructions and encoding, and the questions you ask later",
        "  never      the picture's file name, path, EXIF and other metadata; networks; raw maps",
    ]
    if any(request.pictures for request in requests):
        lines.append("  mind       writing burned into a picture, such as a name, is part of its pixels and goes along")
    return lines


def _printable(text: str) -> str:
    """A caption without what could rewrite the list: labels are anybody's text."""
    return "".join(c if c.isprintable() else " " for c in text)


def agree(
    requests: Sequence[Request],
    settings: Settings,
    *,
    yes: bool,
    say: Callable[[str], None],
    left_out: int = 0,
) -> None:
    """Show what would leave, and return if the person agrees.

    Parameters
    ----------
    requests, settings, left_out : as for `described`.
    yes : agreed beforehand, by a script; what leaves is shown all the same.
    say : shows a line.

    Raises
    ------
    ServiceError
        If the person does not agree, or there is nobody to ask; nothing was sent.
    """
    for line in described(requests, settings, left_out=left_out):
        say(line)
    if yes:
        return
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise ServiceError(
            f"Nothing was sent to {settings.url}: there is no terminal on which to agree; agree beforehand with --yes."
        )
    while True:
        say("Send it? y: yes; n: no; f: show the facts first [n]")
        reply = sys.stdin.readline().strip().lower()
        if reply in ("f", "facts"):
            for request in requests:
                say(request.facts)
        elif reply in ("y", "yes"):
            return
        else:
            raise ServiceError(f"Nothing was sent to {settings.url}, as you chose.")
