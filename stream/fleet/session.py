"""A session of an agent: the cameras that it holds by its leases, until these are others' or the fleet ends."""

from __future__ import annotations

import threading
import time
from time import monotonic
from uuid import uuid4

from actionstream.fleet.costs import Costs
from actionstream.fleet.messages import LEASE_SECONDS, REPORT_SECONDS, Left, NodeFacts, Orders, Released, Report
from actionstream.fleet.news import News
from actionstream.fleet.remote_store import Link, RemoteStore, Unreachable
from actionstream.models.common.errors import in_a_line
from actionstream.results import Counts
from actionstream.serve.board import Board, Fact
from actionstream.serve.cameras import Cameras
from actionstream.serve.event_records import ended_at
from actionstream.serve.recorder import Recorder
from actionstream.serve.settings import Camera, Server

TICK_SECONDS = 0.5


class Session:
    """Holds cameras by leases of one instance, from `run` on.

    Two threads: that of `run` reports each second, and another one starts and stops cameras, as a model takes its time
    to open. Where no report arrives for LEASE_SECONDS, or the coordinator says that the leases are others', the cameras
    are stopped and nothing is told of that.
    """

    def __init__(self, node: NodeFacts, link: Link):
        self.instance = uuid4().hex
        self._node = node
        self._link = link
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._orders: list[Orders] = []  # that the thread of cameras has not followed yet
        self._epoch = ""
        self._number = 0
        self._is_lost = self._is_stopping = self._is_over = False
        self._held: dict[str, tuple[int, str]] = {}
        self._released: dict[str, Released] = {}
        self._news = News()
        self._board = Board()
        self._board.listen(self._news.fact)
        self._store = RemoteStore(link, self.instance)
        self._switched_off: set[str] = set()
        self._recorder = Recorder(self._store, self._board, self._news, say=self._news.say)
        self._cameras: Cameras | None = None  # from the first orders on, which have the settings of the node
        self._costs = Costs()

    def run(self) -> bool:
        """Hold cameras until the leases are lost, or the fleet ends; returns whether it has ended."""
        watching = threading.Thread(target=self._watch, name="cameras", daemon=True)
        watching.start()
        last = monotonic()
        while not self._is_lost and not (self._is_over and not self._released):
            begun = monotonic()
            try:
                self._take(self._link.report(self._report()))
                last = monotonic()
            except Unreachable:
                pass
            self._is_lost |= self._store.is_lost or monotonic() - last > LEASE_SECONDS
            time.sleep(0.05 if self._is_over else max(begun + REPORT_SECONDS - monotonic(), 0.05))
        self._store.is_lost |= self._is_lost
        self._changed.set()
        watching.join()
        self._recorder.stop()
        return not self._is_lost

    def enabled(self, camera: str) -> bool:
        """The switch of a camera, which the coordinator keeps."""
        return camera not in self._switched_off

    def set_enabled(self, camera: str, enabled: bool) -> None:
        """Note the switch of a camera, as the coordinator says."""
        self._switched_off = self._switched_off - {camera} if enabled else self._switched_off | {camera}

    def _report(self) -> Report:
        counts = self._news.last_counts | ({} if self._cameras is None else self._cameras.counts())
        readers = {} if self._cameras is None else self._cameras.reader_cpu_seconds()
        with self._lock:
            self._number += 1
            return Report(
                node=self._node,
                instance=self.instance,
                number=self._number,
                epoch=self._epoch,
                held=dict(self._held),
                counts=counts,
                costs=self._costs.measure(counts, readers),
                released=dict(self._released),
                **self._news.collect(),
            )

    def _take(self, orders: Orders) -> None:
        """Take the answer to a report, which has arrived."""
        self._news.arrived()
        if orders.is_lost:
            self._is_lost = True
            return
        if orders.epoch != self._epoch:
            self._epoch = orders.epoch
            self._news.add_facts(self._board.facts())
        with self._lock:
            for camera in orders.noted:
                self._released.pop(camera, None)
            for camera, assigned in orders.assigned.items():
                self._held[camera] = assigned.fence, assigned.version
                self._store.fences[camera] = assigned.fence
            self._orders.append(orders)
        self._changed.set()

    def _watch(self) -> None:
        """Follow the orders, and keep the cameras running."""
        settings: dict[str, Camera] = {}
        while not self._is_lost and not self._is_over:
            self._changed.wait(TICK_SECONDS)
            self._changed.clear()
            with self._lock:
                waiting, self._orders = self._orders, []
            try:
                for orders in waiting:
                    self._follow(orders, settings)
                if self._cameras is not None:
                    self._tick(self._cameras)
            except Exception as error:  # noqa: BLE001  a fault is told, and the cameras go on
                self._news.say(in_a_line(error))
        if self._is_lost and self._cameras is not None:
            self._cameras.stop("lost")

    def _follow(self, orders: Orders, settings: dict[str, Camera]) -> None:
        if self._cameras is None:
            if orders.server is None:
                return
            self._cameras = self._open(orders.server)
        cameras = self._cameras
        for camera, assigned in orders.assigned.items():
            if camera not in settings and assigned.left is not None:
                cameras.to_resume[camera] = assigned.left.read(), list(assigned.records)
            settings[camera] = assigned.camera
        self._switched_off = set(orders.disabled)
        cameras.set(settings)
        for camera in settings:
            if self._board.get(Fact("enabled", camera)) != self.enabled(camera):
                cameras.enable(camera, self.enabled(camera))
        for camera in orders.release:
            if camera in settings:
                del settings[camera]
                cameras.hand_over(camera)
        if orders.stop and not self._is_stopping:
            self._is_stopping = True
            self._stop(cameras)

    def _open(self, server: Server) -> Cameras:
        return Cameras(
            server,
            recorder=self._recorder,
            board=self._board,
            store=self,
            clips=None,
            say=self._news.say,
            clock=time.time,
            pause="moved",
        )

    def _tick(self, cameras: Cameras) -> None:
        cameras.tick()
        left = [(resume, record) for resume, records in cameras.to_resume.values() for record in records]
        cameras.to_resume.clear()  # of cameras that cannot start, or are switched off
        self._recorder.store(ended_at(record, resume.wall_seconds, reason="moved") for resume, record in left)
        for camera, (resume, counts) in list(cameras.handed_over.items()):
            if not self._recorder.has_unstored(camera):
                del cameras.handed_over[camera]
                self._give_back(camera, counts, None if resume is None else Left.of(resume))

    def _give_back(self, camera: str, counts: Counts, left: Left | None) -> None:
        """Let the next report give a camera back: nothing is told of it any more."""
        with self._lock:
            fence, _ = self._held.pop(camera)
            self._released[camera] = Released(fence=fence, counts=counts, left=left)
        self._news.forget(camera)
        self._board.forget(camera)
        self._news.forget(camera)

    def _stop(self, cameras: Cameras) -> None:
        """End all cameras and their events, as the fleet ends, and give them back."""
        before = cameras.counts()
        cameras.stop("stopped")
        end = monotonic() + LEASE_SECONDS
        while self._recorder.waiting and monotonic() < end:
            time.sleep(0.05)
        last = self._news.last_counts
        for camera in list(self._held):
            self._give_back(camera, last.get(camera, before.get(camera, Counts())), None)
        self._is_over = True
