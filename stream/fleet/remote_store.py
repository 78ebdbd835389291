"""The store of an agent: it sends records to the coordinator, in numbered batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from actionstream.fleet.messages import Orders, Report
from actionstream.records import EventRecord
from actionstream.serve.recorder import NotStored

MOST_AT_ONCE = 500
"""Records in a batch."""

Told = Sequence[tuple[EventRecord, bytes | None]]
"""Records with their pictures."""


class Unreachable(Exception):
    """The coordinator does not answer now, or cannot store anything."""


class Link(Protocol):
    """The way to the coordinator; each call raises Unreachable where it does not answer."""

    def report(self, report: Report) -> Orders: ...

    def append(self, instance: str, number: int, fences: Mapping[str, int], told: Told) -> bool: ...


class RemoteStore:
    """Passes the records of the recorder on, in the recorder's thread.

    A batch whose answer was lost is sent again as it was, with the same number, so that it counts once. Where the
    coordinator refuses a batch, the agent's leases are others' now: from then on all records are dropped.

    fences  of the leases that the agent holds, by camera

    is_lost  whether the leases are others' now
    """

    def __init__(self, link: Link, instance: str):
        self.fences: dict[str, int] = {}
        self.is_lost = False
        self._link = link
        self._instance = instance
        self._number = 1
        self._size: int | None = None  # of the batch with this number, once it may have arrived
        self._num_stored = 0  # of the records at the front, as long as not all are

    def append(self, told: Told) -> int:
        """Send records; those that an earlier call has sent, and that failed later, are at the front again.

        Raises NotStored where not all have arrived for sure.
        """
        while self._num_stored < len(told) and not self.is_lost:
            self._size = self._size or min(MOST_AT_ONCE, len(told) - self._num_stored)
            batch = told[self._num_stored : self._num_stored + self._size]
            fences = {record.camera: self.fences.get(record.camera, 0) for record, _ in batch}
            try:
                self.is_lost = not self._link.append(self._instance, self._number, fences, batch)
            except Unreachable as error:
                raise NotStored(str(error)) from error
            self._num_stored += self._size
            self._number, self._size = self._number + 1, None
        self._num_stored = 0
        return len(told)
