"""What a fleet shows and tells: the board, the sinks, the metrics, the health pages, and lines for the user."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Collection
from contextlib import ExitStack
from time import monotonic

from actionstream.fleet.messages import Released, Report
from actionstream.fleet.store import FleetStore
from actionstream.results import Counts
from actionstream.serve.board import Board, Fact
from actionstream.serve.http import StatusServer
from actionstream.serve.metrics import Metrics
from actionstream.serve.page import CameraRow, camera_rows
from actionstream.serve.settings import Settings
from actionstream.serve.sinks import Sinks
from actionstream.serve.upkeep import Complaints, Retention

KEEP_SECONDS = 3.0
QUIET_SECONDS = 60.0
"""A coordinator that has not ticked for so long hangs."""
MOST_LINES = 1000


class Front:
    """Opens all that a fleet tells its events and its state to; `stack` closes it.

    node_of  the name of the node of a camera, empty where it has none
    queues   lengths of queues now, by name

    disabled  the cameras that are switched off
    counts    of the frames of each camera that is watched, since its holder has begun

    Raises ActionstreamError where the address of the health pages cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        store: FleetStore,
        stack: ExitStack,
        *,
        node_of: Callable[[str], str],
        queues: Callable[[], dict[str, float]],
        clock: Callable[[], float],
    ):
        self.disabled: set[str] = set()
        self.counts: dict[str, Counts] = {}
        self.complaints = Complaints(self.say)
        self.board = Board()
        self._server = settings.server
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._said: deque[str] = deque(maxlen=MOST_LINES)
        self._num_said = 0
        self._cameras: set[str] = set()
        self._ticked = self._kept_at = monotonic()
        self._retention = Retention(store, self.complaints, say=self.say, clock=clock)
        self._sinks = Sinks(store, self.board, enable=self._enable, say=self.say, clock=clock)
        stack.callback(self._sinks.stop)
        self.metrics = Metrics(
            store=store,
            frames=lambda: dict(self.counts),
            deliveries=self._sinks.deliveries,
            queues=queues,
            node_of=node_of,
        )
        if settings.server.http is not None:
            status = StatusServer(
                settings.server.http,
                metrics=self.metrics.render,
                alive=lambda: "alive" if monotonic() - self._ticked < QUIET_SECONDS else None,
                board=self.board,
                rows=self.rows,
            )
            stack.callback(status.close)

    def set(self, settings: Settings) -> None:
        """Take new settings: sinks, and which cameras there are."""
        if settings.server != self._server:
            self.say("[server] has changed; it counts from the next start of the fleet on")
        self._sinks.set(settings)
        for name in settings.cameras.keys() - self._cameras:
            is_on = self._store.enabled(name)
            self.disabled -= {name}
            self.disabled |= set() if is_on else {name}
            self.board.set(Fact("enabled", name), is_on)
            self.board.set(Fact("status", name), ("connecting", None))
        self._cameras = set(settings.cameras)

    def tick(self) -> None:
        """Do what is due: note that the fleet is alive, open sinks that could not be opened, delete old records."""
        self._ticked = monotonic()
        self.metrics.latencies.mark()
        if self._ticked - self._kept_at < KEEP_SECONDS:
            return
        self._kept_at = self._ticked
        try:
            self._store.beat(self._clock())
        except sqlite3.Error as error:
            self.complaints.fails("the state cannot be kept", error)
        else:
            self.complaints.works("the state cannot be kept")
        self._sinks.open()
        self._retention.tick(self._server.keep_events_days)

    def note(self, report: Report, cameras: Collection[str]) -> None:
        """Show what an agent tells of the cameras that it holds."""
        for line in report.said:
            self.say(line)
        for fact, value in report.facts.items():
            is_there = fact.camera in cameras and fact.camera in self._cameras
            if is_there and fact.kind != "enabled" and (value is not None or fact.kind == "label"):
                self.board.set(fact, value)
        for camera in cameras:
            if camera in report.counts:
                self.counts[camera] = report.counts[camera]
            if camera in report.latencies:
                self.metrics.latencies.add(self.metrics.key(camera), report.latencies[camera])
            for _ in range(report.reconnects.get(camera, 0)):
                self.metrics.reconnect(camera)

    def note_released(self, camera: str, released: Released) -> None:
        """Take the last counts of a camera that its agent has given back."""
        self.metrics.closed(camera, released.counts)
        self.counts.pop(camera, None)
        self.board.set(Fact("status", camera), ("connecting", None))

    def show_nobody(self, camera: str, why: str) -> None:
        """Show that nobody watches a camera now, whose events have ended."""
        if camera in self.counts:
            self.metrics.closed(camera, self.counts.pop(camera))
        for fact in self.board.facts():
            if fact.camera == camera and fact.kind in ("label", "on"):
                self.board.set(fact, None if fact.kind == "label" else False)
        self.board.set(Fact("status", camera), ("disconnected", why))

    def rows(self) -> list[CameraRow]:
        """A row for each camera."""
        return camera_rows(self.board, self.metrics)

    def say(self, text: str) -> None:
        """Keep a line for the user; any thread may call this."""
        with self._lock:
            self._said.append(text)
            self._num_said += 1

    def said(self, after: int) -> tuple[int, list[str]]:
        """The number of all lines so far, and those of them after a number."""
        with self._lock:
            num_new = min(self._num_said - after, len(self._said))
            return self._num_said, list(self._said)[len(self._said) - num_new :] if num_new > 0 else []

    def _enable(self, camera: str, enabled: bool) -> None:
        """Switch a camera on or off; called by the threads of sinks."""
        try:
            self._store.set_enabled(camera, enabled)
        except sqlite3.Error as error:
            self.say(f"{camera}: its switch counts, but a restart forgets it: {error}")
        self.disabled = self.disabled - {camera} if enabled else self.disabled | {camera}
        self.board.set(Fact("enabled", camera), enabled)
