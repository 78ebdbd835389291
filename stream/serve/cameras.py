"""The cameras of a service: each is watched while it is wanted, and begun again where it has failed."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple, Protocol

from actionstream.clips import Clips
from actionstream.engine.engine import Engine
from actionstream.engine.fusion import open_scorer
from actionstream.engine.labelling import EventSettings
from actionstream.live.parts import stream_of
from actionstream.live.watched_stream import Resume
from actionstream.models.common.choices import LiveMode
from actionstream.models.common.errors import ActionstreamError, in_a_line
from actionstream.records import EventRecord
from actionstream.results import Counts
from actionstream.serve.board import Board, CameraStatus, Fact
from actionstream.serve.event_records import EventRecords
from actionstream.serve.model_watch import CameraSink, ModelWatch
from actionstream.serve.recorder import RecordedCamera, Recorder
from actionstream.serve.regions import Crop
from actionstream.serve.schedule import clock_time, is_on
from actionstream.serve.settings import Camera, Server
from actionstream.sources import Source, open_source
from actionstream.sources.connection import Connection
from actionstream.sources.looped import LoopedSource

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5.0, 300.0
"""From the failure of a camera to the next start: exponential backoff with jitter."""


class _ModelKey(NamedTuple):
    """Cameras with the same one share a model."""

    model: str
    gap_seconds: float | None
    streaming: LiveMode | None

    @classmethod
    def of(cls, camera: Camera) -> _ModelKey:
        return cls(camera.model, camera.gap_seconds, camera.streaming)


class Switches(Protocol):
    """Keeps the switches of cameras; sqlite3.Error where it cannot."""

    def enabled(self, camera: str) -> bool: ...

    def set_enabled(self, camera: str, enabled: bool) -> None: ...


@dataclass
class _Started:
    """A camera as it was started, until its last notice.

    began   when, on the clock of `monotonic`
    wanted  whether it was not told to stop
    leaves  whether it is handed over
    """

    recorded: RecordedCamera
    watch: ModelWatch
    began: float
    wanted: bool = True
    leaves: bool = False


@dataclass
class _Failure:
    """The failures of a camera in a row, and when it is started again; never where that is None."""

    count: int
    retry_at: float | None


class Cameras:
    """Starts and stops cameras, as their settings, switches and schedules say.

    `set`, `hand_over`, `tick` and `stop` belong to one thread; all else may be called from any.

    pause        why streams pause that go on: the reason of events that the pause was too long for
    to_resume    what streams have left, by camera, with their open events; used at the next `tick`
    handed_over  what streams have left that go on elsewhere, by camera, and their last counts
    """

    def __init__(
        self,
        server: Server,
        *,
        recorder: Recorder,
        board: Board,
        store: Switches,
        clips: Clips | None,
        say: Callable[[str], None],
        clock: Callable[[], float],
        pause: str = "restart",
    ):
        self.to_resume: dict[str, tuple[Resume, list[EventRecord]]] = {}
        self.handed_over: dict[str, tuple[Resume | None, Counts]] = {}
        self._pause = pause
        self._server = server
        self._recorder = recorder
        self._board = board
        self._store = store
        self._say = say
        self._clock = clock
        self._clips = clips
        self._settings: dict[str, Camera] = {}
        self._started: dict[str, _Started] = {}
        self._failures: dict[str, _Failure] = {}
        self._watches: dict[_ModelKey, ModelWatch] = {}

    def set(self, cameras: Mapping[str, Camera]) -> None:
        """Take new settings: a camera that is gone, or is not as before, is stopped; `tick` starts what is new."""
        gone = self._settings.keys() - cameras
        changed = {name for name, camera in cameras.items() if self._settings.get(name) != camera}
        self._settings = dict(cameras)
        for name in [*gone, *changed]:
            self._failures.pop(name, None)
            self._end(name, "removed" if name in gone else "settings changed")
        for name in gone - self._started.keys():
            self._board.forget(name)
        for name in changed:
            if self._board.get(Fact("enabled", name)) is None:  # else the store may not have the last switch
                self._board.set(Fact("enabled", name), self._store.enabled(name))

    def hand_over(self, name: str) -> None:
        """Stop a camera that goes on elsewhere: its open events stay open; `tick` puts it into `handed_over`."""
        del self._settings[name]
        self._failures.pop(name, None)
        started = self._started.get(name)
        if started is None:
            resume, _ = self.to_resume.pop(name, (None, None))
            self.handed_over[name] = resume, Counts()
            return
        if started.wanted:
            started.wanted = False
            started.recorded.ending = "moved"  # where it fails meanwhile
            started.watch.hand_over(started.recorded)
        started.leaves = True

    def enable(self, name: str, enabled: bool) -> None:
        """Switch a camera on or off; the switch is kept over restarts, where the store can be written."""
        try:
            self._store.set_enabled(name, enabled)
        except sqlite3.Error as error:
            self._say(f"{name}: its switch counts, but a restart forgets it: {error}")
        self._board.set(Fact("enabled", name), enabled)

    def tick(self) -> None:
        """Start what is wanted, stop what is not, and take note of what has ended."""
        for key, watch in list(self._watches.items()):
            if watch.failure is not None or (watch.is_unused and not self._is_needed(key)):
                watch.stop()
                del self._watches[key]
        for name in list(self._started):
            self._note_end(name)
        now = clock_time(self._clock(), self._server.time_zone)
        for name, camera in self._settings.items():
            if not self._board.get(Fact("enabled", name)):
                self._rest(name, "disabled")
            elif not is_on(camera.schedule, now):
                self._rest(name, "scheduled off")
            elif name not in self._started and self._is_due(name):
                self._start(name, camera)

    def counts(self) -> dict[str, Counts]:
        """Counts of the frames of each camera that is watched, since it was started."""
        return {name: started.watch.counts(name) for name, started in list(self._started.items())}

    def reader_cpu_seconds(self) -> dict[str, float]:
        """CPU seconds of the processes that read each camera that is watched."""
        return {name: started.watch.reader_cpu_seconds(name) for name, started in list(self._started.items())}

    def left(self) -> dict[str, tuple[float, Resume]]:
        """What the streams would leave if they ended now, by camera, each with the age up to which it is of use."""
        return {
            name: (watch.engine.gap_seconds, resume)
            for watch in self._watches.values()
            for name, resume in watch.left.items()
        }

    def quiet_seconds(self) -> float:
        """For how long the slowest engine has not turned."""
        return max((watch.quiet_seconds for watch in list(self._watches.values())), default=0.0)

    def stop(self, reason: str) -> None:
        """Stop all cameras, and wait for that."""
        for name in list(self._started):
            self._end(name, reason)
        for watch in self._watches.values():
            watch.stop()

    def _is_needed(self, key: _ModelKey) -> bool:
        return any(_ModelKey.of(camera) == key for camera in self._settings.values())

    def _is_due(self, name: str) -> bool:
        failure = self._failures.get(name)
        return failure is None or (failure.retry_at is not None and monotonic() >= failure.retry_at)

    def _rest(self, name: str, status: CameraStatus) -> None:
        """Stop a camera that is not wanted now."""
        self._failures.pop(name, None)
        self._end(name, status)
        if name not in self._started:
            self._board.set(Fact("status", name), (status, None))

    def _end(self, name: str, reason: str) -> None:
        """Tell a camera to stop; `tick` sees its end."""
        started = self._started.get(name)
        if started is None or not started.wanted:
            return
        started.wanted = False
        started.recorded.ending = reason
        started.watch.remove(name)

    def _note_end(self, name: str) -> None:
        """Take note of a camera that has ended, and decide whether it is started again."""
        started = self._started[name]
        notice = started.recorded.closed
        if notice is None:
            return
        del self._started[name]
        if started.leaves:
            self.handed_over[name] = started.recorded.resume, notice.counts or Counts()
        if name not in self._settings:
            self._board.forget(name)  # not before: its last frames set facts again
        if not started.wanted:
            return
        if monotonic() - started.began > LONGEST_WAIT_SECONDS:  # it worked, so this is the first failure in a row
            self._failures.pop(name, None)
        if notice.reason is None:
            self._failures[name] = _Failure(0, None)
            self._board.set(Fact("status", name), ("ended", None))
        else:
            self._fail(name, notice.reason, final=notice.refused)

    def _fail(self, name: str, reason: str, *, final: bool = False) -> None:
        count = self._failures[name].count + 1 if name in self._failures else 1
        seconds = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(count - 1, 30)) * random.uniform(0.5, 1.0)
        self._failures[name] = _Failure(count, None if final else monotonic() + seconds)
        self._board.set(Fact("status", name), ("failed", reason))
        again = "it is tried again when its settings or its switch change" if final else f"next try in {seconds:.0f} s"
        self._say(f"{name}: {reason}; {again}")

    def _start(self, name: str, camera: Camera) -> None:
        self._board.set(Fact("status", name), ("connecting", None))
        try:
            watch = self._watch_of(camera)
            self._add(name, camera, watch)
        except Exception as error:  # noqa: BLE001  the other cameras go on
            self._fail(name, str(error) if isinstance(error, ActionstreamError) else in_a_line(error))

    def _watch_of(self, camera: Camera) -> ModelWatch:
        key = _ModelKey.of(camera)
        if key not in self._watches:
            scorer = open_scorer(
                camera.model,
                gap_seconds=camera.gap_seconds,
                runtime=self._server.runtime,
                precision=self._server.precision,
                device=self._server.device,
                num_threads=self._server.num_threads,
                export_meanwhile=True,
                say=self._say,
                **({} if camera.streaming is None else {"streaming": camera.streaming}),
            )
            self._watches[key] = ModelWatch(Engine(scorer, clock=self._clock))
        return self._watches[key]

    def _add(self, name: str, camera: Camera, watch: ModelWatch) -> None:
        regions = {region: Crop(shape) for region, shape in camera.regions.items()}
        streams = {
            stream_of(name, region) if region else name: EventRecords(
                name,
                region,
                camera.model,
                labels=camera.labels,
                ignored_labels=camera.ignored_labels,
                cooldown_seconds=camera.cooldown_seconds,
                update_seconds=camera.update_seconds,
            )
            for region in (*regions,) or (None,)
        }
        clips = self._clips if camera.clips else None
        recorded = RecordedCamera(name, streams, camera.snapshots, clips)
        started = _Started(recorded, watch, monotonic())
        sink = CameraSink(recorded, self._recorder, say=self._say)
        resume, records = self.to_resume.get(name, (None, []))
        for events in streams.values():
            own = [record for record in records if record.region == events.region]
            if own:
                events.resume(own, pause=self._pause)
        self._started[name] = started
        try:
            watch.add(
                name,
                _open(camera),
                sink,
                realtime=camera.realtime,
                regions=regions,
                events=EventSettings(
                    threshold=camera.threshold,
                    end_threshold=camera.end_threshold,
                    smoothing_seconds=camera.smoothing_seconds,
                    min_duration_seconds=camera.min_duration_seconds,
                    background=camera.background,
                ),
                resume=resume,
                packets=clips and clips.camera(name),
                images=False,
                gate=camera.gate,
            )
        except Exception:
            del self._started[name]
            raise
        self.to_resume.pop(name, None)


def _open(camera: Camera) -> Source:
    """The source of a camera."""
    text = camera.source.get_secret_value()
    connection = Connection(transport=camera.transport, retry_refused=camera.retry_refused)
    if camera.loop:
        return LoopedSource(lambda: open_source(text, rate=camera.rate, connection=connection))
    return open_source(text, rate=camera.rate, connection=connection)
