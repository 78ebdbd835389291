"""One stream of a scorer: its frames are prepared, scored, and handed on if dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from actionstream.engine.sampling import Sampling
from actionstream.frame import Frame
from actionstream.runtimes.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A frame as the scorer takes it.

    stream              whose it is
    time_seconds        of the frame
    sampled             whether a network wants it
    snippets            for each network: uint8 (height, width, channels), or None where it has nothing to score
    reset               why the state has to be emptied before it, if it has
    good_until_seconds  up to here the state of the sampled frame before is of use, if this one is dropped
    seconds             that its preparation took
    samplings           of the stream, one for each network, as they are after this frame: nobody changes them
    """

    stream: ScoredStream
    time_seconds: float
    sampled: bool
    snippets: tuple[np.ndarray | None, ...]
    reset: str | None
    good_until_seconds: float
    seconds: float
    samplings: tuple[Sampling, ...]

    @property
    def due(self) -> bool:
        """Whether a network has something to score."""
        return any(snippet is not None for snippet in self.snippets)

    def after(self, dropped: Prepared) -> Prepared:
        """The same frame with what it needs of the last sampled one before it, which nobody scores.

        That is its reset; its snippet, for a network that has none here (its stack was complete, or this network's
        rhythm is another); and a reset for a gap, where too much time has passed since a frame was scored. A frame with
        a reset of its own needs nothing of what was before.
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


class ScoredStream:
    """One stream of a scorer: for each network its sampling, a slot of its runtime's states, and its last scores.

    `prepare` and `reset` look ahead and belong to the thread that has the frames; all else to the one that scores.
    """

    def __init__(self, runtimes: Sequence[Runtime], gap_seconds: float):
        self._runtimes = runtimes
        self._gap_seconds = gap_seconds
        self.reset()
        self.slots = [runtime.allocate() for runtime in runtimes]
        self.last: list[np.ndarray | None] = [None] * len(runtimes)

    def prepare(self, frame: Frame) -> Prepared:
        """The next frame of the stream as `Scorer.score` takes it."""
        began = perf_counter()
        samplings = self._samplings  # read once: another thread may `reset`
        good_until = max(each.good_until_seconds for each in samplings)
        sampled = [each.push(frame) for each in samplings]
        return Prepared(
            stream=self,
            time_seconds=frame.time_seconds,
            sampled=any(each is not None for each in sampled),
            snippets=tuple(None if each is None else each.snippet for each in sampled),
            reset=next((each.reset for each in sampled if each and each.reset), None),
            good_until_seconds=good_until,
            seconds=perf_counter() - began,
            samplings=tuple(each.copy() for each in samplings),
        )

    def reset(self) -> None:
        """Forget the rhythm and the stacks: the next frame that is prepared is a start. Any thread may ask for it."""
        self._scored = tuple(Sampling(each.card, gap_seconds=self._gap_seconds) for each in self._runtimes)
        self._samplings = tuple(each.copy() for each in self._scored)

    def empty(self) -> None:
        """Forget what the networks have seen, at once; what is prepared already goes on from there."""
        for runtime, slot in zip(self._runtimes, self.slots, strict=True):
            runtime.reset(slot)
        self.last = [None] * len(self.slots)

    def keep(self, prepared: Prepared, found: Sequence[np.ndarray | None]) -> None:
        """A frame has been scored: for each network the scores that it gave, if any."""
        self._scored = prepared.samplings
        self.last = [before if new is None else new for before, new in zip(self.last, found, strict=True)]

    def read(self) -> Any:
        """All that is kept of the stream, as of the frame that was scored last."""
        states = [runtime.read(slot) for runtime, slot in zip(self._runtimes, self.slots, strict=True)]
        return self._scored, states, self.last

    def write(self, kept: Any) -> None:
        """Put back what `read` gave, of this stream or of another one of the same scorer."""
        self._scored, states, self.last = kept
        self._samplings = tuple(each.copy() for each in self._scored)
        for runtime, slot, state in zip(self._runtimes, self.slots, states, strict=True):
            runtime.write(slot, state)

    def close(self) -> None:
        """Give the slots back."""
        for runtime, slot in zip(self._runtimes, self.slots, strict=True):
            runtime.free(slot)
