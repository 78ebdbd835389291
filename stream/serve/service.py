"""A service: cameras, the store of their events, and the sinks that are told."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from actionstream.clips import Clips
from actionstream.records import EventRecord
from actionstream.results import Counts
from actionstream.serve import saved_streams
from actionstream.serve.board import Board
from actionstream.serve.cameras import Cameras
from actionstream.serve.event_records import ended_at
from actionstream.serve.http import StatusServer
from actionstream.serve.memory import limit_arenas
from actionstream.serve.metrics import Metrics
from actionstream.serve.notify import sd_notify
from actionstream.serve.page import camera_rows
from actionstream.serve.recorder import Recorder
from actionstream.serve.saved_streams import SavedStream
from actionstream.serve.settings import ClipSettings, Settings
from actionstream.serve.sinks import Sinks
from actionstream.serve.store import Store
from actionstream.serve.upkeep import Complaints, Retention, lock_folder
from actionstream.sources.address import masked

KEEP_SECONDS = 3.0
QUIET_SECONDS = 60.0
"""An engine that has not turned for so long hangs."""


class Service:
    """Watches cameras and tells their events, until `stop`.

        with Service(read_settings(path), say=print) as service:
            while True:
                service.tick()
                time.sleep(0.5)

    All calls belong to one thread. Raises ActionstreamError where the state folder, the folder of clips or the address
    of the health pages cannot be used; what fails later is said, and the rest goes on.

    say    shows a line of text to the user; called by any thread
    clock  seconds since 1970: for schedules, retention, rotation, and the times of events
    """

    def __init__(self, settings: Settings, *, say: Callable[[str], None], clock: Callable[[], float] = time.time):
        limit_arenas()
        self._say = say
        self._clock = clock
        self._settings = settings
        self._kept_at = time.monotonic()
        self._complaints = Complaints(say)
        self._board = Board()
        folder = settings.server.state_folder
        with ExitStack() as stack:
            stack.callback(lock_folder(folder).release)
            self._store = Store(folder)
            stack.callback(self._store.close)
            self._retention = Retention(self._store, self._complaints, say=say, clock=clock)
            self._clips = clips = _open_clips(settings.clips, say, clock)
            if clips is not None:
                stack.callback(clips.close)
            self._sinks = Sinks(self._store, self._board, enable=self._enable, say=say, clock=clock)
            stack.callback(self._sinks.stop)
            self._metrics = Metrics(
                store=self._store,
                frames=self.counts,
                deliveries=self._sinks.deliveries,
                clips=lambda: {} if clips is None else clips.counts,
                queues=lambda: {"recorder": self._recorder.waiting},
            )
            self._recorder = Recorder(self._store, self._board, self._metrics, say=say)
            stack.callback(self._recorder.stop)
            self._cameras = Cameras(
                settings.server,
                recorder=self._recorder,
                board=self._board,
                store=self._store,
                clips=clips,
                say=say,
                clock=clock,
            )
            if settings.server.http is not None:
                status = StatusServer(
                    settings.server.http,
                    metrics=self._metrics.render,
                    alive=self._alive,
                    board=self._board,
                    rows=partial(camera_rows, self._board, self._metrics),
                )
                stack.callback(status.close)
            self._go_on(folder)  # last: what a start that fails had read would be lost
            self.apply(settings)
            self._stack = stack.pop_all()
        sd_notify("READY=1")

    def apply(self, settings: Settings) -> None:
        """Take new settings: only what is not as before is begun anew."""
        if settings.server != self._settings.server or settings.clips != self._settings.clips:
            self._say("[server] and [clips] have changed; they count from the next start of the service on")
        self._sinks.set(settings)
        self._settings = settings
        self._cameras.set(settings.cameras)

    def tick(self) -> None:
        """Start and stop cameras as they are wanted.

        When it is time, keep states, try the sinks that could not be opened, delete old records, and give free memory
        back.
        """
        self._cameras.tick()
        self._metrics.latencies.mark()
        if self._cameras.to_resume:
            self._end_what_does_not_go_on()
        now = time.monotonic()
        if now - self._kept_at >= KEEP_SECONDS:
            self._kept_at = now
            self._keep(self._left())
            self._sinks.open()
        self._retention.tick(self._settings.server.keep_events_days)
        if self._alive():
            sd_notify("WATCHDOG=1")

    def counts(self) -> dict[str, Counts]:
        """Counts of the frames of each camera that is watched, since it was started."""
        return self._cameras.counts()

    def stop(self) -> None:
        """End all cameras and events, tell the sinks, keep the states of streams, and release everything."""
        sd_notify("STOPPING=1")
        with self._stack:
            left = self._left()
            self._cameras.stop("stopped")
            self._keep({name: replace(each, resume=each.resume.without_events()) for name, each in left.items()})

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _enable(self, camera: str, enabled: bool) -> None:
        self._cameras.enable(camera, enabled)

    def _alive(self) -> str | None:
        """A text where all engines turn; None where one hangs."""
        return "alive" if self._cameras.quiet_seconds() < QUIET_SECONDS else None

    def _go_on(self, folder: Path) -> None:
        """Take up the streams that a short time ago another process had; end all other events that it left open.

        An event may have started after the state of its stream was kept: the stream knows nothing of it, so it ends.
        """
        left_open = self._store.open_events()
        for name, each in saved_streams.read(folder).items():
            if each.fits == self._fitting(name) and each.is_fresh(time.time()):
                going_on = [record for record in left_open if record.id in each.resume.open_events]
                self._cameras.to_resume[name] = each.resume, going_on
                left_open = [record for record in left_open if record not in going_on]
        broken_off = self._ended_by_restart(left_open)
        try:
            self._store.append((record, None) for record in broken_off)
        except sqlite3.Error:  # the recorder tries again, and says so
            self._recorder.store(broken_off)
        self._end_clips(broken_off)

    def _ended_by_restart(self, records: Iterable[EventRecord]) -> list[EventRecord]:
        last = self._store.last_beat() or 0.0
        return [ended_at(record, last, reason="restart") for record in records]

    def _end_what_does_not_go_on(self) -> None:
        """End the events of streams that were kept, and whose cameras cannot start, or are not watched now."""
        records = [record for _, records in self._cameras.to_resume.values() for record in records]
        broken_off = self._ended_by_restart(records)
        try:
            self._store.append((record, None) for record in broken_off)
        except sqlite3.Error as error:
            self._complaints.fails("events of before the start cannot be ended", error)
        else:
            self._cameras.to_resume.clear()
            self._end_clips(broken_off)

    def _end_clips(self, records: Iterable[EventRecord]) -> None:
        if self._clips is not None:
            for record in records:
                self._clips.end(record)

    def _left(self) -> dict[str, SavedStream]:
        left = self._cameras.left()
        return {
            name: SavedStream(self._fitting(name), gap_seconds, resume) for name, (gap_seconds, resume) in left.items()
        }

    def _fitting(self, name: str) -> str:
        """What the state of a camera fits: this version, the camera's settings, and the file of its model."""
        camera = self._settings.cameras.get(name)
        changed = None
        with suppress(OSError):  # the model has a name, and is in the package
            changed = os.stat(camera.model).st_mtime_ns if camera else None
        source = masked(camera.source.get_secret_value()) if camera else None  # which repr hides
        return f"{version('actionstream')} {camera!r} {source} {changed}"

    def _keep(self, left: Mapping[str, SavedStream]) -> None:
        """Note that the service is alive, and keep what streams leave."""
        try:
            self._store.beat(self._clock())
            saved_streams.write(self._settings.server.state_folder, left)
        except (OSError, sqlite3.Error) as error:
            self._complaints.fails("states cannot be kept", error)
        else:
            self._complaints.works("states cannot be kept")


def _open_clips(settings: ClipSettings | None, say: Callable[[str], None], clock: Callable[[], float]) -> Clips | None:
    if settings is None:
        return None
    return Clips(
        settings.folder,
        before_seconds=settings.before_seconds,
        after_seconds=settings.after_seconds,
        keep_days=settings.keep_days,
        keep_bytes=settings.keep_gigabytes * 1e9,
        memory_bytes=settings.memory_megabytes * 1e6,
        clock=clock,
        say=say,
    )
