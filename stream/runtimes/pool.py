"""The base of runtimes with one program for a step: states are rows of numpy arrays, the pool."""

from __future__ import annotations

import os
from abc import abstractmethod

import numpy as np

from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import TOLERANCE, Exported, check_snippets
from actionstream.runtimes.runtime import Runtime, StateArrays
from actionstream.runtimes.slots import SlotPool

NUM_SLOTS = 4  # at first
MAX_BATCH = 8
MAX_THREADS = 4
"""Default limit of threads of a step: its layers are too small for more."""


def num_threads_here() -> int:
    """Threads of a step: the number of cores that this process may use, up to MAX_THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MAX_THREADS)


class PoolRuntime(SlotPool):
    """Gathers the states of a batch from the pool, runs the step, and scatters the new states into the pool.

    The pool grows with the number of streams. More than MAX_BATCH streams, or more than one snippet, need several runs.
    """

    chunk = 1
    rows_per_slot = 1

    def __init__(self, exported: Exported):
        _refuse_what_cannot_stream(exported)
        super().__init__(NUM_SLOTS)
        self.card = exported.card
        self._exported = exported
        self._pool = [np.zeros((NUM_SLOTS * self.rows_per_slot, *shape), np.float32) for shape in exported.state]
        self._rows = np.arange(NUM_SLOTS) * self.rows_per_slot
        """The current row of each slot in the pool."""

    @abstractmethod
    def _run(self, pixels: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Score pixels, uint8 (B, 1, height, width, channels); returns scores (B, 1, K), and updates the states."""

    def step(self, snippets: np.ndarray, slots: np.ndarray) -> np.ndarray:
        num_streams, num_snippets = snippets.shape[:2]
        if len(np.unique(slots)) < num_streams:
            raise ActionstreamError(f"slots {slots.tolist()} have one twice; a stream can be in a batch once")
        scores = np.empty((num_streams, num_snippets, len(self.card.labels)), np.float32)
        for begin in range(0, num_streams, MAX_BATCH):
            some = slice(begin, begin + MAX_BATCH)
            for time in range(num_snippets):
                scores[some, time] = self._run(snippets[some, time : time + 1], slots[some])[:, 0]
        return scores

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

    def check(self) -> None:
        """Compare with the scores in the exported file; RuntimeError when they differ."""
        check_agreement(self, np.array(self._exported.check), TOLERANCE[self._exported.precision])


def check_agreement(runtime: Runtime, scores: np.ndarray, tolerance: float) -> None:
    """Run a new stream over `check_snippets`; RuntimeError when a probability is off by more than `tolerance`.

    scores  (NUM_CHECKED, K), the scores of the reference
    """
    card: Card = runtime.card
    slot = runtime.allocate()
    found = runtime.step(check_snippets(card)[None], np.array([slot]))[0]
    runtime.free(slot)
    off = np.abs(card.probabilities(found) - card.probabilities(scores.astype(np.float32))).max()
    if not off <= tolerance:
        raise RuntimeError(f"its probabilities are off by {off:.3f}, more than {tolerance}")


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
