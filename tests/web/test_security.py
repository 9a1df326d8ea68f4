"""Who may ask, what may be sent, and what an answer tells a browser."""

from __future__ import annotations

import io
import os
import socket
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image as Pil
from servers import BASE, asked, finished, listening, refused

from whylook.errors import UsageError
from whylook.web.settings import Limits, Settings, duration
from whylook.web.uploads import shown_name

TOKEN = "correct horse battery".replace(" ", "-")
SAMPLE = {"picture": "sample:disc", "models": "phantom:vgg", "methods": "gradient"}


def picture(kind: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: Any) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Pil.fromarray(pixels).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


FRAME = Pil.linear_gradient("L").resize((40, 30))


# Hosts and origins


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LOCALHOST", "127.0.0.1:9999"])
def test_the_machine_s_own_names_are_let_in(client: TestClient, host: str) -> None:
    assert client.get("/api/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "",
        "localhost.",
        "[::1",
        "127.0.0.1@evil.example",
        "10.0.0.7:8000",
    ],
)
def test_a_rebound_name_is_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/api/health", "/static/viewer.js", "/openapi.json"):
        refused(client.get(path, headers={"host": host}), 421, "host")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:8001"},
        {"origin": "http://localhost:8000"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": BASE, "sec-fetch-site": "cross-site"},
    ],
)
def test_other_sites_can_neither_post_nor_delete_nor_read(client: TestClient, headers: dict[str, str]) -> None:
    job = asked(client, **SAMPLE)
    refused(client.post("/api/explanations", data=SAMPLE, headers=headers), 403, "origin")
    refused(client.post("/api/pictures", files={"file": picture()}, headers=headers), 403, "origin")
    refused(client.delete(f"/api/jobs/{job['id']}", headers=headers), 403, "origin")
    refused(client.get("/api/jobs", headers=headers), 403, "origin")
    assert [j["id"] for j in client.get("/api/jobs").json()] == [job["id"]]


@pytest.mark.parametrize(
    "headers", [{}, {"origin": BASE}, {"origin": BASE, "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}]
)
def test_its_own_pages_and_programs_can(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/api/explanations", data=SAMPLE, headers=headers).status_code == 202


def test_every_answer_tells_the_browser_to_be_careful(client: TestClient) -> None:
    for path in ("/", "/docs", "/api/health", "/api/nothing", "/static/viewer.css", "/openapi.json"):
        told = client.get(path).headers
        assert told["x-content-type-options"] == "nosniff"
        assert told["referrer-policy"] == "no-referrer"
        assert told["cross-origin-resource-policy"] == "same-origin"
        policy = dict(p.strip().split(" ", 1) for p in told["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert "unsafe" not in told["content-security-policy"]
        assert "access-control-allow-origin" not in told
        assert "server" not in told


# Tokens


def test_another_host_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a token is needed"):
        Settings(host="0.0.0.0", data=tmp_path)
    with pytest.raises(UsageError, match="at least 16"):
        Settings(host="0.0.0.0", token="short", data=tmp_path)
    assert TOKEN not in repr(Settings(token=TOKEN))


def test_nothing_without_the_token_but_all_with_it(serve: Callable[..., TestClient], tmp_path: Path) -> None:
    client = serve(data=tmp_path / "data", token=TOKEN)
    for path in ("/", "/api/health", "/openapi.json", "/docs", "/static/viewer.js", "/learn"):
        assert client.get(path).status_code == 401
    refused(client.post("/api/explanations", data=SAMPLE), 401, "token")
    for wrong in (TOKEN[:-1], TOKEN + "x", "", "Bearer"):
        assert client.get("/api/health", headers={"authorization": f"Bearer {wrong}"}).status_code == 401
        assert client.get(f"/?token={wrong}").status_code == 401
    assert client.get(f"/api/health?token={TOKEN}").status_code == 401  # not where addresses are logged and shared
    right = client.get("/api/health", headers={"authorization": f"Bearer {TOKEN}"})
    assert right.status_code == 200
    assert TOKEN not in right.text


def test_the_token_becomes_a_cookie_and_leaves_the_address(serve: Callable[..., TestClient], tmp_path: Path) -> None:
    client = serve(data=tmp_path / "data", token=TOKEN)
    reply = client.get(f"/learn/cam?part=2&token={TOKEN}", follow_redirects=False)
    assert (reply.status_code, reply.headers["location"]) == (303, "/learn/cam?part=2")
    cookie = reply.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie  # what is kept in the browser is not the token
    assert client.get("/api/health").status_code == 200  # the client keeps cookies
    refused(client.post("/api/explanations", data=SAMPLE, headers={"origin": "http://evil.example"}), 403, "origin")
    away = client.get(f"//evil.example/?token={TOKEN}", follow_redirects=False)
    assert not away.headers.get("location", "").startswith(("//", "http"))


def test_addresses_are_hosts_where_it_listens_on_all_of_them(serve: Callable[..., TestClient], tmp_path: Path) -> None:
    client = serve(data=tmp_path / "data", token=TOKEN, host="0.0.0.0")
    headers = {"authorization": f"Bearer {TOKEN}"}
    for host in ("192.168.1.5:8000", "[fe80::1]:8000", f"{socket.gethostname()}:8000"):
        assert client.get("/api/health", headers={**headers, "host": host}).status_code == 200
    refused(client.get("/api/health", headers={**headers, "host": "evil.example:8000"}), 421, "host")


# Pictures


def bomb(width: int, height: int) -> bytes:
    """A small PNG that says it is very large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100_000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"hello, I am text", "is text, not a picture"),
        (picture()[:400], "damaged"),
        (picture("JPEG", size=(300, 200))[:2000], "cut off or damaged"),
        (bomb(30_000, 30_000), "more pixels than"),
        (bomb(9_000, 9_000), "more than the limit"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "is an SVG drawing"),
        (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>', "is an SVG drawing"),
        (b"%PDF-1.7 ...", "is a PDF"),
        (b"PK\x03\x04....", "is a ZIP archive"),
        (b"\x00\x00\x00\x18ftypheic", "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is text, not a picture"),
        (os.urandom(3000), "is not a picture"),
    ],
    ids=["nothing", "text", "cut PNG", "cut JPEG", "bomb", "large", "SVG", "XML", "PDF", "ZIP", "HEIC", "EPS", "noise"],
)  # fmt: skip
def test_bad_pictures_end_in_a_sentence(client: TestClient, tmp_path: Path, data: bytes, says: str) -> None:
    reply = client.post("/api/pictures", files={"file": ("a <b>.png", data, "image/png")})
    assert says in refused(reply, 422, "picture")
    reply = client.post("/api/explanations", files={"file": ("a.png", data)}, data={"models": "phantom:vgg"})
    assert says in refused(reply, 422, "picture")
    assert not list((tmp_path / "data" / "pictures").iterdir())
    assert client.get("/api/jobs").json() == []


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (picture("GIF", save_all=True, append_images=[FRAME, FRAME.rotate(180)]), "first of 3 frames"),
        (picture("JPEG", "CMYK"), "CMYK was turned into RGB"),
        (picture("PNG", "RGBA"), None),
        (picture("WEBP"), None),
        (picture("BMP"), None),
        (picture("TIFF"), None),
        (picture("PNG", "1"), "one bit per pixel"),
        (picture("PNG", "I;16"), "16-bit values kept"),
    ],
    ids=["animated", "CMYK", "RGBA", "WebP", "BMP", "TIFF", "1 bit", "16 bit"],
)  # fmt: skip
def test_unusual_pictures_are_read_and_it_is_said_how(client: TestClient, data: bytes, note: str | None) -> None:
    taken = client.post("/api/pictures", files={"file": data}).json()
    assert (taken["width"], taken["height"]) == (40, 30)
    assert any(note in n for n in taken["notes"]) if note else taken["notes"] == []
    assert client.get(taken["picture"]).status_code == 200


def test_a_request_that_says_it_is_too_long_is_refused_at_once(
    serve: Callable[..., TestClient], tmp_path: Path
) -> None:
    client = serve(data=tmp_path / "data", limits=Limits(bytes=200_000))
    reply = client.post("/api/pictures", files={"file": b"\x89PNG" + bytes(400_000)})
    assert "200,000 bytes" in refused(reply, 413, "too-large") or "300,000 bytes" in reply.text


def test_one_that_does_not_say_is_read_no_further_than_the_limit(tmp_path: Path) -> None:
    """200 MB in pieces of no told length: the server answers after the limit and reads no more."""
    with listening(data=tmp_path / "data", limits=Limits(bytes=1_000_000)) as address:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 10) as sent:
            head = (
                f"POST /api/pictures HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nTransfer-Encoding: chunked\r\n"
                "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            )
            part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="big.png"\r\n\r\n'
            sent.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(part), part))
            piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
            count, reply = 0, b""
            sent.settimeout(0.01)
            while count < 200_000_000 and not reply:
                try:
                    sent.sendall(piece)
                    count += 0x10000
                except (TimeoutError, ConnectionError):
                    break
                try:
                    reply = sent.recv(65536)
                except TimeoutError:
                    continue
            sent.settimeout(10)
            with suppress(ConnectionError):  # the body may come after the head
                while b"\r\n\r\n" not in reply or not reply.partition(b"\r\n\r\n")[2]:
                    if not (more := sent.recv(65536)):
                        break
                    reply += more
        assert reply.startswith(b"HTTP/1.1 413")
        assert b"limit of this server" in reply
        assert count < 20_000_000
        assert not list((tmp_path / "data" / "pictures").iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "/etc/passwd",
        "..\\..\\boot.ini",
        "C:\\x.png",
        "a\u202eb.png",
        "x" * 900 + ".png",
        ".",
        "con",
    ],
)
def test_a_client_s_name_is_text_and_no_path(client: TestClient, tmp_path: Path, name: str) -> None:
    before = {p for p in tmp_path.rglob("*") if "pictures" not in p.parts}
    reply = client.post("/api/pictures", files={"file": (name, picture())})
    taken = reply.json()
    assert taken["name"] == shown_name(name)
    assert len(taken["name"]) <= 80
    (file,) = (tmp_path / "data" / "pictures").iterdir()
    assert file.name == taken["ref"].partition(":")[2]
    assert file.stat().st_mode & 0o777 == 0o600
    assert {p for p in tmp_path.rglob("*") if "pictures" not in p.parts} - before <= {
        tmp_path / "data" / "whylook.db-wal"
    }


def test_shown_names() -> None:
    assert shown_name("../../a b.png") == "a b.png"
    assert shown_name("C:\\photos\\dog.jpg") == "dog.jpg"
    assert shown_name("a\u202egnp.exe\n\x1b[31m.png") == "agnp.exe[31m.png"
    assert shown_name(None) == shown_name("///") == "picture"
    long = shown_name("x" * 200 + ".jpeg")
    assert (len(long), long[-6:]) == (80, "….jpeg")


def test_ids_cannot_be_guessed(client: TestClient) -> None:
    refs = {client.post("/api/pictures", files={"file": picture()}).json()["ref"] for _ in range(20)}
    assert len(refs) == 20
    assert all(len(r.partition(":")[2]) == 22 for r in refs)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
def test_the_data_folder_is_its_owner_s(client: TestClient, tmp_path: Path) -> None:
    finished(client, asked(client, **SAMPLE))
    for path in [tmp_path / "data", *(tmp_path / "data").rglob("*")]:
        if path.is_dir():
            assert path.stat().st_mode & 0o777 == 0o700, path
    assert (tmp_path / "data" / "whylook.db").stat().st_mode & 0o077 == 0


# The folder that was allowed


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    inside, outside = tmp_path / "shared", tmp_path / "secret"
    (inside / "sub").mkdir(parents=True)
    outside.mkdir()
    for file in (inside / "one.png", inside / "sub" / "two.png", outside / "secret.png", tmp_path / "shared-not.png"):
        file.write_bytes(picture())
    (inside / ".hidden.png").write_bytes(picture())
    (inside / "notes.txt").write_text("text")
    (inside / "way out").symlink_to(outside)
    (inside / "way-out.png").symlink_to(outside / "secret.png")
    (inside / "round").symlink_to(inside / "round")
    (inside / "same.png").symlink_to(inside / "one.png")
    return inside


def test_pictures_of_the_allowed_folder_can_be_chosen(
    serve: Callable[..., TestClient], tmp_path: Path, shared: Path
) -> None:
    client = serve(data=tmp_path / "data", folder=shared)
    rows = client.get("/api/folder").json()
    assert [(r["name"], r["kind"]) for r in rows] == [
        ("one.png", "picture"), ("same.png", "picture"), ("sub", "folder"),
    ]  # fmt: skip
    (two,) = client.get("/api/folder", params={"path": "sub"}).json()
    assert two["ref"] == "folder:sub/two.png"
    assert client.get("/api/folder/picture", params={"path": two["path"]}).headers["content-type"] == "image/png"
    job = asked(client, **{**SAMPLE, "picture": two["ref"]})
    assert job["request"]["pictures"][0].startswith("upload:")  # a copy: what is in the folder may change
    (shared / "sub" / "two.png").unlink()
    assert finished(client, job)["state"] == "done"


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../secret/secret.png",
        "sub/../../secret/secret.png",
        "/etc/passwd",
        "way out/secret.png",
        "way-out.png",
        "../shared-not.png",
        "a\0b",
    ],
)
def test_no_way_leads_out_of_the_folder(
    serve: Callable[..., TestClient], tmp_path: Path, shared: Path, path: str
) -> None:
    client = serve(data=tmp_path / "data", folder=shared)
    for where in ("/api/folder", "/api/folder/picture"):
        refused(client.get(where, params={"path": path}), 400, "usage")
    refused(client.post("/api/explanations", data={**SAMPLE, "picture": f"folder:{path}"}), 400, "usage")


def test_odd_paths_in_the_folder(serve: Callable[..., TestClient], tmp_path: Path, shared: Path) -> None:
    client = serve(data=tmp_path / "data", folder=shared)
    for path in ("round", "none.png", "x" * 999):
        refused(client.get("/api/folder/picture", params={"path": path}), 404, "not-found")
    refused(client.get("/api/folder/picture", params={"path": "notes.txt"}), 422, "picture")
    refused(client.get("/api/folder/picture", params={"path": "sub"}), 422, "picture")
    refused(client.get("/api/folder", params={"path": "one.png"}), 400, "usage")


def test_without_a_folder_there_is_none(client: TestClient, shared: Path) -> None:
    for path in ("", str(shared), "one.png"):
        refused(client.get("/api/folder", params={"path": path}), 400, "usage")
    refused(client.post("/api/explanations", data={**SAMPLE, "picture": f"folder:{shared}/one.png"}), 400, "usage")


# And


def test_no_request_leaves_the_machine(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    tried: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: tried.append(a) or [])
    for path in ("/", "/docs", "/api/models", "/api/methods", "/api/metrics", "/api/samples", "/openapi.json"):
        assert client.get(path).status_code == 200
    assert finished(client, asked(client, **SAMPLE))["state"] == "done"
    assert finished(client, asked(client, **{**SAMPLE, "models": "resnet50"}))["state"] in ("failed", "done")
    assert tried == []


def test_the_docs_name_no_other_host(client: TestClient) -> None:
    import re

    page = client.get("/docs").text
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    assert "<script" not in page
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page


def test_durations() -> None:
    assert [duration(t) for t in ("30m", "12h", "7d", "2w", "1.5h")] == [1800, 43200, 604800, 1209600, 5400]
    for wrong in ("7", "d", "0d", "-1d", "7 days", "1e9d"):
        with pytest.raises(UsageError, match="is not a time"):
            duration(wrong)


def test_what_expires_goes(client: TestClient, tmp_path: Path) -> None:
    job = finished(client, asked(client, {"file": picture()}, models="phantom:vgg", methods="gradient"))
    house = client.app.state.house  # type: ignore[attr-defined]
    assert house.store.purge() == 0
    assert house.store.purge(time.time() + 8 * 86400) == 1  # its picture goes with the job
    lonely = client.post("/api/pictures", files={"file": picture()}).json()
    assert house.store.purge(time.time() + 8 * 86400) == 1
    refused(client.get(lonely["picture"]), 404, "not-found")
    refused(client.get(job["links"]["self"]), 404, "not-found")
    assert not list((tmp_path / "data" / "results").iterdir())
    assert not list((tmp_path / "data" / "pictures").iterdir())
