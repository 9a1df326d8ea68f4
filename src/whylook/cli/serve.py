"""`whylook serve`: the web page, on this machine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from whylook.cli.own import Flag, Many, Whole
from whylook.cli.terminal import out, say
from whylook.errors import UsageError, WhylookError

if TYPE_CHECKING:
    import socket

    from whylook.narration.settings import Settings as Language
    from whylook.web.settings import Settings

_NEEDED = ("fastapi", "uvicorn", "multipart", "platformdirs")
_LLM = Group("Language service: nothing is sent to it before a person agrees on the page", sort_key=20)


def serve(
    *,
    port: Annotated[int, Whole] = 8000,
    host: str = "127.0.0.1",
    token: str | None = None,
    model: Annotated[list[str] | None, Many, Parameter(name=["--model", "-m"])] = None,
    device: str = "auto",
    data: Path | None = None,
    keep: str = "7d",
    allow_folder: Path | None = None,
    no_browser: Annotated[bool, Flag] = False,
    llm: Annotated[Literal["openai"] | None, Parameter(group=_LLM)] = None,
    llm_model: Annotated[str | None, Parameter(group=_LLM)] = None,
    llm_url: Annotated[str | None, Parameter(group=_LLM)] = None,
    llm_timeout: Annotated[float, Parameter(group=_LLM)] = 120.0,
    llm_images: Annotated[Literal["none", "overlay", "all"], Parameter(group=_LLM)] = "overlay",
) -> int:
    """Serve the web page: drop a picture, see where networks look, test it, learn what a map is worth.

    It listens on this machine only, and fetches nothing from anywhere. Ctrl-C ends it.

    Parameters
    ----------
    port : int
        Where it listens; 0 takes any that is free.
    host : str
        Another address to listen on, as 0.0.0.0 for all of this machine's; then a token is needed.
    token : str | None
        What others have to know, at least 16 characters; for another host one is made and printed where none is given.
    model : list[str] | None
        A further model that may be chosen: a name that `whylook explain -m` takes, or a model.toml; may be repeated.
    device : str
        auto, cpu, cuda, cuda:1, mps.
    data : Path | None
        Folder for results and pictures; by default the platform's folder for the data of applications.
    keep : str
        How long they are kept: 30m, 12h, 7d, 2w.
    allow_folder : Path | None
        A folder of this machine whose pictures may be chosen on the page.
    no_browser : bool
        Do not open the page.
    llm : str | None
        A language service that may word the facts: openai, or with --llm-url any server with its interface. The key is
        read from OPENAI_API_KEY, and never leaves this process but to the service.
    llm_model : str | None
        What the service calls the model; the variable WHYLOOK_LLM_MODEL names it, too.
    llm_url : str | None
        Base address of an OpenAI-compatible server, as http://localhost:11434/v1.
    llm_timeout : float
        Seconds to wait for an answer, or for the next piece of it.
    llm_images : str
        Pictures that would be sent: none, the overlay of each map, or all: also the picture itself.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UsageError(f"whylook serve needs {missing[0]}, which is not installed; pip install 'whylook[web]'.")
    from whylook.engine.devices import pick
    from whylook.web.settings import LOOPBACK, Settings, duration

    if not 0 <= port < 65536:
        raise UsageError(f"--port {port} is not between 0 and 65535.")
    made = None
    if host not in LOOPBACK and token is None:
        import secrets

        token = made = secrets.token_urlsafe(32)
    service = _service(llm, llm_url, llm_model, llm_timeout)
    bound = _listening(host, port)
    port = bound.getsockname()[1]
    try:
        settings = Settings(
            host=host, port=port, token=token, data=data, keep=duration(keep), models=tuple(model or ()),
            folder=None if allow_folder is None else allow_folder.resolve(), device=pick(device), service=service,
            images=llm_images,
        )  # fmt: skip
        return _run(settings, bound, made, browser=not no_browser)
    finally:
        bound.close()


def _service(llm: str | None, url: str | None, model: str | None, timeout: float) -> Language | None:
    if llm is None:
        for option, value in (("--llm-url", url), ("--llm-model", model)):
            if value:
                raise UsageError(f"{option} belongs to --llm openai, without which nothing is sent anywhere.")
        return None
    from whylook.narration.settings import settings

    return settings(url, model, timeout)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that a port that is taken is said in a sentence, and before anything is loaded."""
    import errno
    import os
    import socket

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host} is no address of this machine ({error.strerror or error}).") from error
    try:
        if os.name == "posix":  # on Windows it would let two servers share the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"Port {port} is taken by another program; give --port 0 for any that is free.") from error
        if error.errno == errno.EACCES:
            raise UsageError(f"Port {port} may not be used by you; give one above 1023.") from error
        raise UsageError(f"--host {host} cannot be listened on ({error.strerror or error}).") from error
    return bound


def _run(settings: Settings, bound: socket.socket, made: str | None, *, browser: bool) -> int:
    import uvicorn

    from whylook.web.app import create_app
    from whylook.web.house import House

    house = House(settings)  # here, so that what is wrong with the data folder is a sentence
    house.warm()
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{shown}:{settings.port}/"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not self.should_exit:
                _greet(settings, address, made, browser=browser)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            house.events.close()  # streams end now, so that nothing has to wait for them
            await super().shutdown(sockets)

    config = uvicorn.Config(
        create_app(settings, house), log_level="warning", access_log=False, proxy_headers=False, server_header=False,
        ws="none", timeout_graceful_shutdown=2, http="h11",
    )  # fmt: skip
    server = Server(config)
    try:
        server.run(sockets=[bound])
    except KeyboardInterrupt:
        pass
    except SystemExit as error:  # uvicorn's own way to say that the application did not start
        raise WhylookError("The server could not be started; what is above says why.") from error
    if not server.started:
        raise WhylookError("The server could not be started; what is above says why.")
    say("Stopped. Results are kept, and found again at the next start.")
    return 0


def _greet(settings: Settings, address: str, made: str | None, *, browser: bool) -> None:
    from whylook.web.settings import data_folder

    opened = address if settings.token is None else f"{address}?token={settings.token}"
    out(f"Serving on {opened if made is not None or settings.token is None else address} (Ctrl-C ends it)")
    say(f"Results are kept in {settings.data or data_folder()}")
    if settings.service is not None:
        say(f"The language service is {settings.service.url}; nothing goes there before a person agrees on the page.")
    if browser:
        import threading
        import webbrowser

        # A browser on the terminal itself would not return.
        threading.Thread(target=webbrowser.open, args=(opened,), daemon=True).start()
