"""The store of a service: an SQLite database with the records of events, and how far each sink has got."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from actionstream.models.common.errors import ActionstreamError
from actionstream.records import EventRecord

FILE = "events.sqlite"
LAYOUT = 1
"""The layout of the tables, in `user_version` of the database."""
MOST_RECORDS = 1_000_000
"""The most records that are kept, also where a sink never takes them: about half a gigabyte."""
MOST_PICTURES = 10_000
"""Pictures are kept of so many of the newest records, also where a sink never takes them: about a gigabyte."""
TABLES = """
    CREATE TABLE records (
        number INTEGER PRIMARY KEY AUTOINCREMENT, wall REAL NOT NULL, body TEXT NOT NULL, picture BLOB
    );
    CREATE TABLE open_events (id TEXT PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE cursors (sink TEXT PRIMARY KEY, number INTEGER NOT NULL);
    CREATE TABLE switches (camera TEXT PRIMARY KEY, enabled INTEGER NOT NULL);
    CREATE TABLE heartbeat (only INTEGER PRIMARY KEY CHECK (only = 1), wall REAL NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A record with its number in the store, and the picture that came with it (JPEG)."""

    number: int
    record: EventRecord
    picture: bytes | None = None


class Store:
    """Records in order, cursors of sinks, open events, and switches; each call is one transaction, from any thread.

    A record stands on the disk (WAL, synchronous) before a sink can read it. An event that ended, or whose records
    were never stored, takes no further record: no id ends twice.

    Raises ActionstreamError where the folder cannot be used; sqlite3.Error of a call means that it changed nothing.
    """

    def __init__(self, folder: Path):
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=10)
        except (OSError, sqlite3.Error) as error:
            raise ActionstreamError(f"the state folder {folder} cannot be used: {error}") from error
        self._changed = threading.Condition(threading.RLock())
        try:
            self._open()
            self._newest = self._one("SELECT coalesce(max(seq), 0) FROM sqlite_sequence")
        except sqlite3.Error as error:
            self._database.close()
            why = f"{error}; if it is damaged, move it away to begin anew"
            raise ActionstreamError(f"the store {self.path} cannot be used: {why}") from error
        except ActionstreamError:
            self._database.close()
            raise

    def _open(self) -> None:
        run = self._database.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        (layout,) = run("PRAGMA user_version").fetchone()
        if layout == 0:
            self._database.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {LAYOUT}; COMMIT;")
        elif layout != LAYOUT:
            raise ActionstreamError(
                f"{self.path} has layout {layout}; this version of actionstream reads layout {LAYOUT}; "
                "move the file away to begin anew"
            )

    def append(self, told: Iterable[tuple[EventRecord, bytes | None]]) -> int:
        """Store records with their pictures, in order, and wake the sinks; returns how many were stored."""
        with self._changed:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                numbers = self._insert_all(told)
            self._tell(numbers)
        return len(numbers)

    def _insert_all(self, told: Iterable[tuple[EventRecord, bytes | None]]) -> list[int]:
        return [number for each in told if (number := self._insert(*each))]

    def _tell(self, numbers: Sequence[int]) -> None:
        """Wake the sinks, after a transaction with these new records."""
        self._newest = max(numbers, default=self._newest)
        self._changed.notify_all()

    def _insert(self, record: EventRecord, picture: bytes | None) -> int | None:
        """Store a record; returns its number, or None where its event takes no such record."""
        run = self._database.execute
        is_open = run("SELECT 1 FROM open_events WHERE id = ?", [record.id]).fetchone() is not None
        if is_open == (record.type == "new"):
            return None
        body = json.dumps(asdict(record), ensure_ascii=False)
        if record.type == "end":
            run("DELETE FROM open_events WHERE id = ?", [record.id])
        else:
            run("REPLACE INTO open_events VALUES (?, ?)", [record.id, body])
        wall = record.start_wall if record.end_wall is None else record.end_wall
        return run("INSERT INTO records (wall, body, picture) VALUES (?, ?, ?)", [wall, body, picture]).lastrowid

    def open_events(self) -> list[EventRecord]:
        """The last record of each event that has not ended, the oldest event first."""
        with self._changed:
            rows = self._database.execute("SELECT body FROM open_events ORDER BY id").fetchall()
        return [EventRecord(**json.loads(body)) for (body,) in rows]

    def after(self, sink: str, count: int) -> list[Stored]:
        """The next records for a sink, in order."""
        with self._changed:
            rows = self._database.execute(
                "SELECT number, body, picture FROM records WHERE number > (SELECT number FROM cursors WHERE sink = ?) "
                "ORDER BY number LIMIT ?",
                [sink, count],
            ).fetchall()
        return [Stored(number, EventRecord(**json.loads(body)), picture) for number, body, picture in rows]

    @property
    def newest(self) -> int:
        """The number of the newest record so far; 0 before the first one."""
        with self._changed:
            return self._newest

    def wait(self, number: int, seconds: float) -> None:
        """Wait until there is a record after this number, or for a time."""
        with self._changed:
            if self._newest <= number:
                self._changed.wait(seconds)

    def wake(self) -> None:
        """Wake those who wait."""
        with self._changed:
            self._changed.notify_all()

    def taken(self, sink: str, number: int) -> None:
        """A sink has taken all records up to this number."""
        with self._changed, self._database:
            self._database.execute("UPDATE cursors SET number = ? WHERE sink = ?", [number, sink])

    def set_sinks(self, sinks: Sequence[str]) -> None:
        """Keep cursors for these sinks: a new one begins with the next record; those of other sinks are removed."""
        with self._changed, self._database:
            self._database.execute("BEGIN IMMEDIATE")
            marks = ", ".join("?" * len(sinks))
            self._database.execute(f"DELETE FROM cursors WHERE sink NOT IN ({marks})", list(sinks))
            for sink in sinks:
                self._database.execute("INSERT OR IGNORE INTO cursors VALUES (?, ?)", [sink, self._newest])

    def backlog(self, sink: str) -> int:
        """The number of records that a sink has not taken."""
        return self._one(
            "SELECT count(*) FROM records WHERE number > (SELECT number FROM cursors WHERE sink = ?)", [sink]
        )

    def prune(self, before_wall: float, *, most: int = MOST_RECORDS) -> int:
        """Delete records from before a time that all sinks have taken, and pictures that all have or that are too many.

        Returns how many records were deleted before a sink had taken them, since there were more than `most`.
        """
        with self._changed, self._database:
            self._database.execute("BEGIN IMMEDIATE")
            taken = self._one("SELECT coalesce(min(number), ?) FROM cursors", [self._newest])
            self._database.execute("DELETE FROM records WHERE number <= ? AND wall < ?", [taken, before_wall])
            self._database.execute(
                "UPDATE records SET picture = NULL WHERE number <= ? AND picture IS NOT NULL",
                [max(taken, self._newest - MOST_PICTURES)],
            )
            oldest = self._newest - most
            lost = self._one("SELECT count(*) FROM records WHERE number <= ? AND number > ?", [oldest, taken])
            self._database.execute("DELETE FROM records WHERE number <= ?", [oldest])
        return lost

    def beat(self, wall: float) -> None:
        """Note that the service is alive at this time (seconds since 1970)."""
        with self._changed, self._database:
            self._database.execute("REPLACE INTO heartbeat VALUES (1, ?)", [wall])

    def last_beat(self) -> float | None:
        """The time of the last `beat`, before this start of the service."""
        with self._changed:
            row = self._database.execute("SELECT wall FROM heartbeat").fetchone()
        return None if row is None else row[0]

    def set_enabled(self, camera: str, enabled: bool) -> None:
        """Keep the switch of a camera."""
        with self._changed, self._database:
            self._database.execute("REPLACE INTO switches VALUES (?, ?)", [camera, enabled])

    def enabled(self, camera: str) -> bool:
        """The switch of a camera; on unless it was set."""
        with self._changed:
            row = self._database.execute("SELECT enabled FROM switches WHERE camera = ?", [camera]).fetchone()
        return row is None or bool(row[0])

    def close(self) -> None:
        """Close the database; all calls after this raise."""
        with self._changed:
            self._database.close()
            self._changed.notify_all()

    def _one(self, query: str, values: Sequence[object] = ()) -> int:
        with self._changed:
            return self._database.execute(query, values).fetchone()[0]
