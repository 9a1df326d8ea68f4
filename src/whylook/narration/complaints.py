"""Errors of the SDK as sentences: what went wrong, why, and what to do. No key and no traceback is in them."""

from __future__ import annotations

from typing import Any

from whylook.errors import ServiceError
from whylook.narration.replies import broken, no_reply
from whylook.narration.settings import Settings
from whylook.narration.waiting import asked_to_wait


def told(error: Exception, settings: Settings) -> ServiceError:
    """Return an error of the SDK as one of ours."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return too_late(settings)
    if isinstance(error, openai.APIConnectionError):
        return _connection(error, settings)
    if isinstance(error, openai.APIStatusError):
        return ServiceError(_status(error, settings))
    if isinstance(error, openai.APIError):
        return ServiceError(f"The language service failed: {_said(error, settings)} Try again later.")
    if isinstance(error, openai.OpenAIError):
        return ServiceError(f"OpenAI's SDK could not send the request: {_sentence(str(error), settings)}")
    return no_reply("", settings)  # JSON that is none


def too_late(settings: Settings) -> ServiceError:
    """The whole answer did not come in time."""
    return ServiceError(
        f"{settings.url} gave no answer within {settings.timeout:g} s; try again, or allow more time with --llm-timeout."
    )


def out_of_credit(error: Any) -> bool:
    """Whether a 429 is about money, and not about haste."""
    said = str(error.body).lower() if error.status_code == 429 else ""
    return error.status_code == 429 and (error.code == "insufficient_quota" or "quota" in said or "billing" in said)


def _connection(error: Exception, settings: Settings) -> ServiceError:
    causes, cause = [], error.__cause__
    while cause is not None:
        causes.append(f"{type(cause).__name__} {cause}")
        cause = cause.__cause__ or cause.__context__
    why = " ".join(causes)
    if "CERTIFICATE" in why.upper():
        return ServiceError(
            f"The certificate of {settings.url} is not trusted: a proxy may be in between; "
            "name its certificate with SSL_CERT_FILE."
        )
    if "ConnectError" in why or "Connection refused" in why:
        what = "is the server running?" if settings.is_local else "is there a network, and is the address right?"
        return ServiceError(f"Nothing answers at {settings.url}: {what}")
    return broken(settings)


def _status(error: Any, settings: Settings) -> str:
    status, where, said = error.status_code, settings.url, _said(error, settings)
    if status == 401:
        return (
            f"{where} does not accept the key in OPENAI_API_KEY; make a new one, or check which service it is for."
            if settings.key
            else f"{where} needs a key, and OPENAI_API_KEY is not set."
        )
    if status == 403:
        return f"{where} does not allow this ({said.rstrip('.')}): check the key's permissions and your region."
    if status == 404:
        if error.code == "model_not_found" or "model" in said.lower():
            return f"{where} has no model {settings.model!r}, or not for this key; name another with --llm-model."
        return f"There is no language service at {where}; the address usually ends in /v1."
    if status == 413:
        return f"The request is too large for {where}; send fewer pictures with --llm-images none or overlay."
    if status == 429:
        if out_of_credit(error):
            return f"The account at {where} has no credit left; check its plan and billing."
        return f"{where} has had too many requests; {_later(error, 'wait a little and try again')}."
    if 300 <= status < 400:
        return f"{where} sends requests on to another address, and nothing was sent there; give that with --llm-url."
    if status >= 500:
        return f"{where} failed (status {status}); {_later(error, 'try again later')}."
    return f"{where} did not accept the request (status {status}): {said}"


def _later(error: Any, otherwise: str) -> str:
    asked = asked_to_wait(error.response.headers)
    return (
        otherwise if asked is None or asked < 1 else f"it asks to be left alone for {asked:.0f} s: try again after that"
    )


def _said(error: Any, settings: Settings) -> str:
    """The service's own words, or what the status means."""
    body = error.body if isinstance(error.body, dict) else {}
    message = body.get("message") or body.get("detail") or ""
    return _sentence(message if isinstance(message, str) and message else "it gave no reason", settings)


def _sentence(text: str, settings: Settings) -> str:
    line = settings.scrubbed(text)
    return line if line.endswith((".", "!", "?")) else f"{line}."
