"""How a batch of streams is run: in how many runs, of how many threads, and how many of them at once.

What is fastest depends on the network, on the processor and on what else runs there, so plans are measured on the steps
that come anyway. These classes do no work and read no clock: they get the times of steps.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

MAX_THREADS = 4
"""Limit of threads of a run: the layers of a step are too small for more."""
SIZES = 1, 4, 16
"""Streams of a run besides an equal share of the batch; larger runs need more memory, and are not faster."""
MAX_COPIES = 4
"""Limit of runs at once that have several threads each: each of them has a copy of the weights."""
TRIALS = 3
WINDOW = 9
"""Times of a plan that are kept; their median counts."""
HOPELESS = 1.5
"""A plan that takes this many times as long as the best one gets one trial."""
STEPS_UNTIL_RETRY = 200
"""Steps of a batch size after which another plan is tried again, as the load of the machine changes."""


def num_cores_here() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Plan:
    """A way to run a batch.

    threads  of one run
    lanes    runs at once
    size     streams of a run; the last run may have fewer
    """

    threads: int
    lanes: int
    size: int


PlansOf = Callable[[int], Sequence[Plan]]
"""The plans to choose from for a number of streams; the first one is the plan until the others are measured."""


def plans_for(num_cores: int) -> PlansOf:
    """Plans with at most `num_cores` threads in all: in runs after each other, in runs side by side, or both."""

    def plans(num_streams: int) -> list[Plan]:
        found: dict[Plan, None] = {}
        most = min(num_cores, MAX_THREADS)
        for threads in (1, most) if num_streams > 1 else (most, 1):
            lanes = num_cores // threads if threads == 1 else min(num_cores // threads, MAX_COPIES)
            lanes = min(lanes, num_streams)
            share = min(-(-num_streams // lanes), max(SIZES))
            for size in (share, *(size for size in reversed(SIZES) if size < share)):
                found[Plan(threads, lanes, size)] = None
        return list(found)

    return plans


class Planner:
    """Chooses a plan for each step, and learns from the times of steps.

    For each batch size the plans are tried in turn, a few times each, and then the fastest one is used. Now and then
    one of the others is tried again.
    """

    def __init__(self, plans: PlansOf):
        self._plans = plans
        self._sizes: dict[int, _Trials] = {}

    def choose(self, num_streams: int) -> Plan:
        """The plan of the next step."""
        if num_streams not in self._sizes:
            self._sizes[num_streams] = _Trials(self._plans(num_streams))
        return self._sizes[num_streams].choose()

    def record(self, num_streams: int, plan: Plan, seconds: float) -> None:
        """The time that a step with the plan of `choose` took."""
        self._sizes[num_streams].record(plan, seconds)


class _Trials:
    """The times of the plans of one batch size."""

    def __init__(self, plans: Sequence[Plan]):
        self._plans = plans
        self._seconds: dict[Plan, deque[float]] = {}
        """Of the plans that ran once: their first time does not count, as memory is allocated in it."""
        self._steps_until_retry = STEPS_UNTIL_RETRY
        self._next_retry = 0

    def choose(self) -> Plan:
        if len(self._plans) == 1:
            return self._plans[0]
        for plan in self._plans:
            if not self._seconds.get(plan):
                return plan
        best = min(self._plans, key=self._median)
        promising = [plan for plan in self._plans if self._median(plan) <= HOPELESS * self._median(best)]
        fewest = min(promising, key=lambda plan: len(self._seconds[plan]))
        if len(self._seconds[fewest]) < TRIALS:
            return fewest
        self._steps_until_retry -= 1
        if self._steps_until_retry:
            return best
        self._steps_until_retry = STEPS_UNTIL_RETRY
        others = [plan for plan in self._plans if plan != best]
        self._next_retry += 1
        again = others[self._next_retry % len(others)]
        self._seconds[again].clear()
        return again

    def record(self, plan: Plan, seconds: float) -> None:
        if plan in self._seconds:
            self._seconds[plan].append(seconds)
        else:
            self._seconds[plan] = deque(maxlen=WINDOW)

    def _median(self, plan: Plan) -> float:
        return median(self._seconds[plan])
