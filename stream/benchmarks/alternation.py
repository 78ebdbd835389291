"""Times that can be compared: what is measured takes turns, many short rounds in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

Done = Callable[[float], None]
"""Told how much of the work is done, from 0 to 1."""


Stage = Callable[[str], Done]
"""Told what begins now; gives who is told how much of that is done."""


def nobody(_: float) -> None:
    """Nobody wants to know how much is done."""


def no_stage(_: str) -> Done:
    """Nor what is being done."""
    return nobody


def timed(work: Callable[[], Any]) -> Callable[[], float]:
    """Some work as a side of `alternate`: does it, and gives the seconds that it took."""

    def run() -> float:
        began = perf_counter()
        work()
        return perf_counter() - began

    return run


def burst(step: Callable[[], Any], calls: int = 5) -> Callable[[], float]:
    """A short step as a side of `alternate`: seconds of a call, the median of several.

    One before them warms the caches again, and outlasts what the side before has left: threads that wait busily.
    """
    once = timed(step)

    def run() -> float:
        once()
        return median(once() for _ in range(calls))

    return run


def alternate(
    sides: Mapping[str, Callable[[], float]], *, rounds: int, warm_ups: int = 1, done: Done = nobody
) -> dict[str, list[float]]:
    """What each side gives in each round; every second round goes backwards, so that none is always the first."""
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
    """A median, and between what half of the values lie."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quartiles:
        lower, middle, upper = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        return cls(middle, lower, upper)


def ratios(left: Sequence[float], right: Sequence[float]) -> Quartiles:
    """Of what was measured in the same rounds: left over right, in each of them."""
    return Quartiles.of([one / other for one, other in zip(left, right, strict=True)])


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The median, what 95 and 99 % of the values do not exceed, and the largest."""
    names = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: float(np.quantile(values, share)) for name, share in names.items()}
