"""The text in a service's reply, whole or in pieces, and what it says instead of one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from whylook.errors import ServiceError
from whylook.narration.settings import Settings


def of_responses(reply: Any, settings: Settings) -> str:
    """Return the text of a reply of /responses.

    Raises
    ------
    ServiceError
        If it was declined, cut off or failed, or is no such reply.
    """
    output = _get(reply, "output")
    if _get(reply, "status") == "failed":
        raise failed(_get(_get(reply, "error"), "message"), settings)
    if not isinstance(output, list):
        raise no_reply(reply, settings)
    parts = [p for item in output if _get(item, "type") == "message" for p in _list(_get(item, "content"))]
    if any(_get(p, "type") == "refusal" for p in parts):
        raise declined(settings)
    if _get(reply, "status") == "incomplete":
        raise ended(_get(_get(reply, "incomplete_details"), "reason"), settings)
    return "".join(str(_get(p, "text") or "") for p in parts if _get(p, "type") == "output_text")


def of_chat(reply: Any, settings: Settings) -> str:
    """Return the text of a reply of /chat/completions; raises like `of_responses`."""
    choices = _get(reply, "choices")
    if not isinstance(choices, list) or not choices:
        raise no_reply(reply, settings)
    message = _get(choices[0], "message")
    if _get(message, "refusal"):
        raise declined(settings)
    _check_end(_get(choices[0], "finish_reason"), settings)
    content = _get(message, "content")
    if isinstance(content, list):  # some servers give a message in parts
        content = "".join(str(_get(p, "text") or "") for p in content)
    return str(content or "")


def of_text(body: str, settings: Settings) -> str:
    """Return the text of a reply of either kind that came as a body, although a stream was asked for."""
    try:
        reply = json.loads(body)
    except ValueError:
        raise no_reply(body, settings) from None
    return (of_chat if isinstance(_get(reply, "choices"), list) else of_responses)(reply, settings)


def pieces_of_responses(events: Iterable[Any], settings: Settings) -> Iterator[str]:
    """Yield the pieces of text in a stream of /responses; raises like `of_responses`."""
    for event in events:
        kind = _get(event, "type")
        if kind == "response.output_text.delta":
            yield str(_get(event, "delta") or "")
        elif kind in ("response.refusal.delta", "response.refusal.done"):
            raise declined(settings)
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            of_responses(_get(event, "response"), settings)
            return
        elif kind == "error":
            raise failed(_get(event, "message"), settings)
    raise broken(settings)


def pieces_of_chat(chunks: Iterable[Any], settings: Settings) -> Iterator[str]:
    """Yield the pieces of text in a stream of /chat/completions; raises like `of_responses`."""
    reason = None
    for chunk in chunks:
        for choice in _list(_get(chunk, "choices"))[:1]:
            delta = _get(choice, "delta")
            if _get(delta, "refusal"):
                raise declined(settings)
            yield str(_get(delta, "content") or "")
            reason = _get(choice, "finish_reason") or reason
    if reason is None:
        raise broken(settings)
    _check_end(reason, settings)


def _check_end(reason: Any, settings: Settings) -> None:
    if reason in ("length", "content_filter"):
        raise ended(reason, settings)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def declined(settings: Settings) -> ServiceError:
    """The model will not answer."""
    return ServiceError(f"{settings.model} declined to answer; try again, or another model with --llm-model.")


def ended(reason: Any, settings: Settings) -> ServiceError:
    """The answer ends before it is finished."""
    if reason == "content_filter":
        return ServiceError(f"The service's content filter stopped the answer of {settings.model}; try another model.")
    return ServiceError(
        f"The answer of {settings.model} was cut off at the service's limit of length; "
        "explain fewer models or methods at once, or try another model with --llm-model."
    )


def broken(settings: Settings) -> ServiceError:
    """The connection was lost in the middle."""
    return ServiceError(f"The connection to {settings.url} was closed in the middle of the answer; try again.")


def failed(message: Any, settings: Settings) -> ServiceError:
    """The service says that it failed."""
    said = settings.scrubbed(str(message or "without a reason"))
    return ServiceError(f"The language service failed: {said.rstrip('.')}. Try again later.")


def no_reply(reply: Any, settings: Settings) -> ServiceError:
    """What came back is not of the interface."""
    text = reply if isinstance(reply, str) else ""
    what = "a web page" if "<" in text[:500] else "something"
    return ServiceError(
        f"{settings.url} answered with {what} that is no reply of a language service: a proxy or a sign-in page may be "
        "in between, or the address is wrong (it usually ends in /v1)."
    )
