"""Measure several things in alternation, in many short rounds of one run, so that their times are comparable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

Done = Callable[[float], None]
"""A progress callback: takes the share of the work that is done, from 0 to 1."""


Stage = Callable[[str], Done]
"""Called with the name of the stage that begins; returns the progress callback of that stage."""


def nobody(_: float) -> None:
    """A progress callback that does nothing."""


def no_stage(_: str) -> Done:
    """A stage callback that does nothing."""
    return nobody


def timed(work: Callable[[], Any], clock: Callable[[], float] = perf_counter) -> Callable[[], float]:
    """Make a side of `alternate` from a function: it calls the function and returns the seconds that the call took.

    clock  time.process_time: the CPU seconds, of all threads of this process
    """

    def run() -> float:
        began = clock()
        work()
        return clock() - began

    return run


def burst(step: Callable[[], Any], calls: int = 5) -> Callable[[], float]:
    """Make a side of `alternate` from a short step: it returns the median seconds of several calls.

    One call before them does not count: it warms the caches, and outlasts spinning threads of the last side.
    """
    once = timed(step)

    def run() -> float:
        once()
        return median(once() for _ in range(calls))

    return run


def alternate(
    sides: Mapping[str, Callable[[], float]], *, rounds: int, warm_ups: int = 1, done: Done = nobody
) -> dict[str, list[float]]:
    """The values of each side, one for each round. The order is reversed in every second round."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(-warm_ups, rounds):
        for name in sides if turn % 2 == 0 else reversed(list(sides)):
            value = sides[name]()
            if turn >= 0:
                found[name].append(value)
        done((turn + 1 + warm_ups) / (rounds + warm_ups))
    return found


@dataclass(frozen=True)
class Quartiles:
    """The median and the quartiles; half of the values lie between the quartiles."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quartiles:
        lower, middle, upper = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        return cls(middle, lower, upper)


def ratios(left: Sequence[float], right: Sequence[float]) -> Quartiles:
    """Quartiles of left / right, divided round by round."""
    return Quartiles.of([one / other for one, other in zip(left, right, strict=True)])


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The median, the 95th and 99th percentile, and the maximum."""
    names = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: float(np.quantile(values, share)) for name, share in names.items()}
