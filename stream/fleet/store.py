"""The store of a fleet: that of a service, with leases of cameras, and batches of records that count once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from actionstream.records import EventRecord
from actionstream.serve.store import Store

TABLES = """
    CREATE TABLE IF NOT EXISTS leases (
        fence INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT UNIQUE NOT NULL, node TEXT NOT NULL, instance TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS batches (sender TEXT PRIMARY KEY, number INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS draining (node TEXT PRIMARY KEY);
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of an agent to tell of a camera.

    fence  grows with each lease: it says which of two is the newer one
    """

    fence: int
    node: str
    instance: str


class FleetStore(Store):
    """A `Store` with tables of its own for a fleet; each call is one transaction, from any thread."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        with self._changed:
            self._database.executescript(TABLES)

    def append_once(self, sender: str, number: int, told: Iterable[tuple[EventRecord, bytes | None]]) -> int:
        """Store a batch of records as `append` does, unless a batch of the sender with this number has come before.

        A sender numbers its batches from 1 on. Returns how many records were stored.
        """
        with self._changed:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                row = self._database.execute("SELECT number FROM batches WHERE sender = ?", [sender]).fetchone()
                if row is not None and number <= row[0]:
                    return 0
                self._database.execute("REPLACE INTO batches VALUES (?, ?)", [sender, number])
                numbers = self._insert_all(told)
            self._tell(numbers)
        return len(numbers)

    def leases(self) -> dict[str, Lease]:
        """All leases, by camera."""
        with self._changed:
            rows = self._database.execute("SELECT camera, fence, node, instance FROM leases").fetchall()
        return {camera: Lease(*values) for camera, *values in rows}

    def lease(self, wanted: Mapping[str, tuple[str, str]]) -> dict[str, Lease]:
        """Make leases of cameras that have none: for each camera a node and an instance."""
        with self._changed, self._database:
            self._database.execute("BEGIN IMMEDIATE")
            made = {}
            for camera, (node, instance) in wanted.items():
                values = [camera, node, instance]
                place = self._database.execute("INSERT INTO leases (camera, node, instance) VALUES (?, ?, ?)", values)
                made[camera] = Lease(place.lastrowid or 0, node, instance)
        return made

    def end_leases(self, cameras: Iterable[str], records: Iterable[EventRecord]) -> None:
        """End leases, and store records with that: what the holders tell from now on is refused."""
        with self._changed:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany("DELETE FROM leases WHERE camera = ?", [[camera] for camera in cameras])
                numbers = self._insert_all((record, None) for record in records)
            self._tell(numbers)

    def forget_senders(self, known: Iterable[str]) -> None:
        """Forget the batches of all senders but these."""
        with self._changed, self._database:
            self._database.execute("BEGIN IMMEDIATE")
            rows = self._database.execute("SELECT sender FROM batches").fetchall()
            gone = {sender for (sender,) in rows} - set(known)
            self._database.executemany("DELETE FROM batches WHERE sender = ?", [[sender] for sender in gone])

    def draining(self) -> set[str]:
        """The nodes that drain."""
        with self._changed:
            return {node for (node,) in self._database.execute("SELECT node FROM draining").fetchall()}

    def set_draining(self, nodes: Iterable[str]) -> None:
        """Keep which nodes drain."""
        with self._changed, self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("DELETE FROM draining")
            self._database.executemany("INSERT INTO draining VALUES (?)", [[node] for node in nodes])
