"""What has been measured, kept as it comes: one line of JSON per picture and model, so that nothing is lost."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from whylook.errors import WhylookError
from whylook.held import take

FILE = "measured.jsonl"


class Store:
    """Records by key, in a file that is only ever added to; or in memory alone.

    A line that a crash left unfinished is passed over, and measured again.

    Parameters
    ----------
    folder : where the file lies; None keeps nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file: TextIO | None = None
        self._records: dict[str, dict[str, Any]] = {}
        self._earlier: set[str] = set()  # keys that were there
        self.taken = 0
        if folder is None:
            return
        path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
            if free := take(self._file.fileno()):
                self._read(path)
        except OSError as error:
            raise WhylookError(f"Cannot write {path}: {error.strerror or error}; choose another folder.") from error
        if not free:
            self._file.close()
            raise WhylookError(f"Another comparison is writing to {folder}; wait for it, or choose another folder.")

    def _read(self, path: Path) -> None:
        whole = path.read_bytes()
        if whole and not whole.endswith(b"\n"):
            with path.open("ab") as stream:
                stream.write(b"\n")
        for line in whole.splitlines():
            try:
                record = json.loads(line)
                self._records[record["key"]] = record["measured"]
            except (ValueError, TypeError, KeyError):
                continue
        self._earlier = set(self._records)

    def get(self, key: str) -> dict[str, Any] | None:
        """What was measured under a key, or None."""
        found = self._records.get(key)
        self.taken += key in self._earlier
        return found

    def put(self, key: str, measured: dict[str, Any], **about: str) -> dict[str, Any]:
        """Keep what was measured; it is on the disk when this returns.

        Raises
        ------
        WhylookError
            If it cannot be written, as on a full disk.
        """
        line = json.dumps({"key": key, **about, "measured": measured}, allow_nan=False)
        if self._file is not None:
            self._write(self._file, line + "\n")
        # Read back, so that what is measured now and what is resumed later are the same to the bit.
        kept: dict[str, Any] = json.loads(line)["measured"]
        self._records[key] = kept
        return kept

    def _write(self, file: TextIO, line: str) -> None:
        try:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            self._file = None
            with suppress(OSError):  # what is left to be written cannot be
                file.close()
            raise WhylookError(
                f"Cannot write {file.name}: {error.strerror or error}; what was measured before is kept: make room, and run "
                "it again to go on."
            ) from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
