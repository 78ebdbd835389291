"""One stream of a scorer: prepared frames, and the states of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal

import numpy as np

from actionstream.engine.sampling import Sampling
from actionstream.frame import Frame
from actionstream.runtimes.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A frame that is ready for the scorer.

    stream              stream of the frame
    time_seconds        time of the frame
    sampled             whether a network samples the frame
    snippets            for each network: uint8 (height, width, channels), or None where it has nothing to score
    idle                whether it is held back, because the scene is still: see `Gate`
    reset               why the state has to be emptied before this frame; None where it does not
    good_until_seconds  time until which the state is of use after the previous sampled frame
    seconds             duration of the preparation
    samplings           copies of the stream's samplings after this frame, one for each network; read only
    rhythm              the rhythm of the stream that prepared the frame
    """

    stream: ScoredStream
    time_seconds: float
    sampled: bool
    snippets: tuple[np.ndarray | None, ...]
    reset: str | None
    good_until_seconds: float
    seconds: float
    samplings: tuple[Sampling, ...]
    rhythm: _Rhythm
    idle: bool = False

    @property
    def due(self) -> bool:
        """Whether a network has something to score."""
        return any(snippet is not None for snippet in self.snippets)

    @property
    def not_sampled(self) -> Literal["idle", "between samples"]:
        """Why no network samples the frame."""
        return "idle" if self.idle else "between samples"

    def held_back(self) -> Prepared:
        """This frame without its snippets: the state stays as it is."""
        return replace(self, snippets=(None,) * len(self.snippets), sampled=False, idle=True)

    def after(self, dropped: Prepared) -> Prepared:
        """This frame, with the parts that it needs from the sampled frame before it, which was dropped.

        These are the reset of the dropped frame; its snippet, for a network without a snippet in this frame (networks
        have different rhythms and stacks); and a reset "gap", where too much time has passed since a frame was scored.
        A frame with a reset of its own needs nothing from the dropped one.
        """
        if self.reset:
            return self
        gap = "gap" if self.time_seconds > dropped.good_until_seconds else None
        return replace(
            self,
            reset=dropped.reset or gap,
            snippets=tuple(
                earlier if own is None else own for own, earlier in zip(self.snippets, dropped.snippets, strict=True)
            ),
            good_until_seconds=dropped.good_until_seconds,
        )


class _Rhythm:
    """The samplings of a stream from one reset to the next, one for each network.

    prepared  after the frame that was prepared last; for the thread that reads the frames
    scored    after the frame that was scored last; for the thread that scores, read only
    """

    def __init__(self, samplings: tuple[Sampling, ...]):
        self.scored = samplings
        self.prepared = tuple(each.copy() for each in samplings)


class ScoredStream:
    """One stream of a scorer: for each network its sampling, a slot of its runtime's states, and its last scores.

    `prepare` belongs to the thread that reads the frames, all else to the thread that scores; any thread may `reset`.
    That is safe without a lock: a reset replaces the rhythm by one assignment, and a frame that was prepared before it
    keeps its samplings in the rhythm that prepared it, which nobody reads any more.
    """

    def __init__(self, runtimes: Sequence[Runtime], gap_seconds: float):
        self._runtimes = runtimes
        self._gap_seconds = gap_seconds
        self.reset()
        self.slots = [runtime.allocate() for runtime in runtimes]
        self.last: list[np.ndarray | None] = [None] * len(runtimes)

    def prepare(self, frame: Frame) -> Prepared:
        """Prepare the next frame of the stream for `Scorer.score`."""
        began = perf_counter()
        rhythm = self._rhythm  # read once: another thread may `reset`
        good_until = max(each.good_until_seconds for each in rhythm.prepared)
        sampled = [each.push(frame) for each in rhythm.prepared]
        return Prepared(
            stream=self,
            time_seconds=frame.time_seconds,
            sampled=any(each is not None for each in sampled),
            snippets=tuple(None if each is None else each.snippet for each in sampled),
            reset=next((each.reset for each in sampled if each and each.reset), None),
            good_until_seconds=good_until,
            seconds=perf_counter() - began,
            samplings=tuple(each.copy() for each in rhythm.prepared),
            rhythm=rhythm,
        )

    def reset(self) -> None:
        """Clear the rhythm and the stacks: the next frame that is prepared is a "start". Any thread may call this."""
        self._rhythm = _Rhythm(tuple(Sampling(each.card, gap_seconds=self._gap_seconds) for each in self._runtimes))

    def empty(self) -> None:
        """Empty the states of the networks, at once; frames that are prepared already are scored after that."""
        for runtime, slot in zip(self._runtimes, self.slots, strict=True):
            runtime.reset(slot)
        self.last = [None] * len(self.slots)

    def keep(self, prepared: Prepared, found: Sequence[np.ndarray | None]) -> None:
        """Keep the scores of a frame, for each network that gave any."""
        prepared.rhythm.scored = prepared.samplings
        self.last = [before if new is None else new for before, new in zip(self.last, found, strict=True)]

    def read(self) -> Any:
        """A copy of the stream after the frame that was scored last."""
        states = [runtime.read(slot) for runtime, slot in zip(self._runtimes, self.slots, strict=True)]
        return self._rhythm.scored, states, self.last

    def write(self, kept: Any) -> None:
        """Put back what `read` returned, for this stream or another one of the same scorer."""
        samplings, states, self.last = kept
        self._rhythm = _Rhythm(samplings)
        for runtime, slot, state in zip(self._runtimes, self.slots, states, strict=True):
            runtime.write(slot, state)

    def close(self) -> None:
        """Give the slots back."""
        for runtime, slot in zip(self._runtimes, self.slots, strict=True):
            runtime.free(slot)
