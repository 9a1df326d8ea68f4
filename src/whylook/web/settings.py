"""How a server was started: all of it configuration, none of it ever told to a client but the limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from whylook.errors import UsageError

if TYPE_CHECKING:
    from whylook.narration.settings import Settings as Service

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Limits:
    """What one client may ask for.

    Parameters
    ----------
    bytes : of a request, all its pictures together.
    pixels : of a picture; it is checked before anything is decoded.
    pictures : of a job.
    waiting : jobs that wait for the device.
    urgent : short computations that wait for the device.
    seconds : that a job may compute.
    memory : bytes of weights that are kept loaded.
    """

    bytes: int = 50_000_000
    pixels: int = 50_000_000
    pictures: int = 16
    waiting: int = 32
    urgent: int = 16
    seconds: float = 1800.0
    memory: int = 2_000_000_000


@dataclass(frozen=True)
class Settings:
    """How a server was started.

    Parameters
    ----------
    host, port : where it listens.
    token : what a client has to know; needed where `host` is not this machine's own.
    data : folder for results and pictures; by default the platform's, see `data_folder`.
    keep : seconds that results and pictures are kept.
    models : configured models: names, or paths of `model.toml`.
    folder : whose pictures clients may choose, or None.
    device : where networks are run.
    service : the language service, or None.
    images : the pictures that go to it.
    limits : see `Limits`.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    data: Path | None = None
    keep: float = 7 * 86_400.0
    models: tuple[str, ...] = ()
    folder: Path | None = None
    device: str = "cpu"
    service: Service | None = None
    images: Literal["none", "overlay", "all"] = "overlay"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.token is not None and not (len(self.token) >= _SHORTEST_TOKEN and re.fullmatch(r"[!-~]+", self.token)):
            raise UsageError(
                f"A token is at least {_SHORTEST_TOKEN} characters of ASCII without spaces; leave --token out to have "
                "one made."
            )
        if not self.is_local and self.token is None:
            raise UsageError(f"{self.host} can be reached from other machines, so a token is needed (--token).")
        if self.folder is not None and not self.folder.is_dir():
            raise UsageError(f"--allow-folder {self.folder} is not a folder.")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK


def data_folder() -> Path:
    """Return where results lie where nothing else is said: the platform's folder for the data of applications."""
    from platformdirs import user_data_path

    return user_data_path("whylook", appauthor=False) / "serve"


def duration(text: str) -> float:
    """Return the seconds of `30m`, `12h`, `7d` or `2w`.

    Raises
    ------
    UsageError
        If it is none of these, or no time at all.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([mhdw])", text.strip().lower())
    if found is None or float(found[1]) == 0:
        raise UsageError(f"{text!r} is not a time such as 30m, 12h, 7d or 2w.")
    return float(found[1]) * _UNITS[found[2]]
