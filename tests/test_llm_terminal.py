"""Agreement on a real terminal, and a connection that is not what it says: nothing leaves before a person says yes."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopback import Asked, Loopback, Reply, whole
from made_up import explanation
from whylook.cli import run

pytest.importorskip("openai")
pty = pytest.importorskip("pty", reason="needs a terminal of the Unix kind")
fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")
KEY = "sk-test-0123456789abcdef"
HELD = {"text": "The number of models is 1.", "fact_ids": ["n.models"], "kind": "observation"}
ANSWER = json.dumps({"claims": [HELD], "not_assessable": []})
QUESTION = b"Send it?"


def answer(asked: Asked) -> Reply:
    return Reply(body=whole(ANSWER))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return explanation(models=["resnet50"], methods=["made-up-cam"], empty=False).save(tmp_path / "out")


def on_a_terminal(command: list[str], replies: list[bytes]) -> tuple[int, str]:
    """Run whylook with a terminal as its input and output; type a reply at each question. Exit code and what it showed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "OPENAI_API_KEY": KEY, "TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "200"}

    def as_a_shell_does() -> None:  # a session of its own, whose terminal this is: Ctrl-C typed there is a signal
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    child = subprocess.Popen(
        [sys.executable, "-m", "whylook", *command], stdin=theirs, stdout=theirs, stderr=theirs, env=environment,
        preexec_fn=as_a_shell_does,
    )  # fmt: skip
    os.close(theirs)
    shown, asked, end = b"", 0, time.monotonic() + 120
    try:
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # it has closed its end
                    break
                if not piece:
                    break
                shown += piece
            if shown.count(QUESTION) > asked and asked < len(replies):
                reply, asked = replies[asked], asked + 1
                os.write(ours, reply)
        return child.wait(30), shown.decode("utf-8", "replace")
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        os.close(ours)


@pytest.mark.parametrize(
    ("replies", "code", "sent", "told"),
    [
        ([b"n\n"], 5, 0, "as you chose"),
        ([b"f\n", b"y\n"], 0, 1, HELD["text"]),
        ([b"\x03"], 130, 0, "nterrupted"),
        ([b"\x04"], 5, 0, "as you chose"),
    ],
)
def test_a_person_at_a_terminal_decides(made: Path, replies: list[bytes], code: int, sent: int, told: str) -> None:
    with Loopback(answer) as service:
        command = ["narrate", str(made), "--llm", "openai", "--llm-url", service.url, "--llm-model", "some-model"]
        ended, shown = on_a_terminal([*command, "--llm-images", "none"], replies)
        address = service.url
    assert (ended, len(service.asked)) == (code, sent), shown
    before = shown[: shown.index(QUESTION.decode())]
    for part in (
        address,
        "this machine",
        "some-model",
        "the one in OPENAI_API_KEY",
        "bytes of JSON",
        "in all",
        "never",
    ):
        assert part in before
    assert told in shown
    assert KEY not in shown
    assert "Traceback" not in shown
    assert {"report.html", "maps.npz", "result.json", "narrative.json"} <= {p.name for p in made.iterdir()}


def test_a_certificate_that_nobody_vouches_for_ends_in_a_sentence(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("needs the program openssl, to make a certificate")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Loopback(answer, tls=context) as service:
        command = ["narrate", str(made), "--llm", "openai", "--llm-url", service.url, "--llm-model", "m", "--yes"]
        assert run(command) == 5
        said = capsys.readouterr().err
        assert "is not trusted" in said
        assert "SSL_CERT_FILE" in said
        assert service.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # the remedy that the sentence names
        assert run(command) == 0
        assert len(service.asked) == 1
