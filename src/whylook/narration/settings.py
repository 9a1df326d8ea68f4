"""Which language service is asked, and with what: all of it configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from whylook.errors import ServiceError, UsageError

OPENAI = "https://api.openai.com/v1"
MODEL = "gpt-5.4-mini"  # of OpenAI's own address only; --llm-model and WHYLOOK_LLM_MODEL name another
TIMEOUT = 120.0
_LONGEST = 300  # characters of a service's complaint that are repeated
_KEY = re.compile(r"[\x21-\x7e]+")
_LOOKS_LIKE_A_KEY = re.compile(r"\b(sk|sess|org|proj)-[\w*.\-]{6,}")


@dataclass(frozen=True)
class Settings:
    """A language service.

    Parameters
    ----------
    url : base address, without user name, password, query or trailing slash.
    model : what the service calls it.
    timeout : seconds for a whole answer: tries, pauses between them and all pieces of it together.
    key : never shown: not part of the text of this object.
    """

    url: str = OPENAI
    model: str = MODEL
    timeout: float = TIMEOUT
    key: str | None = field(default=None, repr=False)

    @property
    def is_openai(self) -> bool:
        """Whether the address is OpenAI's own."""
        host = urlsplit(self.url).hostname or ""
        return host == "openai.com" or host.endswith(".openai.com")

    @property
    def is_local(self) -> bool:
        """Whether the address is this machine's own."""
        host = urlsplit(self.url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody on the way can read along."""
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        """The machine that the address names."""
        return urlsplit(self.url).netloc

    def scrubbed(self, text: str) -> str:
        """Return a service's own words as one short printable line, without the key or anything that looks like one."""
        if self.key:
            text = text.replace(self.key, "[key]")
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return _LOOKS_LIKE_A_KEY.sub("[key]", line)[:_LONGEST]


def settings(
    url: str | None = None,
    model: str | None = None,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Return the service that options and environment name.

    Parameters
    ----------
    url : base address of an OpenAI-compatible server; by default OpenAI's own.
    model : by default `WHYLOOK_LLM_MODEL`, and at OpenAI's own address a small current one.
    timeout : seconds.
    environment : in the place of the process's; the key is `OPENAI_API_KEY` and is needed at OpenAI's address only.

    Raises
    ------
    UsageError
        If the address is none, the timeout is no time, or another server's model is not named.
    ServiceError
        If OpenAI is asked without a key, or with one that cannot be a key.
    """
    there = os.environ if environment is None else environment
    address = _address(url) if url else OPENAI
    seconds = TIMEOUT if timeout is None else timeout
    if not 0 < seconds <= 3600:
        raise UsageError(f"--llm-timeout {seconds:g} is not between 0 and 3600 seconds.")
    key = there.get("OPENAI_API_KEY", "").strip() or None
    if key is not None and not _KEY.fullmatch(key):
        raise ServiceError(
            "The key in OPENAI_API_KEY holds spaces or characters that no key has; copy it again, without quotation marks."
        )
    name = model or there.get("WHYLOOK_LLM_MODEL") or (MODEL if address == OPENAI else None)
    if not name:
        raise UsageError(f"--llm-url {address} needs --llm-model: the name of a model that this server has.")
    made = Settings(address, name, seconds, key)
    if key is None and made.is_openai:
        raise ServiceError(
            "OpenAI needs a key, and OPENAI_API_KEY is not set; set it, or name a server of your own with --llm-url."
        )
    return made


def _address(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise UsageError("--llm-url is not an address such as http://localhost:11434/v1.") from None
    if parts.username or parts.password:
        raise UsageError("--llm-url holds a user name or password; a key belongs in OPENAI_API_KEY.")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            "--llm-url is not an address such as http://localhost:11434/v1: http or https, a host, no question mark."
        )  # not repeated here: a key may be in it
    return url.strip().rstrip("/")
