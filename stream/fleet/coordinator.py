"""The coordinator of a fleet: the only one that tells sinks, and that says who holds which camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import uuid4

from actionstream.fleet import placement
from actionstream.fleet.front import Front
from actionstream.fleet.ledger import Ledger
from actionstream.fleet.messages import LEASE_SECONDS, Assignment, NodeFacts, Orders, Report
from actionstream.fleet.placement import Capacity
from actionstream.fleet.planner import Planner
from actionstream.fleet.status import CameraLine, NodeLine, Status, find_node, name_of
from actionstream.fleet.store import FleetStore
from actionstream.records import EventRecord
from actionstream.results import Counts
from actionstream.serve.memory import limit_arenas
from actionstream.serve.settings import Settings
from actionstream.serve.upkeep import lock_folder

MOST_NAMED = 20
"""Cameras of a node that are named, when it gets them."""


@dataclass(frozen=True)
class _Agent:
    """An agent, as it has reported last; `at` counts on a clock that only goes on, `wall` in seconds since 1970."""

    node: NodeFacts
    instance: str
    number: int
    at: float
    wall: float


class Coordinator:
    """Takes reports and records of agents, from any thread; `tick` is called about each second.

    A record stands in the store before any sink is told. Only the holder of a camera's lease may tell of it. Where the
    reports of an agent are LEASE_SECONDS late, or its node is dead, its leases and the open events of its cameras end,
    and the cameras are placed elsewhere. After a restart, agents have LEASE_SECONDS to say that they are still there.

    epoch  names this process

    Raises ActionstreamError where the state folder or the address of the health pages cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        limit_arenas()
        self.epoch = uuid4().hex
        self._clock, self._monotonic = clock, monotonic
        self._lock = threading.RLock()
        self._settings = settings
        self._began = monotonic()
        self._stopping = False
        self._agents: dict[str, _Agent] = {}
        self._gone: set[str] = set()  # instances whose leases were taken
        self._versions: dict[str, str] = {}
        self._num_versions = 0
        self._planner = Planner(monotonic)
        folder = settings.server.state_folder
        with ExitStack() as stack:
            stack.callback(lock_folder(folder).release)
            self._store = FleetStore(folder)
            stack.callback(self._store.close)
            self._ledger = Ledger(self._store)
            self._store.forget_senders(self._ledger.instances())
            self._draining = self._store.draining()
            self._last_beat = self._store.last_beat() or 0.0
            self._front = Front(
                settings,
                self._store,
                stack,
                node_of=self._node_of,
                queues=lambda: {"unplaced": len(self._versions.keys() - self._ledger.leases)},
                clock=clock,
            )
            self._ledger.end_what_nobody_holds(reason="restart", last_wall=self._last_beat)
            self.apply(settings)
            self._stack = stack.pop_all()

    def apply(self, settings: Settings) -> None:
        """Take new settings: only what is not as before is begun anew."""
        with self._lock:
            self._front.set(settings)
            before, self._settings = self._settings.cameras, settings
            for name, camera in settings.cameras.items():
                if name not in self._versions or before.get(name) != camera:
                    self._num_versions += 1
                    self._versions[name] = f"{self.epoch}-{self._num_versions}"
            for name in self._versions.keys() - settings.cameras:
                del self._versions[name]
                if name not in self._ledger.leases:
                    self._remove(name)

    def report(self, report: Report) -> Orders:
        """Take what an agent tells; returns what it is to do. sqlite3.Error where the store cannot be written."""
        with self._lock:
            if report.instance in self._gone or not self._holds(report):
                return Orders(epoch=self.epoch, is_lost=True)
            before = self._agents.get(report.node.id)
            if before is not None and before.instance == report.instance and report.number <= before.number:
                return Orders(epoch=self.epoch)  # a later one has overtaken it; nobody waits for this answer
            if before is None or before.instance != report.instance:
                for instance, node in self._ledger.instances().items():
                    if node == report.node.id and instance != report.instance:
                        self._take(instance)
                if before is not None:
                    self._gone.add(before.instance)
            self._agents[report.node.id] = _Agent(
                report.node, report.instance, report.number, self._monotonic(), self._clock()
            )
            held = self._ledger.held(report.instance)
            self._front.note(report, held)
            self._planner.note({camera: cost for camera, cost in report.costs.items() if camera in held})
            self._take_back(report)
            return self._orders(report)

    def append(
        self,
        instance: str,
        number: int,
        fences: Mapping[str, int],
        told: Sequence[tuple[EventRecord, bytes | None]],
    ) -> bool:
        """Store a batch of records of an agent; False, and nothing is stored, where it does not hold all the cameras.

        number  of the batch, from 1 on; one that has come before is not stored again
        fences  of its leases, by camera

        sqlite3.Error where the store cannot be written.
        """
        with self._lock:
            for record, _ in told:
                lease = self._ledger.leases.get(record.camera)
                if lease is None or (lease.instance, lease.fence) != (instance, fences.get(record.camera)):
                    return False
            if self._store.append_once(instance, number, told):
                for record, _ in told:
                    if record.type == "new":
                        self._front.metrics.event(record.camera, record.label)
        return True

    def tick(self, alive: Mapping[str, float] | None) -> None:
        """Take cameras of lost nodes, place those without a node, and do what is due.

        alive  CPUs of each node that is alive, by its id; None where that is not known
        """
        with self._lock:
            self._front.tick()
            if self._stopping:
                return
            try:
                self._take_lost(alive)
                self._place(alive or {})
            except Exception as error:  # noqa: BLE001  the store cannot be written, or a fault of ours; the rest goes on
                self._front.complaints.fails("cameras cannot be placed", error)
            else:
                self._front.complaints.works("cameras cannot be placed")

    def drain(self, text: str, *, undo: bool = False) -> str:
        """Let all cameras leave a node, until the fleet ends or this is undone; returns its name.

        text  as in `find_node`, which raises ActionstreamError
        """
        with self._lock:
            node = find_node(text, {id: each.node for id, each in self._agents.items()})
            self._draining = self._draining - {node} if undo else self._draining | {node}
            self._store.set_draining(self._draining)
            return name_of(self._agents[node].node)

    def status(self) -> Status:
        """The cameras, and the nodes."""
        with self._lock:
            counts, where, nodes = self._front.counts, self._where(), self._nodes()
            load = placement.loads(self._planner.costs(where), where, nodes)
            cameras = [
                CameraLine(
                    row=row,
                    dropped=counts.get(row.camera, Counts()).lost,
                    cost=self._planner.cost(row.camera),
                )
                for row in self._front.rows()
            ]
            lines = [
                NodeLine(
                    name=name_of(self._agents[id].node),
                    address=self._agents[id].node.address,
                    num_cameras=sum(node == id for node in where.values()),
                    cpus=capacity.cpus,
                    load=load[id],
                    is_draining=capacity.draining,
                )
                for id, capacity in nodes.items()
            ]
            return Status(cameras=cameras, nodes=sorted(lines, key=lambda line: line.name))

    def said(self, after: int) -> tuple[int, list[str]]:
        """The number of all lines for the user so far, and those of them after a number."""
        return self._front.said(after)

    def stop(self) -> None:
        """From now on, agents end their cameras when they report."""
        self._stopping = True

    @property
    def is_stopped(self) -> bool:
        """Whether no agent that is there holds cameras any more."""
        with self._lock:
            here = [agent.instance for agent in self._agents.values() if self._is_fresh(agent)]
            return not any(self._ledger.held(instance) for instance in here)

    def close(self) -> None:
        """End all events that are still open, tell the sinks, and release everything."""
        with self._lock, self._stack:
            self._ledger.end({*self._ledger.leases, *self._ledger.left}, reason="node lost", last_wall=self._clock())
            self._store.set_draining(())

    def _node_of(self, camera: str) -> str:
        lease = self._ledger.leases.get(camera)
        agent = None if lease is None else self._agents.get(lease.node)
        return "" if agent is None else name_of(agent.node)

    def _holds(self, report: Report) -> bool:
        """Whether an agent holds what it says that it holds."""
        leases = self._ledger.leases
        return all(
            (lease := leases.get(camera)) is not None and (lease.instance, lease.fence) == (report.instance, fence)
            for camera, (fence, _) in report.held.items()
        )

    def _take_back(self, report: Report) -> None:
        """Take the cameras that an agent has given back."""
        for camera, released in report.released.items():
            lease = self._ledger.leases.get(camera)
            if lease is None or lease.fence != released.fence:
                continue  # the answer to an earlier report was lost
            self._front.note_released(camera, released)
            self._planner.leaving.discard(camera)
            if camera in self._versions and not self._stopping:
                self._ledger.release(camera, released.left, now=self._monotonic(), wall=self._clock())
            else:
                self._end([camera], reason="stopped" if self._stopping else "removed", last_wall=self._clock())

    def _orders(self, report: Report) -> Orders:
        leaving = self._planner.leaving
        for camera in list(self._ledger.held(report.instance)):
            if camera not in report.held and (camera in leaving or camera not in self._versions):
                self._ledger.give_up(camera)  # the agent knows nothing of it
                leaving.discard(camera)
                if camera not in self._versions:
                    self._remove(camera)
        held = self._ledger.held(report.instance)
        release = {camera for camera in held if camera in leaving or camera not in self._versions}
        assigned = {}
        for camera in set() if self._stopping else held - release:
            lease, version = self._ledger.leases[camera], self._versions[camera]
            if report.held.get(camera) == (lease.fence, version):
                self._ledger.left.pop(camera, None)  # it has arrived
                continue
            left, _ = self._ledger.left.get(camera, (None, 0.0))
            assigned[camera] = Assignment(
                fence=lease.fence,
                version=version,
                camera=self._settings.cameras[camera],
                left=left,
                records=self._ledger.open_events(camera) if left else [],
            )
        return Orders(
            epoch=self.epoch,
            server=self._settings.server if report.epoch != self.epoch else None,
            assigned=assigned,
            disabled=sorted(self._front.disabled & held),
            release=sorted(release),
            noted=list(report.released),
            stop=self._stopping,
        )

    def _take_lost(self, alive: Mapping[str, float] | None) -> None:
        """Take the cameras of agents whose reports are late, or whose nodes are dead."""
        agents = {agent.instance: agent for agent in self._agents.values()}
        for instance, node in self._ledger.instances().items():
            seen = agents[instance].at if instance in agents else self._began
            is_dead = alive is not None and node not in alive
            if is_dead or self._monotonic() - seen > LEASE_SECONDS:
                self._take(instance)
        for id, agent in list(self._agents.items()):
            if (alive is not None and id not in alive) or not self._is_fresh(agent):
                self._gone.add(agent.instance)
                del self._agents[id]

    def _take(self, instance: str) -> None:
        """Take all cameras of an instance: its events end when it was heard last."""
        cameras = list(self._ledger.held(instance))
        agent = next((each for each in self._agents.values() if each.instance == instance), None)
        self._gone.add(instance)
        self._front.say(f"the node {self._node_of(cameras[0]) or 'of before'} is lost, with {len(cameras)} cameras")
        self._end(cameras, reason="node lost", last_wall=self._last_beat if agent is None else agent.wall)

    def _end(self, cameras: Collection[str], *, reason: str, last_wall: float) -> None:
        """End the leases of cameras, and their events."""
        for camera in cameras:
            self._front.show_nobody(camera, reason)
        self._ledger.end(cameras, reason=reason, last_wall=last_wall)
        self._planner.leaving -= set(cameras)
        for camera in cameras:
            if camera not in self._versions:
                self._remove(camera)

    def _remove(self, camera: str) -> None:
        """A camera is not there any more; nobody holds it."""
        self._ledger.end([camera], reason="removed", last_wall=self._clock())
        self._planner.forget(camera)
        self._front.board.forget(camera)

    def _place(self, alive: Mapping[str, float]) -> None:
        """Place the cameras without a node, and choose those that leave one."""
        now = self._monotonic()
        for camera, (_, since) in list(self._ledger.left.items()):
            if camera not in self._ledger.leases and now - since > LEASE_SECONDS:
                self._ledger.end([camera], reason="moved", last_wall=self._clock())
        where, nodes = self._where(), self._nodes()
        expected = [id for id, cpus in alive.items() if cpus > 0]
        placed = self._planner.place(self._versions, where, nodes, expected=expected)
        if placed:
            self._ledger.lease({camera: (node, self._agents[node].instance) for camera, node in placed.items()})
            for node in nodes:
                if cameras := sorted(camera for camera, at in placed.items() if at == node):
                    named = ", ".join(cameras) if len(cameras) <= MOST_NAMED else f"{len(cameras)} cameras"
                    self._front.say(f"{name_of(self._agents[node].node)} gets {named}")
        self._planner.choose_leaving(where | placed, nodes)

    def _nodes(self) -> dict[str, Capacity]:
        return {
            id: Capacity(agent.node.cpus, id in self._draining)
            for id, agent in self._agents.items()
            if self._is_fresh(agent)
        }

    def _is_fresh(self, agent: _Agent) -> bool:
        return self._monotonic() - agent.at <= LEASE_SECONDS

    def _where(self) -> dict[str, str]:
        return {camera: lease.node for camera, lease in self._ledger.leases.items() if camera in self._versions}
