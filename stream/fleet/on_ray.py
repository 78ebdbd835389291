"""A fleet on a Ray cluster: one actor for the coordinator, and one on each node for its cameras.

All are detached: they go on when the program that has started them dies, and the next one takes them over. Ray starts
an actor again when its process dies. The coordinator belongs to the node with the state folder. Where the head of the
cluster may die, too, Ray needs its own fault tolerance (a Redis that keeps what the head knows, with
RAY_REDIS_ADDRESS): then the actors wait for the head, and go on. Each node has to see the models and the sources at the
same paths, and the clocks of the nodes have to agree (NTP) for a camera that moves.
"""

from __future__ import annotations

import os
import pickle
import socket
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from actionstream.cluster import NAMESPACE, own_environment
from actionstream.fleet.coordinator import Coordinator
from actionstream.fleet.messages import NodeFacts, Orders, Report
from actionstream.fleet.remote_store import Told, Unreachable
from actionstream.fleet.session import Session
from actionstream.fleet.status import Status
from actionstream.models.common.errors import ActionstreamError, in_a_line
from actionstream.serve.settings import Settings

NAME = "fleet"
TICK_SECONDS = 1.0
CALL_SECONDS = 3.0
START_SECONDS = 60.0
STOP_SECONDS = 8.0
MOST_CALLS = 64
"""Calls that the coordinator works on at once."""


class CoordinatorActor:
    """The actor of the coordinator: it also keeps an agent on each node that has CPUs."""

    def __init__(self, settings: bytes, environment: dict[str, str]):
        os.environ.update(environment)
        self._environment = environment
        self._agents: dict[str, Any] = {}
        self._failure: ActionstreamError | None = None
        self._stopping = False
        try:
            self._coordinator = Coordinator(pickle.loads(settings))
        except ActionstreamError as error:
            self._failure = error
            return
        threading.Thread(target=self._run, name="ticks", daemon=True).start()

    def ready(self) -> str:
        """The epoch; ActionstreamError where it could not begin."""
        if self._failure is not None:
            raise self._failure
        return self._coordinator.epoch

    def apply(self, settings: bytes) -> str:
        """Take new settings; returns the epoch."""
        self._coordinator.apply(pickle.loads(settings))
        return self._coordinator.epoch

    def report(self, report: Report) -> Orders:
        return self._coordinator.report(report)

    def append(self, instance: str, number: int, fences: Mapping[str, int], told: Told) -> bool:
        return self._coordinator.append(instance, number, fences, told)

    def drain(self, text: str, undo: bool) -> str:
        return self._coordinator.drain(text, undo=undo)

    def status(self) -> Status:
        return self._coordinator.status()

    def said(self, after: int) -> tuple[str, int, list[str]]:
        """The epoch, and the lines as in `Coordinator.said`."""
        return self._coordinator.epoch, *self._coordinator.said(after)

    def stop(self) -> list[str]:
        """End all cameras, tell the sinks, and end; returns the lines that nobody has seen."""
        before, _ = self._coordinator.said(0)
        self._stopping = True
        self._coordinator.stop()
        end = time.monotonic() + STOP_SECONDS
        while not self._coordinator.is_stopped and time.monotonic() < end:
            time.sleep(0.05)
        self._coordinator.close()
        return self._coordinator.said(before)[1]

    def _run(self) -> None:
        while not self._stopping:
            alive = None
            with suppress(Exception):  # the head of the cluster is away: nobody is lost for that
                alive = self._look_at_nodes()
            self._coordinator.tick(alive)
            time.sleep(TICK_SECONDS)

    def _look_at_nodes(self) -> dict[str, float]:
        """The CPUs of each node that is alive; each of them gets an agent, and those of dead nodes are ended."""
        ray = _ray()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        alive = {id: float(node["Resources"].get("CPU", 0)) for id, node in nodes.items()}
        for id, cpus in alive.items():
            if cpus > 0 and id not in self._agents:
                facts = NodeFacts(
                    id=id,
                    address=nodes[id]["NodeManagerAddress"],
                    name=nodes[id].get("NodeManagerHostname") or socket.gethostname(),
                    cpus=cpus,
                )
                self._agents[id] = (
                    ray.remote(AgentActor)
                    .options(
                        name=f"{NAME} {id}",
                        namespace=NAMESPACE,
                        lifetime="detached",
                        get_if_exists=True,
                        max_restarts=-1,
                        num_cpus=cpus,
                        scheduling_strategy=NodeAffinitySchedulingStrategy(id, soft=False),
                    )
                    .remote(facts, self._environment)
                )
        for id in self._agents.keys() - alive:
            ray.kill(self._agents.pop(id), no_restart=True)
        return alive


class AgentActor:
    """The actor of an agent: one session after the other, until the fleet ends."""

    def __init__(self, node: NodeFacts, environment: dict[str, str]):
        os.environ.update(environment)
        threading.Thread(target=self._run, args=[node], name="agent", daemon=True).start()

    def _run(self, node: NodeFacts) -> None:
        link = RayLink()
        try:
            while not Session(node, link).run():
                pass
        except BaseException:  # noqa: BLE001  no thread of it may stay behind
            os._exit(1)  # Ray starts another process


class RayLink:
    """The way to the coordinator's actor."""

    def __init__(self) -> None:
        self._actor: Any = None

    def report(self, report: Report) -> Orders:
        """See `Coordinator.report`."""
        orders: Orders = self._call("report", report)
        return orders

    def append(self, instance: str, number: int, fences: Mapping[str, int], told: Told) -> bool:
        """See `Coordinator.append`."""
        return bool(self._call("append", instance, number, fences, told))

    def _call(self, method: str, *arguments: Any) -> Any:
        ray = _ray()
        try:
            self._actor = self._actor or ray.get_actor(NAME, namespace=NAMESPACE)
            return ray.get(getattr(self._actor, method).remote(*arguments), timeout=CALL_SECONDS)
        except (ray.exceptions.RayError, ValueError, OSError) as error:
            cause = getattr(error, "cause", None)
            if not isinstance(cause, sqlite3.Error):
                self._actor = None  # there may be another one now
            raise Unreachable(str(cause or f"the coordinator does not answer: {type(error).__name__}")) from error


class Fleet:
    """The fleet of the cluster that this program is connected to."""

    def __init__(self) -> None:
        self._actor: Any = None

    def start(self, settings: Settings) -> tuple[str, bool]:
        """Start a fleet, or take over the one that runs: its epoch, and whether it ran.

        Raises ActionstreamError where it cannot begin.
        """
        ray = _ray()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        try:
            self._actor = ray.get_actor(NAME, namespace=NAMESPACE)
            return self._ask("apply", pickle.dumps(settings), seconds=START_SECONDS), True
        except (ValueError, ActionstreamError):  # there is none, or it belongs to a node that is gone
            if self._actor is not None:
                ray.kill(self._actor, no_restart=True)
        here = ray.get_runtime_context().get_node_id()
        self._actor = (
            ray.remote(CoordinatorActor)
            .options(
                name=NAME,
                namespace=NAMESPACE,
                lifetime="detached",
                max_restarts=-1,
                num_cpus=0,
                max_concurrency=MOST_CALLS,
                scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
            )
            .remote(pickle.dumps(settings), own_environment())
        )
        try:
            return self._ask("ready", seconds=START_SECONDS), False
        except ActionstreamError:
            ray.kill(self._actor, no_restart=True)
            raise

    def apply(self, settings: Settings) -> str:
        """Take new settings; returns the epoch. ActionstreamError where the coordinator does not answer."""
        epoch: str = self._ask("apply", pickle.dumps(settings), seconds=START_SECONDS)
        return epoch

    def said(self, after: int) -> tuple[str, int, list[str]]:
        """The epoch, the number of lines for the user so far, and those of them after a number."""
        said: tuple[str, int, list[str]] = self._ask("said", after)
        return said

    def drain(self, node: str, *, undo: bool = False) -> str:
        """See `Coordinator.drain`."""
        return str(self._ask("drain", node, undo))

    def status(self) -> Status:
        """See `Coordinator.status`."""
        status: Status = self._ask("status")
        return status

    def stop(self) -> list[str]:
        """End the fleet; returns the last lines for the user."""
        ray = _ray()
        lines: list[str] = []
        try:
            lines = self._ask("stop", seconds=2 * STOP_SECONDS)
        except ActionstreamError as error:
            lines = [str(error)]
        for each in ray.util.list_named_actors(all_namespaces=False):
            if each == NAME or each.startswith(f"{NAME} "):
                ray.kill(ray.get_actor(each, namespace=NAMESPACE), no_restart=True)
        return lines

    def _ask(self, method: str, *arguments: Any, seconds: float = CALL_SECONDS) -> Any:
        ray = _ray()
        try:
            self._actor = self._actor or ray.get_actor(NAME, namespace=NAMESPACE)
        except ValueError:
            raise ActionstreamError(
                "no fleet runs on this cluster; start one with `actionstream fleet cameras.toml --ray ADDRESS`"
            ) from None
        try:
            return ray.get(getattr(self._actor, method).remote(*arguments), timeout=seconds)
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, ActionstreamError):
                raise ActionstreamError(str(cause)) from error
            why = in_a_line(cause) if isinstance(cause, Exception) else type(error).__name__
            raise ActionstreamError(f"the coordinator of the fleet does not answer: {why}") from error


def _ray() -> Any:
    import ray

    return ray
