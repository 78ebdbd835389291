"""One network over many streams: frames in, and for each the scores that it gives, or why it gives none."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, Protocol

import numpy as np

from models.checkpoint import Card
from models.modality import Modality, open_modality
from stream.frame import Frame
from stream.runtimes import Runtime
from stream.sampler import Sampler

Passed = Literal["between samples", "inside a stack"]


@dataclass(frozen=True, slots=True)
class Row:
    """What a frame gave.

    scores  float32 (K,), or None
    passed  why there are none: the sampler did not want the frame, or it went into a stack that is not due
    reset   why the state was emptied before it, if it was
    """

    scores: np.ndarray | None = None
    passed: Passed | None = None
    reset: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a batch of frames, and the milliseconds that it took to make snippets and to score them."""

    rows: list[Row]
    preprocess_ms: float
    model_ms: float


class Scorer(Protocol):
    """What the engine asks of a network, or of several as one."""

    card: Card

    def open(self, stream: str) -> None:
        """Begin a stream."""

    def close(self, stream: str) -> None:
        """End it."""

    def push(self, frames: Sequence[Frame]) -> Rows:
        """Frames of different streams that are open."""

    def reset(self, stream: str, why: str = "start") -> None:
        """The next frame of a stream is a start."""

    def read(self, stream: str) -> Any:
        """A copy of all that is kept of a stream."""

    def write(self, stream: str, kept: Any) -> None:
        """Put back what `read` gave."""


@dataclass
class _Stream:
    sampler: Sampler
    modality: Modality
    slot: int


class NetworkScorer:
    """A runtime, and for each stream a sampler, a modality, and a slot of the runtime's pool of states."""

    def __init__(self, runtime: Runtime, *, gap_seconds: float | None = None):
        self.card = runtime.card
        self._runtime = runtime
        self._gap_seconds = gap_seconds
        self._streams: dict[str, _Stream] = {}

    def open(self, stream: str) -> None:
        card = self.card
        sampler = Sampler(card.frame_seconds, self._gap_seconds)
        modality = open_modality(card.preprocessing, interval_seconds=card.interval_seconds)
        self._streams[stream] = _Stream(sampler, modality, self._runtime.allocate())

    def close(self, stream: str) -> None:
        self._runtime.free(self._streams.pop(stream).slot)

    def push(self, frames: Sequence[Frame]) -> Rows:
        began = perf_counter()
        rows = [Row(passed="between samples")] * len(frames)
        due: list[int] = []
        snippets: list[np.ndarray] = []
        for position, frame in enumerate(frames):
            stream = self._streams[frame.stream]
            decision = stream.sampler.push(frame.time_seconds, frame.image.shape[:2], after_gap=frame.after_gap)
            if decision.reset:
                stream.modality.reset()
                self._runtime.reset(stream.slot)
            if not decision.sampled:
                continue
            snippet = stream.modality.push(frame.image, frame.time_seconds)
            rows[position] = Row(passed="inside a stack" if snippet is None else None, reset=decision.reset)
            if snippet is not None:
                due.append(position)
                snippets.append(snippet)
        ready = perf_counter()
        if due:
            slots = np.array([self._streams[frames[position].stream].slot for position in due])
            scores = self._runtime.step(np.stack(snippets)[:, None], slots)[:, -1]
            for position, row in zip(due, scores, strict=True):
                rows[position] = Row(scores=row, reset=rows[position].reset)
        return Rows(rows, (ready - began) * 1000, (perf_counter() - ready) * 1000)

    def reset(self, stream: str, why: str = "start") -> None:
        self._streams[stream].sampler.reset(why)

    def read(self, stream: str) -> Any:
        entry = self._streams[stream]
        return copy.deepcopy((entry.sampler, entry.modality)), self._runtime.read(entry.slot)

    def write(self, stream: str, kept: Any) -> None:
        entry = self._streams[stream]
        stages, state = kept
        entry.sampler, entry.modality = copy.deepcopy(stages)
        self._runtime.write(entry.slot, state)
