"""Clips of events: the packets of cameras go through memory to files, in one thread for all cameras."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from actionstream.clips.disk import write_whole
from actionstream.clips.paths import stem_of
from actionstream.clips.recording import Recording, Writer, json_of
from actionstream.clips.retention import Retention
from actionstream.clips.ring import Ring
from actionstream.models.common.errors import ActionstreamError, in_a_line
from actionstream.packets import Packet
from actionstream.records import EventRecord

LATE_SECONDS = 10.0  # how long after its start an event may begin, besides the time before it
POLL_SECONDS = 1.0
TIDY_SECONDS = 60.0
CLOSE_SECONDS = 10.0
MOST_RECORDINGS = 8  # of a camera: more only come where the disk stalls, and then events share the last one


class Clips:
    """Writes a clip for each event, from `before_seconds` before its start to `after_seconds` after its end.

        clips = Clips("clips", say=print)
        watch.add("rtsp://camera/stream", name="door", packets=clips.camera("door"))
        path = clips.begin(record, None)
        clips.end(record)
        clips.close()

    A clip begins at the last key frame before that. Events of one camera share a clip, as long as it holds what is
    before their start. Packets of H.264 and H.265 are copied; all others are encoded anew, and `say` tells it. Beside
    <camera>/<date>/<time>_<label>_<id>.mp4 are the snapshot (.jpg) and the events (.json); where the pictures of the
    camera change their size, and after `longest_seconds`, the clip goes on in <...>_2.mp4; an event that begins after
    that has a clip of its own. A clip is there under its name when it is whole; what a killed process leaves is
    finished by the next one.

    folder         folder of the clips; it may have other files
    say            gets messages for the user, each once as long as it is true
    keep_days      clips are deleted when they are older
    keep_bytes     the oldest clips are deleted where all together are larger, and where the disk is full
    memory_bytes   memory for the packets of one camera; on a disk that is too slow, clips lose packets beyond it
    clock          seconds since 1970

    counts  clips "written", "failed" (of which a part may be there) and "deleted", events that "shared" a clip
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        say: Callable[[str], object],
        before_seconds: float = 5.0,
        after_seconds: float = 5.0,
        keep_days: float = 7.0,
        keep_bytes: float = 10e9,
        memory_bytes: float = 64e6,
        longest_seconds: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ):
        self._folder = Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ActionstreamError(f"{folder} cannot be the folder of clips: {error.strerror}") from error
        self._say = say
        self._before_seconds = before_seconds
        self._after_seconds = after_seconds
        self._memory_bytes = memory_bytes
        self._longest_seconds = longest_seconds
        self._retention = Retention(self._folder, keep_days=keep_days, keep_bytes=keep_bytes, clock=clock)
        self._lock = threading.Lock()
        self._rings: dict[str, Ring] = {}
        self._recordings: dict[str, list[Recording]] = {}
        self._counts: Counter[str] = Counter()
        self._failing: set[str] = set()  # cameras whose last clip failed; "" is the folder
        self._late: deque[EventRecord] = deque()  # ends of events whose clips are over
        self._encoded: set[str] = set()  # cameras whose packets are encoded anew
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="clips", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> Counter[str]:
        with self._lock:
            return self._counts + Counter(deleted=self._retention.deleted)

    def camera(self, name: str) -> Callable[[Sequence[Packet]], None]:
        """What takes the packets of a camera, for `Watch.add`."""
        with self._lock:
            return self._ring(name).extend

    def begin(self, record: EventRecord, jpeg: bytes | None) -> str:
        """An event has begun; returns the path of its clip in the folder, before there is one. It never waits for the
        disk.

        jpeg  snapshot of the event, for a clip of its own
        """
        with self._lock:
            ring = self._ring(record.camera)
            position = ring.position(record.start_seconds - self._before_seconds)
            recordings = self._recordings.setdefault(record.camera, [])
            recording = _shared(recordings, record.start_seconds, position, self._longest_seconds)
            if recording is None:
                stem = stem_of(record)
                writer = Writer(
                    self._folder / stem,
                    longest_seconds=self._longest_seconds,
                    make_room=self._retention.delete_oldest,
                    encodes=partial(self._tell_encoded, record.camera),
                )
                recording = Recording(stem, ring, position, writer, jpeg, after_seconds=self._after_seconds)
                recordings.append(recording)
            else:
                self._counts["shared"] += 1
            recording.update(record)
        self._wake.set()
        return recording.path

    def end(self, record: EventRecord) -> None:
        """An event has ended: its clip ends `after_seconds` later, unless other events share it.

        Where the clip is over, as that of an earlier process, the end is noted in its JSON.
        """
        with self._lock:
            there = [each for each in self._recordings.get(record.camera, []) if each.has(record.id)]
            for recording in there:
                recording.update(record)
            if not there and record.clip is not None:
                self._late.append(record)
        self._wake.set()

    def forget(self, name: str) -> None:
        """A camera is no more: its clips end with what there is."""
        with self._lock:
            self._rings.pop(name, None)
            for recording in self._recordings.get(name, []):
                recording.closed = True
        self._wake.set()

    def close(self) -> None:
        """End all clips with what there is; waits for the disk, CLOSE_SECONDS at most."""
        with self._lock:
            self._closing = True
            cameras = list(self._rings)
        for name in cameras:
            self.forget(name)
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            self._say(f"the disk of {self._folder} does not answer: the last clips are not finished")

    def _tell_encoded(self, camera: str, codec: str) -> None:
        if camera not in self._encoded:
            self._encoded.add(camera)
            self._say(f"{camera} sends {codec}; its clips are encoded anew, as H.264, which needs a processor")

    def _ring(self, name: str) -> Ring:
        seconds = self._before_seconds + LATE_SECONDS
        return self._rings.setdefault(name, Ring(seconds, self._memory_bytes))

    def _run(self) -> None:
        self._or_tell(self._retention.scan)
        while True:
            with self._lock:
                closing = self._closing
                recordings = [(camera, each) for camera, some in self._recordings.items() for each in some]
            for camera, recording in recordings:
                self._go_on(camera, recording)
            while self._late:
                self._or_tell(partial(self._note_end, self._late.popleft()))
            self._or_tell(self._retention.tidy)
            if closing and not recordings:
                return
            self._wake.wait(POLL_SECONDS if recordings else TIDY_SECONDS)
            self._wake.clear()

    def _go_on(self, camera: str, recording: Recording) -> None:
        """Write what there is for a recording by now; an error ends this recording only."""
        try:
            if not self._write(recording):
                return
            whole = True
            self._failing.discard(camera)
        except Exception as error:  # noqa: BLE001  the other recordings go on
            whole = False
            if camera not in self._failing:
                self._failing.add(camera)
                self._say(f"the clip {recording.path} cannot be written: {in_a_line(error)}")
            self._or_tell(recording.writer.abandon)
        with self._lock:
            recording.closed = True
            self._recordings[camera].remove(recording)
            self._counts["written" if whole else "failed"] += 1
        self._or_tell(partial(self._retention.add, recording.writer.stem, recording.writer.files))

    def _note_end(self, record: EventRecord) -> None:
        path = (self._folder / str(record.clip)).with_suffix(".json")
        try:
            told = json.loads(path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):  # it was deleted, or somebody else has changed it
            return
        events = [record.to_dict() if each["id"] == record.id else each for each in told["events"]]
        write_whole(path, json_of({**told, "events": events}), self._retention.delete_oldest)

    def _write(self, recording: Recording) -> bool:
        """Write the packets and events that are new; returns whether the recording is finished."""
        writer = recording.writer
        with self._lock:
            until, closed = recording.until, recording.closed
            events = recording.to_dict() if recording.changed else None
            recording.changed = False
        if events is not None:
            writer.add_json({**events, "files": writer.parts})
        if recording.jpeg is not None:
            writer.add_file(".jpg", recording.jpeg)
            recording.jpeg = None
        packets, end = recording.ring.since(recording.position)
        recording.position = end - len(packets)
        over = closed or recording.is_quiet(came=bool(packets))
        for packet in packets:
            if until is not None and packet.decode_seconds > until:
                over = True
                break
            writer.push(packet)
            recording.position += 1
        with self._lock:
            shared = not recording.closed and recording.until != until  # by an event that came just now
            if not over or shared:
                return False
            recording.closed = True
            events = recording.to_dict()
        writer.close()
        writer.add_json({**events, "files": writer.parts})
        return True

    def _or_tell(self, do: Callable[[], None]) -> None:
        """Do something in the folder; what goes wrong is told once, until it works again."""
        try:
            do()
        except Exception as error:  # noqa: BLE001  new clips are written
            if "" not in self._failing:
                self._failing.add("")
                self._say(f"files in {self._folder} cannot be changed: {in_a_line(error)}")
        else:
            self._failing.discard("")


def _shared(
    recordings: Sequence[Recording], start_seconds: float, position: int, longest_seconds: float
) -> Recording | None:
    """The recording that holds what is from a position on, and goes on to `start_seconds`.

    One that began `longest_seconds` ago is not shared: where something happens all the time, it would never end.
    """
    there = [recording for recording in recordings if not recording.closed]
    for recording in there:
        goes_on = recording.until is None or start_seconds <= recording.until
        if recording.first <= position and goes_on and start_seconds - recording.begun_seconds < longest_seconds:
            return recording
    return there[-1] if len(there) >= MOST_RECORDINGS else None
