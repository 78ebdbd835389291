"""The base of runtimes with one program for a step: states are rows of numpy arrays, the pool."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from time import perf_counter

import numpy as np

from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import TOLERANCE, Exported, check_snippets
from actionstream.runtimes.plans import Plan, Planner, PlansOf
from actionstream.runtimes.runtime import Runtime, StateArrays
from actionstream.runtimes.slots import SlotPool

NUM_SLOTS = 4  # at first
BOUNDS: Mapping[str, float] = {"float32": TOLERANCE["float32"], "bfloat16": 0.02, "int8": TOLERANCE["int8"]}
"""The most that a probability may be off, by precision."""

Run = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Scores pixels, uint8 (B, 1, height, width, channels), of streams with slots (B,), and updates their states in the
pool; returns scores (B, 1, K), which the next run may overwrite."""


class PoolRuntime(SlotPool):
    """Gathers the states of a batch from the pool, runs the step, and scatters the new states into the pool.

    The pool grows with the number of streams. A batch is cut into runs, one after the other or side by side in several
    lanes, as a `Planner` finds it fastest; runs of different lanes have different rows of the pool.
    """

    software: str
    chunk = 1
    rows_per_slot = 1

    def __init__(self, exported: Exported, plans: PlansOf):
        _refuse_what_cannot_stream(exported)
        super().__init__(NUM_SLOTS)
        self.card = exported.card
        self.precision: str = exported.precision
        self._exported = exported
        self._pool = [np.zeros((NUM_SLOTS * self.rows_per_slot, *shape), np.float32) for shape in exported.state]
        self._rows = np.arange(NUM_SLOTS) * self.rows_per_slot
        """The current row of each slot in the pool."""
        self._planner = Planner(plans)
        self._lanes: dict[tuple[int, int, int], Run] = {}
        self._others: ThreadPoolExecutor | None = None
        """Threads for all lanes but the first."""
        self._num_others = 0

    @abstractmethod
    def _open_lane(self, plan: Plan, number: int) -> Run:
        """The function for the runs in a lane of a plan, until the pool grows."""

    def step(self, snippets: np.ndarray, slots: np.ndarray) -> np.ndarray:
        num_streams, num_snippets = snippets.shape[:2]
        if len(np.unique(slots)) < num_streams:
            raise ActionstreamError(f"slots {slots.tolist()} have one twice; a stream can be in a batch once")
        plan = self._planner.choose(num_streams)
        lanes = [self._lane(plan, number) for number in range(plan.lanes)]
        scores = np.empty((num_streams, num_snippets, len(self.card.labels)), np.float32)
        parts = iter([slice(begin, begin + plan.size) for begin in range(0, num_streams, plan.size)])

        def work(run: Run, parts: Iterator[slice]) -> None:
            for part in parts:  # all lanes take from one iterator, so that none waits while there is work
                for time in range(num_snippets):
                    scores[part, time] = run(snippets[part, time : time + 1], slots[part])[:, 0]

        began = perf_counter()
        others = [self._threads(plan.lanes - 1).submit(work, run, parts) for run in lanes[1:]]
        try:
            work(lanes[0], parts)
        finally:
            wait(others)
        for other in others:
            other.result()
        self._planner.record(num_streams, plan, (perf_counter() - began) / num_snippets)
        return scores

    def _lane(self, plan: Plan, number: int) -> Run:
        key = plan.threads, plan.lanes, number
        if key not in self._lanes:
            self._lanes[key] = self._open_lane(plan, number)
        return self._lanes[key]

    def _threads(self, number: int) -> ThreadPoolExecutor:
        if self._others is None or self._num_others < number:
            self._others, self._num_others = ThreadPoolExecutor(number, "lane"), number
        return self._others

    def reset(self, slot: int) -> None:
        for leaf in self._pool:
            leaf[self._rows[slot]] = 0

    def read(self, slot: int) -> StateArrays:
        return tuple(leaf[self._rows[slot]].copy() for leaf in self._pool)

    def write(self, slot: int, state: StateArrays) -> None:
        for leaf, values in zip(self._pool, state, strict=True):
            leaf[self._rows[slot]] = values

    def _grow(self) -> None:
        self._pool = [np.concatenate([leaf, np.zeros_like(leaf)]) for leaf in self._pool]
        self._rows = np.concatenate([self._rows, (self._num_slots + np.arange(self._num_slots)) * self.rows_per_slot])
        self._lanes.clear()  # they use the old pool

    @property
    def reference(self) -> np.ndarray:
        """The scores (NUM_CHECKED, K) of `check_snippets` in the exported file; a float32 file has float64's."""
        return np.array(self._exported.check)

    @property
    def bound(self) -> float:
        """The most that a probability may be off."""
        return BOUNDS[self.precision]

    def check(self) -> None:
        """Compare with the scores in the exported file; RuntimeError when they differ."""
        check_agreement(self, self.reference, self.bound)


def check_agreement(runtime: Runtime, scores: np.ndarray, tolerance: float) -> None:
    """RuntimeError when a probability is off by more than `tolerance`; `scores` as in `difference`."""
    off = difference(runtime, scores)
    if not off <= tolerance:
        raise RuntimeError(f"its probabilities are off by {off:.3f}, more than {tolerance}")


def difference(runtime: Runtime, scores: np.ndarray) -> float:
    """Run a new stream over `check_snippets`; returns the largest difference of a probability.

    scores  (NUM_CHECKED, K), the scores of the reference
    """
    card: Card = runtime.card
    slot = runtime.allocate()
    found = runtime.step(check_snippets(card)[None], np.array([slot]))[0]
    runtime.free(slot)
    return float(np.abs(card.probabilities(found) - card.probabilities(scores.astype(np.float32))).max())


def _refuse_what_cannot_stream(exported: Exported) -> None:
    reason = None
    if not exported.streams:
        reason = f"takes whole clips of {exported.chunk} frames"
    elif exported.chunk > 1:
        reason = f"takes {exported.chunk} snippets at a time"
    elif exported.takes == "frames":
        reason = "takes frames that are normalised already"
    if reason:
        raise ActionstreamError(
            f"this file {reason}, which is for other programs; to run here it has to be exported with one snippet at a "
            "time and --takes pixels"
        )
