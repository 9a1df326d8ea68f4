"""What outlives the server: jobs and pictures in a database, their files beside it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from whylook.errors import WhylookError
from whylook.web.errors import Busy, NotFound
from whylook.web.jobs.job import INTERRUPTED, Job, new_id

_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, request TEXT NOT NULL, of TEXT, state TEXT NOT NULL, error TEXT,
  created REAL NOT NULL, started REAL, finished REAL, expires REAL NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (created);
CREATE INDEX IF NOT EXISTS jobs_by_of ON jobs (of);
CREATE TABLE IF NOT EXISTS pictures (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, notes TEXT NOT NULL,
  created REAL NOT NULL, expires REAL NOT NULL);
"""
_VERSION = 1
_JOB = ("id", "kind", "request", "of", "state", "error", "created", "started", "finished", "expires")
_ROOM = 500_000_000  # bytes of the disk that are left free
RESULT = "result.json"  # written last: a folder that has it is whole


@dataclass(frozen=True)
class Picture:
    """A picture that was handed in; `name` is what its owner calls it, shown as text and used for nothing else."""

    id: str
    name: str
    width: int
    height: int
    notes: tuple[str, ...] = ()
    created: float = 0.0
    expires: float = 0.0


class Store:
    """The database and the folders of one server; no second server can open them at the same time.

    Parameters
    ----------
    folder : made where it is not there, for its owner only.
    keep : seconds that things are kept.

    Raises
    ------
    WhylookError
        If the folder cannot be made or written to, another server has it, or a later version of whylook wrote it.
    """

    def __init__(self, folder: Path, keep: float) -> None:
        self.root, self.keep = folder, keep
        self._lock = threading.RLock()
        try:
            for place in (folder, folder / "results", folder / "pictures"):
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
                place.chmod(0o700)
        except OSError as error:
            reason = error.strerror or error
            raise WhylookError(f"The data folder {folder} cannot be used: {reason}; name another (--data).") from error
        self._database = self._opened(folder / "whylook.db")

    def _opened(self, file: Path) -> sqlite3.Connection:
        database = sqlite3.connect(file, check_same_thread=False, isolation_level=None, timeout=0.5)
        database.row_factory = sqlite3.Row
        try:
            # Held until the process ends, whatever ends it: the one lock that keeps a second server out.
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute("BEGIN EXCLUSIVE")
            found = database.execute("PRAGMA user_version").fetchone()[0]
            if found > _VERSION:
                raise WhylookError(
                    f"The data in {file.parent} are of a later version of whylook; name another folder (--data)."
                )
            database.execute("COMMIT")
            database.executescript(_TABLES)
            database.execute(f"PRAGMA user_version={_VERSION}")
            if os.name == "posix":
                file.chmod(0o600)
        except sqlite3.Error as error:
            database.close()
            if "locked" in str(error):
                raise WhylookError(
                    f"Another whylook serve uses the data folder {file.parent}; stop it, or name another folder (--data)."
                ) from error
            raise WhylookError(
                f"The database {file} cannot be read ({error}); move it away, or name another folder (--data)."
            ) from error
        except WhylookError:
            database.close()
            raise
        return database

    @contextmanager
    def _written(self) -> Iterator[sqlite3.Connection]:
        """One transaction of the one writer."""
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                self._rollback()
                raise WhylookError(f"The data folder cannot be written to: {error}.") from error
            except BaseException:
                self._rollback()
                raise

    def _rollback(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def _rows(self, query: str, values: Iterable[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._database.execute(query, tuple(values)).fetchall()

    def check_room(self) -> None:
        """Raise `Busy` where the disk is nearly full, so that nothing else on the machine has to suffer."""
        if shutil.disk_usage(self.root).free < _ROOM:
            raise Busy(
                f"The server's disk is nearly full (less than {_ROOM // 10**6} MB are free); remove results first."
            )

    # Jobs

    def add(self, kind: str, request: Mapping[str, Any], of: str | None = None) -> Job:
        """Keep a new job, which is queued."""
        now = time.time()
        job = Job(new_id(), kind, request, of, created=now, expires=now + self.keep)
        with self._written() as database:
            marks = ", ".join("?" * len(_JOB))
            database.execute(f"INSERT INTO jobs ({', '.join(_JOB)}) VALUES ({marks})", _values(job))
            for ref in request.get("pictures", ()):  # a picture stays as long as what was made of it
                kind_of, _, name = str(ref).partition(":")
                if kind_of == "upload":
                    database.execute("UPDATE pictures SET expires = max(expires, ?) WHERE id = ?", (job.expires, name))
        return job

    def change(self, job: Job, **fields: Any) -> Job:
        """Keep what has become of a job."""
        changed = replace(job, **fields)
        marks = ", ".join(f"{name} = ?" for name in _JOB[1:])
        with self._written() as database:
            database.execute(f"UPDATE jobs SET {marks} WHERE id = ?", (*_values(changed)[1:], changed.id))
        return changed

    def job(self, name: str) -> Job:
        """Return the job called `name`.

        Raises
        ------
        NotFound
            If there is none, or it has expired.
        """
        rows = self._rows("SELECT * FROM jobs WHERE id = ? AND expires > ?", (name, time.time()))
        if not rows:
            raise NotFound("There is no such job: it was removed, or its time has run out.")
        return _job(rows[0])

    def jobs(self, most: int = 200) -> list[Job]:
        """Return the jobs, newest first."""
        query = "SELECT * FROM jobs WHERE expires > ? ORDER BY created DESC, rowid DESC LIMIT ?"
        return [_job(row) for row in self._rows(query, (time.time(), most))]

    def about(self, of: str) -> list[Job]:
        """Return the jobs that are about the result of another, oldest first."""
        return [_job(r) for r in self._rows("SELECT * FROM jobs WHERE of = ? ORDER BY created, rowid", (of,))]

    def remove(self, job: Job) -> None:
        """Take away a job, its files, those about it, and its pictures that no other job is of."""
        for one in (*self.about(job.id), job):
            with self._written() as database:
                database.execute("DELETE FROM jobs WHERE id = ?", (one.id,))
            shutil.rmtree(self.folder(one), ignore_errors=True)
        for ref in map(str, job.request.get("pictures", ())):
            kind, _, name = ref.partition(":")
            if kind == "upload" and not self._rows("SELECT 1 FROM jobs WHERE instr(request, ?) LIMIT 1", (ref,)):
                self.remove_picture(name)

    def folder(self, job: Job) -> Path:
        """Where the files of a job lie; it may not be there yet."""
        return self.root / "results" / job.id

    def recovered(self, kinds: Iterable[str]) -> list[Job]:
        """Set right what a stop of the server left of the jobs of these kinds, and return those that wait, oldest first.

        What was running is done where its result is whole, and interrupted otherwise.
        """
        mine = set(kinds)
        for job in map(_job, self._rows("SELECT * FROM jobs WHERE state = 'running'")):
            if job.kind not in mine:
                continue
            if (self.folder(job) / RESULT).is_file():
                self.change(job, state="done", finished=time.time())
            else:
                shutil.rmtree(self.folder(job), ignore_errors=True)
                self.change(job, state="interrupted", error=INTERRUPTED, finished=time.time())
        rows = self._rows("SELECT * FROM jobs WHERE state = 'queued' ORDER BY created, rowid")
        return [job for job in map(_job, rows) if job.kind in mine]

    # Pictures

    def add_picture(self, picture: Picture) -> None:
        """Keep what is known of a picture, whose file lies at `picture_file` already."""
        values = (
            picture.id, picture.name, picture.width, picture.height, json.dumps(picture.notes), picture.created,
            picture.expires,
        )  # fmt: skip
        with self._written() as database:
            database.execute("INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def picture(self, name: str) -> Picture:
        """Return what is known of the picture called `name`.

        Raises
        ------
        NotFound
            If there is none, or it has expired.
        """
        rows = self._rows("SELECT * FROM pictures WHERE id = ? AND expires > ?", (name, time.time()))
        if not rows:
            raise NotFound("There is no such picture: its time has run out; hand it in again.")
        row = dict(rows[0])
        return Picture(**{**row, "notes": tuple(json.loads(row["notes"]))})

    def remove_picture(self, name: str) -> None:
        """Take away a picture and its file."""
        with self._written() as database:
            database.execute("DELETE FROM pictures WHERE id = ?", (name,))
        self.picture_file(name).unlink(missing_ok=True)

    def picture_file(self, name: str) -> Path:
        """Where the bytes of a picture lie, or would."""
        return self.root / "pictures" / name

    # Both

    def purge(self, now: float | None = None) -> int:
        """Take away what has expired, and files that belong to nothing; return how many jobs and pictures went."""
        at = time.time() if now is None else now
        gone = 0
        for row in self._rows("SELECT * FROM jobs WHERE expires <= ? AND state NOT IN ('queued', 'running')", (at,)):
            self.remove(_job(row))
            gone += 1
        with self._lock:
            for row in self._rows("SELECT id FROM pictures WHERE expires <= ?", (at,)):
                self.remove_picture(row["id"])
                gone += 1
            for table, place in (("jobs", "results"), ("pictures", "pictures")):
                known = {row["id"] for row in self._rows(f"SELECT id FROM {table}")}
                for entry in (self.root / place).iterdir():
                    if entry.name not in known and entry.stat().st_mtime < at - 3600:  # not what is just being written
                        shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
        return gone

    def close(self) -> None:
        """Let go of the folder."""
        with self._lock:
            self._database.close()


def _values(job: Job) -> tuple[Any, ...]:
    return (
        job.id, job.kind, json.dumps(dict(job.request)), job.of, job.state, job.error, job.created, job.started,
        job.finished, job.expires,
    )  # fmt: skip


def _job(row: sqlite3.Row) -> Job:
    known = dict(row)
    return Job(**{**known, "request": json.loads(known["request"])})
