"""What a photo and its file tell of a person, and the key: where each may be found after a run with a language service."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image as Pil

from loopback import Asked, Loopback, Reply, whole
from whylook.cli import run
from whylook.phantom import picture

pytest.importorskip("openai")
KEY, NAME, WARD = "sk-test-9876543210fedcba", "Jane_Doe_1970", "ward_of_doctor_x"
EXIF = ("ExifArtist", "ExifComment", "ExifSerial", "ExifDescription", "2031:01:02", "GPSInfo", "48.1372")
LOCAL = {"report.html", "figure.png", "maps.npz", "facts.json", "result.json", "narrative.json", "narrative.md"}
ANSWER = json.dumps(
    {
        "claims": [{"text": "The number of models is 1.", "fact_ids": ["n.models"], "kind": "observation"}],
        "not_assessable": [],
    }
)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn film as a camera would write it: who, when, where, with which device."""
    exif = Pil.Exif()
    exif[0x010E], exif[0x013B] = "ExifDescription", "ExifArtist"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 14.25), 3: "E", 4: (11.0, 34.0, 31.5), 29: "2031:01:02"})
    exif.get_ifd(0x8769).update({0x9286: b"ASCII\0\0\0ExifComment", 0xA431: "ExifSerial"})
    file = tmp_path_factory.mktemp(WARD) / f"{NAME}.jpg"
    Pil.fromarray(picture(3).rgb8()).save(file, exif=exif, quality=95, comment=b"ExifComment")
    with Pil.open(file) as found:  # the test would be void without it
        assert found.getexif().get_ifd(0x8825)[2] == (48.0, 8.0, 14.25)
        assert found.getexif()[0x013B] == "ExifArtist"
    return file


def answering(asked: Asked) -> Reply:
    return Reply(body=whole(ANSWER))


def refusing(asked: Asked) -> Reply:
    return Reply(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})


def nonsense(asked: Asked) -> Reply:
    return Reply(body=f"<html>{KEY}</html>", kind="text/html")


def hidden(texts: dict[str, bytes], words: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(where, word) for where, data in texts.items() for word in words if word.encode() in data]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(("reply", "code"), [(answering, 0), (refusing, 5), (nonsense, 5)])
def test_nothing_of_the_person_and_nothing_of_the_key_is_where_it_should_not_be(
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    reply: object,
    code: int,
    debug: bool,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    out = tmp_path / "out"
    made = ["explain", str(photo), "-m", "phantom:resnet", "-x", "grad-cam", "-o", str(out)]
    with Loopback(reply) as service:  # type: ignore[arg-type]
        sent_to = ["--llm", "openai", "--llm-url", service.url, "--llm-model", "some-model", "--llm-images", "all"]
        assert run([*made, *sent_to, "--yes"], debug=debug) == code
    printed = capsys.readouterr()
    written = {p.name: p.read_bytes() for p in out.iterdir()}
    assert set(written) == LOCAL
    told = {"standard error": printed.err.encode(), "standard output": printed.out.encode()}
    assert service.asked
    sent = {f"request {i}": json.dumps([a.path, a.body]).encode() for i, a in enumerate(service.asked)}
    for asked in service.asked:
        headers = dict(asked.headers)
        (name,) = [n for n in headers if n.lower() == "authorization"]
        assert headers.pop(name) == f"Bearer {KEY}"  # where it belongs, and nowhere else
        sent |= {f"headers of {asked.path}": json.dumps(headers).encode()}
    everywhere = written | told | sent
    assert not hidden(everywhere, EXIF)
    assert not hidden(everywhere, (KEY, KEY[-8:]))
    # The folder's own record says which picture it is of: its name in titles, its place in result.json.
    assert not hidden({k: v for k, v in everywhere.items() if k != "result.json"}, (WARD, str(photo.parent)))
    assert not hidden(
        {k: v for k, v in everywhere.items() if k not in ("result.json", "report.html", "standard output")}, (NAME,)
    )


@pytest.mark.parametrize("debug", [False, True])
def test_no_traceback_shows_the_key(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    """An error of ours in the middle of asking: its traceback, with what chained it, goes through the same check."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    out = tmp_path / "out"
    assert run(["explain", str(photo), "-m", "phantom:resnet", "-x", "grad-cam", "-o", str(out)]) == 0
    capsys.readouterr()

    def broken(*given: object, **named: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("whylook.narration.client.Client._create", broken)
    with Loopback(answering) as service:
        options = ["--llm", "openai", "--llm-url", service.url, "--llm-model", "some-model", "--yes"]
        assert run(["narrate", str(out), *options], debug=debug) != 0
    printed = capsys.readouterr()
    assert ("Traceback" in printed.err) == debug
    assert "broken on purpose" in printed.err
    assert not re.search(re.escape(KEY), printed.err + printed.out)
