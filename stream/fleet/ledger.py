"""The ledger of a fleet: who holds which camera, and what cameras without a holder have left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set

from actionstream.fleet.messages import Left
from actionstream.fleet.store import FleetStore, Lease
from actionstream.records import EventRecord
from actionstream.serve.event_records import ended_at


class Ledger:
    """The leases of a store, by camera and by instance. sqlite3.Error of a call means that it changed nothing.

    leases  by camera
    left    what the streams of cameras have left for the next holder, and since when they wait for one
    """

    def __init__(self, store: FleetStore):
        self._store = store
        self.leases = store.leases()
        self.left: dict[str, tuple[Left, float]] = {}
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        for camera, lease in self.leases.items():
            self._held[lease.instance].add(camera)

    def held(self, instance: str) -> Set[str]:
        """The cameras of an instance."""
        return self._held.get(instance, frozenset())

    def instances(self) -> dict[str, str]:
        """The nodes of the instances that hold cameras."""
        return {instance: self.leases[next(iter(cameras))].node for instance, cameras in self._held.items() if cameras}

    def lease(self, wanted: Mapping[str, tuple[str, str]]) -> None:
        """Give cameras that have no holder to nodes and their instances."""
        made = self._store.lease(wanted)
        self.leases |= made
        for camera, lease in made.items():
            self._held[lease.instance].add(camera)

    def end(self, cameras: Iterable[str], *, reason: str, last_wall: float) -> None:
        """End the leases of cameras, and their open events.

        last_wall  when their holder was known to be alive last, seconds since 1970
        """
        cameras = set(cameras)
        records = [record for record in self._store.open_events() if record.camera in cameras]
        self._end(cameras, [ended_at(record, last_wall, reason=reason) for record in records])
        for camera in cameras:
            self.left.pop(camera, None)

    def release(self, camera: str, left: Left | None, *, now: float, wall: float) -> None:
        """A holder has given a camera back: the events that its stream knows stay open.

        now   in seconds of a clock that only goes on
        wall  the same in seconds since 1970, at which the other events end
        """
        known = left.open_events if left else frozenset()
        lost = [record for record in self.open_events(camera) if record.id not in known]
        self._end({camera}, [ended_at(record, wall, reason="moved") for record in lost])
        self.left.pop(camera, None)
        if left is not None:
            self.left[camera] = left, now

    def give_up(self, camera: str) -> None:
        """End the lease of a camera whose holder does not know of it; what was left waits for the next one."""
        self._end({camera}, ())

    def end_what_nobody_holds(self, *, reason: str, last_wall: float) -> None:
        """End the open events of cameras without a holder."""
        self.end(
            {record.camera for record in self._store.open_events()} - self.leases.keys(),
            reason=reason,
            last_wall=last_wall,
        )

    def open_events(self, camera: str) -> list[EventRecord]:
        """The last records of the events of a camera that go on."""
        return [record for record in self._store.open_events() if record.camera == camera]

    def _end(self, cameras: Iterable[str], records: Iterable[EventRecord]) -> None:
        self._store.end_leases(cameras, records)
        for camera in cameras:
            lease: Lease | None = self.leases.pop(camera, None)
            if lease is not None:
                self._held[lease.instance].discard(camera)
                if not self._held[lease.instance]:
                    del self._held[lease.instance]
