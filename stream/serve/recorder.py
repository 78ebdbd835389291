"""The recorder: it makes records of events from updates, stores them, and only then lets anyone know."""

from __future__ import annotations

import io
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from actionstream.frame import Frame
from actionstream.live.watched_stream import Resume
from actionstream.models.common.errors import in_a_line, where
from actionstream.records import EventRecord
from actionstream.results import Counts, Notice, Update
from actionstream.serve.board import Board, Fact
from actionstream.serve.event_records import EventRecords
from actionstream.sources import SourceError

MOST_WAITING = 10_000
"""Updates in the queue; while there are more, as the disk hangs, those without events are dropped, and pictures."""
MOST_UNSTORED = 100_000
"""Records that wait for a disk that cannot be written; further ones are lost, and counted."""
MOST_PICTURES = 1000
"""Pictures are kept of so many of them, and while no more updates are in the queue."""
RETRY_SECONDS = 1.0
JPEG_QUALITY = 85


class NotStored(Exception):
    """A store on another machine has taken nothing now; the recorder tries again."""


class RecordStore(Protocol):
    """Where records go: `Store`, or one on another machine."""

    def append(self, told: Sequence[tuple[EventRecord, bytes | None]]) -> int: ...


class CameraMetrics(Protocol):
    """The part of `Metrics` that the recorder uses."""

    def latency(self, camera: str, seconds: float) -> None: ...

    def event(self, camera: str, label: str) -> None: ...

    def reconnect(self, camera: str) -> None: ...

    def closed(self, camera: str, counts: Counts) -> None: ...


class ClipFiles(Protocol):
    """The part of `actionstream.clips.Clips` that the recorder uses."""

    def begin(self, record: EventRecord, picture: bytes | None) -> str: ...

    def end(self, record: EventRecord) -> None: ...

    def forget(self, name: str) -> None: ...


@dataclass
class RecordedCamera:
    """What the recorder knows of a camera.

    streams    the events of its streams, by their names in the engine
    snapshots  whether an event keeps a picture of its start
    clips      what writes its clips; None: nothing
    ending     why its events end when its source is closed
    goes_on    whether they stay open then, as the camera goes on elsewhere
    resume     what its stream leaves in that case
    closed     its last notice, after all before it is stored
    frames     the last one of each stream
    """

    name: str
    streams: dict[str, EventRecords]
    snapshots: bool = False
    clips: ClipFiles | None = None
    ending: str = "source ended"
    goes_on: bool = False
    resume: Resume | None = None
    closed: Notice | None = None
    frames: dict[str, Frame] = field(default_factory=dict)

    def go_on(self, resume: Resume | None) -> None:
        """Note that the camera goes on elsewhere, from what its stream leaves."""
        self.goes_on, self.resume = True, resume


class _Item(NamedTuple):
    """An update of a camera without its frame, and the picture of the frame where an event wants it."""

    camera: RecordedCamera
    update: Update
    image: np.ndarray | None


class Recorder:
    """Takes the updates of all cameras without waiting; the work is done in a thread of its own.

    say   shows a line of text to the user
    lost  the number of records that were lost, as the store could not be written for too long
    """

    def __init__(
        self,
        store: RecordStore,
        board: Board,
        metrics: CameraMetrics,
        *,
        say: Callable[[str], None],
    ):
        self.lost = 0
        self._store = store
        self._board = board
        self._metrics = metrics
        self._say = say
        self._waiting: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._given: list[EventRecord] = []
        self._unstored: list[tuple[EventRecord, bytes | None]] = []
        self._lost_events: set[str] = set()  # whose new records were lost, until they end
        self._retry_at: float | None = None  # None while the store can be written
        self._faults: set[tuple[type, str]] = set()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def push(self, camera: RecordedCamera, update: Update) -> None:
        """Take an update of a camera; called by the thread of its engine."""
        if update.frame is not None:
            camera.frames[update.stream] = update.frame
            if update.prediction is not None:
                self._metrics.latency(camera.name, update.prediction.latency_ms / 1000)
        frame, update = camera.frames.get(update.stream), replace(update, frame=None)
        starts = camera.snapshots and any(event.event == "start" for event in update.events)
        with self._changed:
            length = len(self._waiting)
            if length >= MOST_WAITING and not update.events and update.notice is None:
                return
            wanted = frame if starts and length < MOST_PICTURES else None
        image = None
        if wanted is not None:
            with suppress(SourceError):  # the source has ended, and the picture is gone with it
                image = wanted.image
        with self._changed:
            self._waiting.append(_Item(camera, update, image))
            self._changed.notify()

    def store(self, records: Iterable[EventRecord]) -> None:
        """Store records that come from no update."""
        with self._changed:
            self._given += records
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """The number of updates and records that are not stored yet."""
        return len(self._waiting) + len(self._given) + len(self._unstored)

    def has_unstored(self, camera: str) -> bool:
        """Whether records of a camera that is closed are not stored yet."""
        with self._changed:
            given = list(self._given)
        return any(record.camera == camera for record in (*given, *(record for record, _ in list(self._unstored))))

    def stop(self) -> None:
        """Store what waits, and end; records that cannot be stored are lost."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._given and not self._stopped:
                    self._changed.wait(RETRY_SECONDS if self._unstored else None)
                items, self._waiting = self._waiting, deque()
                self._unstored += [(record, None) for record in self._given]
                self._given.clear()
                stopped = self._stopped
            for item in items:
                self._or_tell(partial(self._take, item))
            self._or_tell(self._store_all)
            for camera in {item.camera.name: item.camera for item in items}.values():
                self._or_tell(partial(self._show, camera))
            for item in items:
                if item.update.notice is not None and item.update.notice.event == "close":
                    self._close(item.camera, item.update.notice)
            if stopped:
                return

    def _close(self, camera: RecordedCamera, notice: Notice) -> None:
        if camera.clips is not None:
            camera.clips.forget(camera.name)
        camera.closed = notice

    def _or_tell(self, work: Callable[[], None]) -> None:
        """Do a part of the work; a fault of ours in it is said once, and the rest goes on."""
        try:
            work()
        except Exception as error:  # noqa: BLE001
            fault = type(error), where(error)
            if fault not in self._faults:
                self._say(in_a_line(error))
            self._faults.add(fault)

    def _take(self, item: _Item) -> None:
        """Make the records of an update; the status of its camera goes to the board."""
        camera, update = item.camera, item.update
        records: list[EventRecord] = []
        if update.prediction is not None:
            self._board.set(Fact("status", camera.name), ("live", None))
            records += camera.streams[update.stream].push(update.prediction)
        for event in () if update.prediction else update.events:
            records += camera.streams[event.stream].end([event], reason=camera.ending)
        if update.notice is not None:
            records += self._notice(camera, update.notice)
        for record in records:  # the ends come first: a fault of a picture or a clip does not lose them
            self._unstored.append(self._with_files(camera, record, item.image))

    def _notice(self, camera: RecordedCamera, notice: Notice) -> list[EventRecord]:
        """Set the status of a camera; while it is disconnected, no event of it goes on."""
        if notice.event == "reconnect":
            self._metrics.reconnect(camera.name)
        if notice.counts is not None:
            self._metrics.closed(camera.name, notice.counts)
        if notice.event in ("connect", "reconnect"):
            self._board.set(Fact("status", camera.name), ("live", None))
        if notice.event not in ("disconnect", "retry", "close") or camera.goes_on:
            return []
        if notice.event != "close":  # why it closed is known to the service
            self._board.set(Fact("status", camera.name), ("disconnected", notice.reason))
        reason = camera.ending if notice.event == "close" else "disconnect"
        ended = (
            each.end_all(notice.time_seconds, notice.wall_seconds, reason=reason) for each in camera.streams.values()
        )
        return [record for records in ended for record in records]

    def _with_files(
        self, camera: RecordedCamera, record: EventRecord, image: np.ndarray | None
    ) -> tuple[EventRecord, bytes | None]:
        picture = None
        if record.type == "new":
            picture = None if image is None else _jpeg(image)
            if camera.clips is not None:
                clip = camera.clips.begin(record, picture)
                events = next(each for each in camera.streams.values() if each.region == record.region)
                snapshot = None if picture is None else str(Path(clip).with_suffix(".jpg"))
                events.set_files(record.id, clip=clip, snapshot=snapshot)
                record = replace(record, clip=clip, snapshot=snapshot)
        elif record.type == "end" and camera.clips is not None:
            camera.clips.end(record)
        return record, picture

    def _show(self, camera: RecordedCamera) -> None:
        """Put the open events of a camera on the board, after their records are stored."""
        for events in camera.streams.values():
            self._board.set(Fact("label", camera.name, events.region), events.best_label)
            for label, is_open in events.labels.items():
                self._board.set(Fact("on", camera.name, events.region, label), is_open)

    def _store_all(self) -> None:
        early = self._retry_at is not None and monotonic() < self._retry_at and not self._stopped
        if not self._unstored or early:
            return
        try:
            self._store.append(self._unstored)
        except (sqlite3.Error, NotStored) as error:
            if self._retry_at is None:
                self._say(f"events cannot be stored: {error}; they wait in memory")
            self._retry_at = monotonic() + RETRY_SECONDS
            self._lose_what_is_too_much()
            return
        if self._retry_at is not None:
            self._say(f"events are stored again; {self.lost:,} records were lost so far")
        self._retry_at = None
        self._lost_events.clear()  # the store takes no more records of them
        for record, _ in self._unstored:
            if record.type == "new":
                self._metrics.event(record.camera, record.label)
        self._unstored.clear()

    def _lose_what_is_too_much(self) -> None:
        """Lose pictures and records beyond what may wait, but no end of an event whose new record is kept."""
        kept = [
            (record, picture if number < MOST_PICTURES else None)
            for number, (record, picture) in enumerate(self._unstored[:MOST_UNSTORED])
        ]
        for record, _ in self._unstored[MOST_UNSTORED:]:
            if record.type == "end" and record.id not in self._lost_events:
                kept.append((record, None))
                continue
            self.lost += 1
            if record.type == "new":
                self._lost_events.add(record.id)
            elif record.type == "end":
                self._lost_events.remove(record.id)
        self._unstored = kept


def _jpeg(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
