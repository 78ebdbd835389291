"""A clip while it is recorded: its events, and the files that it is written to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from actionstream.clips.clip import ClipFile
from actionstream.clips.disk import MakeRoom, write_whole
from actionstream.clips.paths import part_of
from actionstream.clips.ring import Ring
from actionstream.models.common.errors import ActionstreamError
from actionstream.packets import Packet
from actionstream.records import EventRecord
from actionstream.results import SCHEMA

QUIET_SECONDS = 10.0  # how long a clip waits for packets besides the time after the event


def json_of(description: dict[str, Any]) -> bytes:
    """The file beside a clip."""
    return (json.dumps(description, indent=2, ensure_ascii=False) + "\n").encode()


class Writer:
    """Writes the packets of a recording, to one file after another.

    A file ends, and the next one begins, where the track of the packets changes and when it has `longest_seconds`.

    stem     path of the files without suffix
    files    the files so far, the last of which may not be whole
    parts    the name of each MP4, and the time of its first picture on the clock of the stream
    encodes  called with the codec of packets that are encoded anew, at the begin of a file
    """

    def __init__(self, stem: Path, *, longest_seconds: float, make_room: MakeRoom, encodes: Callable[[str], None]):
        self.stem = stem
        self.files: list[Path] = []
        self.parts: list[dict[str, Any]] = []
        self._longest_seconds = longest_seconds
        self._make_room = make_room
        self._encodes = encodes
        self._file: ClipFile | None = None

    def push(self, packet: Packet) -> None:
        file = self._file
        if file is not None and packet.key and self._is_over(file, packet):
            self.close()
            file = None
        if file is None:
            if not packet.key:
                return
            path = part_of(self.stem, len(self.parts) + 1)
            self._file = file = ClipFile(path, packet, self._make_room)
            self.files.append(path)
            self.parts.append({"name": path.name, "start_seconds": round(file.start_seconds, 6)})
            if not file.copies:
                self._encodes(packet.track.codec)
        if packet.track == file.track:
            file.push(packet)

    def add_file(self, suffix: str, data: bytes) -> None:
        """Write a file beside the clip."""
        path = self.stem.with_name(self.stem.name + suffix)
        write_whole(path, data, self._make_room)
        if path not in self.files:
            self.files.append(path)

    def add_json(self, description: dict[str, Any]) -> None:
        self.add_file(".json", json_of(description))

    def close(self) -> None:
        """Finish the file that is open."""
        if not self.parts:
            raise ActionstreamError("the camera gave no pictures")
        if self._file is not None:
            self._file.close()
            self._file = None

    def abandon(self) -> None:
        """End after an error."""
        file, self._file = self._file, None
        if file is not None:
            file.abandon()

    def _is_over(self, file: ClipFile, packet: Packet) -> bool:
        return packet.track != file.track or packet.time_seconds - file.start_seconds >= self._longest_seconds


class Recording:
    """The clip of an event, and of others that share it.

    path      of the clip in the folder of clips
    ring      where the packets are
    first     the number of the first packet
    position  the number of the next packet to write
    writer    what writes them
    jpeg      the snapshot, until it is written
    until     the last time that the clip holds; None while an event goes on
    closed    whether no more events can share it
    changed   whether its events are others than those in the JSON

    The lock of the `Clips` guards `first`, `until`, `closed`, `changed`, `begun_seconds`, `update`, `has` and
    `to_dict`; all else belongs to its thread.
    """

    def __init__(
        self,
        stem: PurePosixPath,
        ring: Ring,
        position: int,
        writer: Writer,
        jpeg: bytes | None,
        *,
        after_seconds: float,
    ):
        self.path = str(stem.with_name(f"{stem.name}.mp4"))
        self.ring = ring
        self.first = self.position = position
        self.writer = writer
        self.jpeg = jpeg
        self.until: float | None = None
        self.closed = False
        self.changed = False
        self._snapshot = str(stem.with_name(f"{stem.name}.jpg")) if jpeg else None
        self._after_seconds = after_seconds
        self._events: dict[str, EventRecord] = {}
        self._heard = time.monotonic()

    def update(self, record: EventRecord) -> None:
        """Add an event, or set what is known of it by now."""
        self._events[record.id] = replace(record, clip=self.path, snapshot=record.snapshot or self._snapshot)
        ends = [event.end_seconds for event in self._events.values()]
        known = [end for end in ends if end is not None]
        self.until = max(known) + self._after_seconds if len(known) == len(ends) else None
        self.changed = True

    @property
    def begun_seconds(self) -> float:
        """The start of the first event."""
        return next(iter(self._events.values())).start_seconds

    def has(self, identifier: str) -> bool:
        return identifier in self._events

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "clip": self.path, "events": [event.to_dict() for event in self._events.values()]}

    def is_quiet(self, *, came: bool) -> bool:
        """Whether the camera has given no packets for long and no event goes on; `came`: it has just now."""
        if came or self.until is None:
            self._heard = time.monotonic()
        return time.monotonic() > self._heard + self._after_seconds + QUIET_SECONDS
