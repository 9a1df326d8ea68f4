"""The commands in docs/web.md are run as they stand there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from servers import listening

from whylook.web.settings import Limits

PAGE = Path(__file__).resolve().parents[2] / "docs" / "web.md"


def curl(command: str, folder: Path) -> str:
    ended = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="needs curl and bash")
def test_every_command_works(tmp_path: Path) -> None:
    from PIL import Image as Pil

    from whylook.phantom import picture

    Pil.fromarray(picture().rgb8()).save(tmp_path / "film.png")
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.strip().splitlines()]
    assert len(lines) == 11
    names: dict[str, str] = {}
    with listening(data=tmp_path / "data") as address:
        for line in lines:
            command = line.replace("http://127.0.0.1:8000", address)
            for name, value in names.items():
                command = command.replace(f"${name}", value)
            said = curl(command.replace("curl -s", "curl -sf"), tmp_path)
            if line.endswith("/api/explanations"):
                names["JOB"] = json.loads(said)["id"]
            elif line.endswith("/trust"):
                names["CARD"] = json.loads(said)["id"]
                curl(f"curl -sN {address}/api/jobs/{names['CARD']}/events", tmp_path)
            elif "-o " not in line:
                assert said
    assert (tmp_path / "whylook.zip").read_bytes().startswith(b"PK")
    assert "Can this map be believed?" in (tmp_path / "trust.html").read_text("utf-8")


def test_the_limits_are_those_of_the_server() -> None:
    text, limits = PAGE.read_text("utf-8"), Limits()
    for said in (
        f"| {limits.bytes // 10**6} MB |", f"| {limits.pixels // 10**6} million pixels |", f"{limits.pictures} pictures",
        f"| {limits.waiting} |", f"| {limits.seconds / 60:.0f} minutes |", f"| {limits.memory // 10**9} GB |",
    ):  # fmt: skip
        assert said in text
