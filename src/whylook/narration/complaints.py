"""Errors of the SDK as sentences: what went wrong, why, and what to do. No key and no traceback is in them."""

from __future__ import annotations

from typing import Any

from whylook.errors import ServiceError
from whylook.narration.replies import broken, no_reply
from whylook.narration.settings import Settings


def told(error: Exception, settings: Settings) -> ServiceError:
    """Return an error of the SDK as one of ours."""
    import openai

    where = settings.url
    if isinstance(error, openai.APITimeoutError):
        return ServiceError(
            f"{where} gave no answer within {settings.timeout:g} s; try again, or allow more time with --llm-timeout."
        )
    if isinstance(error, openai.APIConnectionError):
        return _connection(error, settings)
    if isinstance(error, openai.APIStatusError):
        return ServiceError(_status(error, settings))
    if isinstance(error, openai.APIError):
        return ServiceError(f"The language service failed: {_said(error, settings)} Try again later.")
    if isinstance(error, openai.OpenAIError):
        return ServiceError(f"OpenAI's SDK could not send the request: {_sentence(str(error), settings)}")
    return no_reply("", settings)  # JSON that is none


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
        if error.code == "insufficient_quota" or "quota" in said.lower() or "billing" in said.lower():
            return f"The account at {where} has no credit left; check its plan and billing."
        return f"{where} has had too many requests; wait a little and try again."
    if 300 <= status < 400:
        return f"{where} sends requests on to another address, and nothing was sent there; give that with --llm-url."
    if status >= 500:
        return f"{where} failed (status {status}); try again later."
    return f"{where} did not accept the request (status {status}): {said}"


def _said(error: Any, settings: Settings) -> str:
    """The service's own words, or what the status means."""
    body = error.body if isinstance(error.body, dict) else {}
    message = body.get("message") or body.get("detail") or ""
    return _sentence(message if isinstance(message, str) and message else "it gave no reason", settings)


def _sentence(text: str, settings: Settings) -> str:
    line = settings.scrubbed(text)
    return line if line.endswith((".", "!", "?")) else f"{line}."
