"""One network over many streams: frames in, and for each the scores that it gives, or why it gives none."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from actionstream.frame import Frame
from actionstream.models.card import Card
from actionstream.models.modality import open_modality
from actionstream.runtimes.runtime import Runtime
from actionstream.sampler import Sampler


@dataclass(frozen=True, slots=True)
class Sampled:
    """A frame that was sampled, without its picture.

    stream   whose it is
    snippet  uint8 (height, width, channels); None where it went into a stack that is not due
    reset    why the state has to be emptied before it, if it has
    """

    stream: str
    snippet: np.ndarray | None
    reset: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """What a sampled frame gave.

    scores  float32 (K,); None where it went into a stack that is not due
    reset   why the state was emptied before it, if it was
    """

    scores: np.ndarray | None = None
    reset: str | None = None


class Scorer(Protocol):
    """What the engine asks of a network, or of several as one.

    There are two steps, which different threads may take: one that looks at pictures, and one that runs networks.

    chunk  how many sampled frames of one stream `score` does well to take, where there are as many
    """

    card: Card
    chunk: int

    def open(self, stream: str) -> None:
        """Begin a stream."""

    def close(self, stream: str) -> None:
        """End it."""

    def sample(self, frame: Frame) -> Any:
        """The next frame of a stream as `score` takes it; None where it lies between samples."""

    def score(self, sampled: Sequence[Any]) -> list[Row]:
        """Frames of different streams, a row for each, or successive frames of one stream."""

    def reset(self, stream: str) -> None:
        """The next frame of a stream is a start."""

    def empty(self, stream: str) -> None:
        """Empty the state of a stream at once, whatever was sampled ahead; its rhythm and its stacks go on."""

    def read(self, stream: str) -> Any:
        """A copy of all that is kept of a stream."""

    def write(self, stream: str, kept: Any) -> None:
        """Put back what `read` gave."""


class Sampling:
    """What a network sees of one stream: a sampler, and the modality that makes snippets of what it picks."""

    def __init__(self, card: Card, *, gap_seconds: float | None = None):
        self._sampler = Sampler(card.frame_seconds, gap_seconds)
        self._modality = open_modality(card.preprocessing, interval_seconds=card.interval_seconds)

    def push(self, frame: Frame) -> Sampled | None:
        """The next frame of the stream; None where it lies between samples."""
        decision = self._sampler.push(frame.time_seconds, frame.image.shape[:2], after_gap=frame.after_gap)
        if decision.reset:
            self._modality.reset()
        if not decision.sampled:
            return None
        return Sampled(frame.stream, self._modality.push(frame.image, frame.time_seconds), decision.reset)

    def reset(self) -> None:
        """Forget all frames: the next one begins anew."""
        self._sampler.reset()


@dataclass
class _Stream:
    sampling: Sampling
    slot: int


class NetworkScorer:
    """A runtime, and for each stream its sampling, and a slot of the runtime's pool of states."""

    def __init__(self, runtime: Runtime, *, gap_seconds: float | None = None):
        self.card = runtime.card
        self.chunk = runtime.chunk
        self._runtime = runtime
        self._gap_seconds = gap_seconds
        self._streams: dict[str, _Stream] = {}

    def open(self, stream: str) -> None:
        sampling = Sampling(self.card, gap_seconds=self._gap_seconds)
        self._streams[stream] = _Stream(sampling, self._runtime.allocate())

    def close(self, stream: str) -> None:
        self._runtime.free(self._streams.pop(stream).slot)

    def sample(self, frame: Frame) -> Sampled | None:
        return self._streams[frame.stream].sampling.push(frame)

    def score(self, sampled: Sequence[Sampled]) -> list[Row]:
        rows = [Row(reset=each.reset) for each in sampled]
        in_time = len({each.stream for each in sampled}) < len(sampled)
        cuts = [n for n, each in enumerate(sampled) if n and each.reset] if in_time else []
        for begin, end in pairwise([0, *cuts, len(sampled)]):
            for each in sampled[begin:end]:
                if each.reset:
                    self._runtime.reset(self._streams[each.stream].slot)
            due = [n for n in range(begin, end) if sampled[n].snippet is not None]
            if due:
                snippets = np.stack([sampled[n].snippet for n in due])  # type: ignore[misc]  # not None, as above
                slots = [self._streams[sampled[n].stream].slot for n in due]
                if in_time:
                    scores = self._runtime.step(snippets[None], np.array(slots[:1]))[0]
                else:
                    scores = self._runtime.step(snippets[:, None], np.array(slots))[:, 0]
                for n, row in zip(due, scores, strict=True):
                    rows[n] = Row(scores=row, reset=sampled[n].reset)
        return rows

    def reset(self, stream: str) -> None:
        self._streams[stream].sampling.reset()

    def empty(self, stream: str) -> None:
        self._runtime.reset(self._streams[stream].slot)

    def read(self, stream: str) -> Any:
        entry = self._streams[stream]
        return copy.deepcopy(entry.sampling), self._runtime.read(entry.slot)

    def write(self, stream: str, kept: Any) -> None:
        entry = self._streams[stream]
        sampling, state = kept
        entry.sampling = copy.deepcopy(sampling)
        self._runtime.write(entry.slot, state)
