"""Measures runtimes: the time of a step by batch size, in alternation, and how far the scores are off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from actionstream.models.common.errors import ActionstreamError, in_a_line, is_out_of_memory
from actionstream.models.export.exported import check_snippets
from actionstream.runtimes.choice import BASIS, Candidate, Measured
from actionstream.runtimes.pool import PoolRuntime, difference

BATCHES = 1, 2, 4, 8, 16
SECONDS = 1.0
"""Time for each candidate and batch size."""
MIN_STEPS = 5
LOWER_QUARTILE = 0.25
"""The time that counts: other programs make steps longer, and never shorter."""

Done = Callable[[float], None]
"""A progress callback: takes the share of the work that is done, from 0 to 1."""


def measure(
    open_: Callable[[Candidate], PoolRuntime],
    candidates: Sequence[Candidate],
    *,
    batches: Sequence[int] = BATCHES,
    seconds: float = SECONDS,
    done: Done = lambda _: None,
) -> list[Measured]:
    """Open candidates, and measure those that agree with the reference; returns a row for each.

    open_       opens a candidate; ActionstreamError where it cannot run here, or gives other scores
    candidates  with BASIS, whose file has the scores of the reference
    """
    basis = open_(BASIS)
    opened: dict[Candidate, PoolRuntime] = {}
    rows: dict[Candidate, Measured] = {}
    for candidate in candidates:
        try:
            runtime = basis if candidate == BASIS else open_(candidate)
        except ActionstreamError as error:
            if is_out_of_memory(error):
                raise
            rows[candidate] = _row(candidate, refused=in_a_line(error)[:1000])
            continue
        off = difference(runtime, basis.reference)
        refused = None if off <= runtime.bound else f"probabilities are off by {off:.3f}, more than {runtime.bound:g}"
        rows[candidate] = _row(candidate, difference=off, refused=refused)
        if refused is None:
            opened[candidate] = runtime
    ms: dict[Candidate, list[float]] = {candidate: [] for candidate in opened}
    for number, batch in enumerate(batches):
        for candidate, spent in zip(opened, _alternate(list(opened.values()), batch, seconds), strict=True):
            ms[candidate].append(1000 * spent)
        done((number + 1) / len(batches))
    for candidate, found in ms.items():
        rows[candidate] = replace(rows[candidate], batches=tuple(batches), ms=tuple(found))
    return list(rows.values())


def _row(candidate: Candidate, **measured: Any) -> Measured:
    return Measured(runtime=candidate.runtime, precision=candidate.precision, **measured)


def _alternate(runtimes: Sequence[PoolRuntime], batch: int, seconds: float) -> list[float]:
    """The seconds of a step of each runtime, which take turns."""
    slots = [np.array([runtime.allocate() for _ in range(batch)]) for runtime in runtimes]
    given = check_snippets(runtimes[0].card)
    pixels = np.resize(given, (batch, 1, *given.shape[1:]))
    spent: list[list[float]] = [[] for _ in runtimes]
    while sum(map(sum, spent)) < seconds * len(runtimes) or len(spent[0]) < MIN_STEPS:
        for runtime, mine, times in zip(runtimes, slots, spent, strict=True):
            began = perf_counter()
            runtime.step(pixels, mine)
            times.append(perf_counter() - began)
    for runtime, mine in zip(runtimes, slots, strict=True):
        for slot in mine.tolist():
            runtime.free(slot)
    return [float(np.quantile(times, LOWER_QUARTILE)) for times in spent]
