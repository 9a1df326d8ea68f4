"""Talking to a language service through OpenAI's SDK: Responses first, Chat Completions where that is not there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

from whylook.errors import ServiceError
from whylook.narration import replies
from whylook.narration.answer import Answer, Arriving, Unreadable, read
from whylook.narration.claims import Claim
from whylook.narration.complaints import out_of_credit, told, too_late
from whylook.narration.waiting import Clock, TimeIsUp, asked_to_wait

if TYPE_CHECKING:
    from whylook.narration.request import Request
    from whylook.narration.settings import Settings

RETRIES = 1  # after a lost connection, 408, 429 or 5xx
PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds before that; a service that asks for more is not waited for
# What a server may not know, and can do without; `store` only where it is not OpenAI, who would keep what is sent.
_OPTIONAL = {"text": "schema", "response_format": "schema", "json_schema": "schema", "store": "store"}

Endpoint = Literal["responses", "chat"]


class Client:
    """One language service; remembers which endpoint it has and what it does not know.

    Parameters
    ----------
    settings : where, which model, how long.

    Raises
    ------
    ServiceError
        If the SDK is not installed; the other methods: if no answer can be had, with the reason and the remedy.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            import openai
        except ImportError:
            raise ServiceError(
                "The language service needs OpenAI's SDK, which is not installed: pip install 'whylook[llm]'."
            ) from None
        self.settings = settings
        self.endpoint: Endpoint = "responses"
        self._without: set[str] = set()
        self._clock = Clock(settings.timeout)
        self._sdk = openai
        self._client = openai.OpenAI(
            base_url=settings.url,
            api_key=settings.key or "none",  # a server of one's own needs none; the SDK wants a text
            organization="",
            project="",
            timeout=settings.timeout,
            max_retries=0,  # it would sleep for up to a minute between two tries
            # What was agreed to go to one address must not be passed on to another.
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def answer(self, request: Request) -> Answer:
        """Return the claims of one answer, asked for once more with the schema in words where the first has none."""
        self._clock = Clock(self.settings.timeout)
        try:
            return read(self._whole(request))
        except Unreadable:
            return self._once_more(request)

    def stream(self, request: Request, show: Callable[[Claim], None]) -> Answer:
        """Like `answer`, but call `show` with each claim as soon as it is complete."""
        self._clock = Clock(self.settings.timeout)
        arriving, shown = Arriving(), list[Claim]()
        for piece in self._pieces(request):
            for claim in arriving.feed(piece):
                show(claim)
                shown.append(claim)
        try:
            found = read(arriving.text)
        except Unreadable:
            if shown:
                raise ServiceError(
                    f"The answer of {self.settings.model} broke off; the claims above are all that came of it."
                ) from None
            found = self._once_more(request)
        for claim in found.claims:  # of an answer that is not laid out as it should be
            if claim not in shown:
                show(claim)
        return found

    def _once_more(self, request: Request) -> Answer:
        self._without.add("schema")
        try:
            return read(self._whole(request))
        except Unreadable:
            raise ServiceError(
                f"{self.settings.model} answered twice with something that holds no claims; "
                "try again, or another model with --llm-model."
            ) from None

    def _whole(self, request: Request) -> str:
        result = self._create(request, stream=False)
        return (replies.of_responses if self.endpoint == "responses" else replies.of_chat)(result, self.settings)

    def _pieces(self, request: Request) -> Iterator[str]:
        stream = self._create(request, stream=True)
        kind = stream.response.headers.get("content-type", "")
        reader = replies.pieces_of_responses if self.endpoint == "responses" else replies.pieces_of_chat

        def pieces() -> Iterator[str]:
            with closing(stream):
                if "event-stream" in kind:
                    yield from reader(stream, self.settings)
                else:  # a server that does not stream, although it was asked to: its answer may still be one
                    yield replies.of_text(_body(stream.response, self.settings), self.settings)

        try:
            yield from self._clock.each(pieces)
        except TimeIsUp:
            raise too_late(self.settings) from None
        except (self._sdk.OpenAIError, ValueError) as error:
            raise told(error, self.settings) from None

    def _create(self, request: Request, *, stream: bool) -> Any:
        """Send a request; go without what the server does not know, one thing at a time."""
        for _ in range(4):
            try:
                return self._try(request, stream=stream)
            except (self._sdk.BadRequestError, self._sdk.UnprocessableEntityError) as error:
                unknown = self._unknown(f"{error} {error.body}")
                if unknown is None:
                    raise told(error, self.settings) from None
                self._without.add(unknown)
            except self._sdk.APIStatusError as error:
                if self.endpoint == "chat" or not _has_no_responses(error):
                    raise told(error, self.settings) from None
                self.endpoint = "chat"
            except (self._sdk.OpenAIError, ValueError) as error:
                raise told(error, self.settings) from None
        raise ServiceError(
            f"{self.settings.url} does not accept the request in any form; is it an OpenAI-compatible server?"
        )

    def _try(self, request: Request, *, stream: bool) -> Any:
        """Send a request, once more after what may pass; never beyond the time that there is for the whole answer."""
        for attempt in range(RETRIES + 1):
            try:
                return self._clock.wait_for(lambda: self._send(request, stream=stream))
            except TimeIsUp:
                raise too_late(self.settings) from None
            except self._sdk.APITimeoutError:
                raise too_late(self.settings) from None
            except (self._sdk.APIConnectionError, self._sdk.APIStatusError) as error:
                pause = _pause(error)
                if attempt == RETRIES or pause is None or pause > min(LONGEST_PAUSE, self._clock.left):
                    raise
                time.sleep(pause)
        raise AssertionError("the last try ends the loop")

    def _unknown(self, complaint: str) -> str | None:
        """What a complaint about a request names that can be left out, and was not yet."""
        named = {what for word, what in _OPTIONAL.items() if word in complaint}
        if self.settings.is_openai:
            named.discard("store")
        left = sorted(named - self._without) or ([] if "schema" in self._without else ["schema"])
        return left[0] if left else None

    def _send(self, request: Request, *, stream: bool) -> Any:
        schema = "schema" not in self._without
        common: dict[str, Any] = {"model": self.settings.model, "stream": stream, "timeout": self._clock.left}
        if "store" not in self._without:
            common["store"] = False
        if self.endpoint == "responses":
            return self._client.responses.create(**common, **request.for_responses(schema=schema))
        return self._client.chat.completions.create(**common, **request.for_chat(schema=schema))


def _pause(error: Any) -> float | None:
    """Seconds to wait before the next try, or None where another would fail alike."""
    status = getattr(error, "status_code", None)
    if status is None:  # no reply at all
        return None if "CERTIFICATE" in str(error.__cause__).upper() else PAUSE
    if (status not in (408, 429) and status < 500) or out_of_credit(error):
        return None
    asked = asked_to_wait(error.response.headers)
    return PAUSE if asked is None else asked


def _has_no_responses(error: Any) -> bool:
    """Whether an error says that the endpoint is not there, and not that the model is not."""
    if error.status_code in (405, 501):
        return True
    return bool(error.status_code == 404 and error.code != "model_not_found")


def _body(response: Any, settings: Settings) -> str:
    import httpx2  # what the SDK speaks HTTP with

    try:
        data: bytes = response.read()
    except httpx2.HTTPError:
        raise replies.broken(settings) from None
    return data.decode("utf-8", "replace")
