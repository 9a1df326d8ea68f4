"""A server that nobody here wrote: `transformers serve` with a random network, whose answers are noise.

It runs only where `WHYLOOK_TRANSFORMERS` names the program `transformers` of an environment with `transformers[serving]`, and
where `tiny_vlm.py`, which makes the network, lies beside the referee. It takes minutes.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import Asked, Loopback, Reply
from made_up import explanation
from whylook.cli import run

pytest.importorskip("openai")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Its address and the name of its model."""
    program = os.environ.get("WHYLOOK_TRANSFORMERS")
    if not program:
        pytest.skip(
            "needs `transformers serve`: WHYLOOK_TRANSFORMERS names the program (pip install transformers[serving])"
        )
    named = os.environ.get("WHYLOOK_REFEREE")
    maker = (Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "openai") / "tiny_vlm.py"
    if not maker.is_file():
        pytest.skip(f"needs {maker}, which makes the network")
    folder = tmp_path_factory.mktemp("served")
    home = folder / "home" / "hub"
    home.mkdir(parents=True)
    model = str(folder / "model")
    subprocess.run([Path(program).parent / "python", maker, model], check=True, capture_output=True, timeout=300)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "HF_HOME": str(home.parent), "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    command = [program, "serve", model, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            url, end = f"http://127.0.0.1:{port}/v1", time.monotonic() + 300
            while True:
                try:
                    urllib.request.urlopen(f"{url}/models", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < end, "the server does not come up"
                    time.sleep(1)
            yield url, model
        finally:
            process.terminate()
            process.wait(30)


def passed_on(url: str, asked: Asked) -> Reply:
    """What the server answers; as if it had no /responses."""
    if "responses" in asked.path:
        return Reply(404, {"error": {"message": "Not Found"}})
    request = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(asked.body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=900) as reply:
            return Reply(reply.status, reply.read().decode(), reply.headers["content-type"])
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.read().decode(), error.headers["content-type"])


@pytest.mark.parametrize("endpoint", ["responses", "chat"])
@pytest.mark.parametrize("more", [["--llm-images", "overlay"], ["--llm-images", "none", "--ask", "Do they agree?"]])
def test_noise_is_survived_on_both_endpoints(
    server: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    endpoint: str,
    more: list[str],
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    url, model = server
    folder = explanation(models=["resnet50"], methods=["made-up-cam"], empty=False).save(tmp_path / "out")
    with Loopback(lambda asked: passed_on(url, asked)) as relay:
        address = url if endpoint == "responses" else relay.url
        command = ["narrate", str(folder), "--llm", "openai", "--llm-url", address, "--llm-model", model, "--yes"]
        code = run([*command, "--llm-timeout", "1200", *more])
    said = capsys.readouterr()
    print(code, said.err)
    if endpoint == "chat":
        assert {a.path for a in relay.asked} == {"/v1/responses", "/v1/chat/completions"}
    assert code == 5
    assert "answered twice with something that holds no claims" in said.err or "cut off" in said.err
    told = json.loads((folder / "narrative.json").read_text("utf-8"))["pictures"][0]
    assert told["narrator"] == "template"
    assert len(told["claims"]) > 5
    assert (folder / "report.html").is_file()
