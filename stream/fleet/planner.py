"""The planner of a fleet: what cameras cost, which node each one gets, and which ones leave theirs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from actionstream.fleet import placement
from actionstream.fleet.placement import Capacity

USUAL_COST = 0.15
"""CPU seconds a second of a camera that is not measured yet."""
NEW_SHARE = 0.2
"""The weight of a new measurement of a cost; the rest is what was known."""
START_SECONDS = 30.0
"""So long the first placement waits for the agents of all nodes."""
SETTLE_SECONDS = 30.0
"""So long a camera stays where it was put, before it may leave for balance."""
BALANCE_SECONDS = 10.0


class Planner:
    """Plans with the costs that it is told; it does nothing itself.

    monotonic  seconds of a clock that only goes on

    leaving  cameras that are to leave their nodes
    """

    def __init__(self, monotonic: Callable[[], float]):
        self.leaving: set[str] = set()
        self._monotonic = monotonic
        self._began = self._balanced_at = monotonic()
        self._costs: dict[str, float] = {}
        self._placed_at: dict[str, float] = {}

    def note(self, costs: Mapping[str, float]) -> None:
        """Take measured costs, CPU seconds a second by camera."""
        for camera, cost in costs.items():
            known = self._costs.get(camera, cost)
            self._costs[camera] = known + NEW_SHARE * (cost - known)

    def cost(self, camera: str) -> float | None:
        """The cost of a camera; None where it is not measured yet."""
        return self._costs.get(camera)

    def costs(self, cameras: Collection[str]) -> dict[str, float]:
        """The costs of cameras, USUAL_COST where it is not measured yet."""
        return {camera: self._costs.get(camera, USUAL_COST) for camera in cameras}

    def place(
        self,
        cameras: Collection[str],
        where: Mapping[str, str],
        nodes: Mapping[str, Capacity],
        *,
        expected: Collection[str],
    ) -> dict[str, str]:
        """Nodes for the cameras without one.

        expected  the nodes that are to be there: the first placement waits for them, for some time
        """
        now = self._monotonic()
        is_first = not self._placed_at and not where
        if is_first and not nodes.keys() >= set(expected) and now - self._began < START_SECONDS:
            return {}
        placed = placement.place(self.costs(cameras), where, nodes)
        self._placed_at |= dict.fromkeys(placed, now)
        return placed

    def choose_leaving(self, where: Mapping[str, str], nodes: Mapping[str, Capacity]) -> None:
        """Choose the cameras that leave: those of nodes that drain, and from time to time a few for balance."""
        self.leaving |= placement.drained(where, nodes)
        now = self._monotonic()
        if now - self._balanced_at >= BALANCE_SECONDS and not self.leaving:
            self._balanced_at = now
            fixed = {camera for camera, at in self._placed_at.items() if now - at < SETTLE_SECONDS}
            self.leaving |= placement.balance(self.costs(where), where, nodes, fixed=fixed)

    def forget(self, camera: str) -> None:
        """Forget a camera that is not there any more."""
        self._costs.pop(camera, None)
        self._placed_at.pop(camera, None)
