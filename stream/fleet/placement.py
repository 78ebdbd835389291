"""Which node each camera belongs to: pure functions of costs and capacities."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Mapping, Set
from dataclasses import dataclass

WORTH_IT = 0.25
"""A camera moves where two nodes' loads differ by more than this share of a node: less is noise of the measurement."""
MOVED_SHARE = 0.02
"""Of all cameras so many move in one round at most, or one for each node: each move is a pause of its camera."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a node can take.

    cpus      its CPUs
    draining  whether its cameras are to leave it
    """

    cpus: float
    draining: bool = False


def loads(costs: Mapping[str, float], where: Mapping[str, str], nodes: Mapping[str, Capacity]) -> dict[str, float]:
    """The load of each node, 1 where all its CPUs are busy.

    costs  CPU seconds a second of each camera
    where  the nodes of cameras; cameras on other nodes than these do not count
    """
    busy = dict.fromkeys(nodes, 0.0)
    for camera, node in where.items():
        if node in busy:
            busy[node] += costs[camera]
    return {node: busy[node] / capacity.cpus for node, capacity in nodes.items()}


def place(costs: Mapping[str, float], where: Mapping[str, str], nodes: Mapping[str, Capacity]) -> dict[str, str]:
    """Nodes for the cameras without one: the most expensive camera first, each on the node with the lowest load.

    costs  CPU seconds a second of all cameras
    where  the nodes of cameras that have one

    A node that drains gets none; the result is empty where there is no other one.
    """
    load = loads(costs, where, nodes)
    heap = [(load[node], node) for node, capacity in nodes.items() if not capacity.draining]
    heapq.heapify(heap)
    placed: dict[str, str] = {}
    if not heap:
        return placed
    for camera in sorted(costs.keys() - where.keys(), key=lambda camera: (-costs[camera], camera)):
        load_now, node = heap[0]
        placed[camera] = node
        heapq.heapreplace(heap, (load_now + costs[camera] / nodes[node].cpus, node))
    return placed


def drained(where: Mapping[str, str], nodes: Mapping[str, Capacity]) -> set[str]:
    """The cameras of nodes that drain; none where there is no other node."""
    if all(capacity.draining for capacity in nodes.values()):
        return set()
    return {camera for camera, node in where.items() if node in nodes and nodes[node].draining}


def balance(
    costs: Mapping[str, float],
    where: Mapping[str, str],
    nodes: Mapping[str, Capacity],
    *,
    fixed: Set[str] = frozenset(),
) -> set[str]:
    """The few cameras that leave the nodes with the highest loads, so that `place` puts them on others.

    fixed  cameras that stay

    A camera leaves only where the load of the busiest node is more than WORTH_IT above that of the idlest one, and is
    higher than that of the other node after the move.
    """
    nodes = {node: capacity for node, capacity in nodes.items() if not capacity.draining}
    load = loads(costs, where, nodes)
    idlest = [(value, node) for node, value in load.items()]
    busiest = [(-value, node) for node, value in load.items()]
    heapq.heapify(idlest)
    heapq.heapify(busiest)
    on: dict[str, list[tuple[float, str]]] = {node: [] for node in nodes}
    for camera, node in where.items():
        if node in on and camera not in fixed:
            on[node].append((costs[camera], camera))
    left: set[str] = set()
    most = max(int(MOVED_SHARE * len(where)), len(nodes))
    while len(left) < most:
        high, low = _first(busiest, load, -1), _first(idlest, load, 1)
        if high is None or low is None or load[high] - load[low] <= WORTH_IT:
            break
        cameras = on[high]
        cameras.sort()
        wanted = (load[high] - load[low]) / (1 / nodes[high].cpus + 1 / nodes[low].cpus)  # then both are equal
        number = max(bisect_right(cameras, (wanted, "\uffff")) - 1, 0)
        if not cameras or load[low] + cameras[number][0] / nodes[low].cpus >= load[high]:
            heapq.heappop(busiest)  # no camera of this node helps
            continue
        cost, camera = cameras.pop(number)
        left.add(camera)
        on[low].append((cost, camera))
        for node, change in ((high, -cost), (low, cost)):
            load[node] += change / nodes[node].cpus
            heapq.heappush(idlest, (load[node], node))
            heapq.heappush(busiest, (-load[node], node))
    return left


def _first(heap: list[tuple[float, str]], load: Mapping[str, float], sign: int) -> str | None:
    """The first node of a heap; entries with a load of before are passed over. None where there is no other entry."""
    while heap and heap[0][0] != sign * load[heap[0][1]]:
        heapq.heappop(heap)
    return heap[0][1] if heap else None
