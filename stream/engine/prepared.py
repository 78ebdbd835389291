"""What happens to the frames of a stream before any network: sampled, made into snippets, and handed on if dropped."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from actionstream.frame import Frame
from actionstream.models.card import Card
from actionstream.models.modality import open_modality
from actionstream.sampler import Sampler, gap_after

if TYPE_CHECKING:
    from actionstream.engine.scorer import ScoredStream


@dataclass(frozen=True, slots=True)
class Sampled:
    """A frame that a network wants.

    snippet  uint8 (height, width, channels); None where it went into a stack that is not due
    reset    why the state has to be emptied before it, if it has
    """

    snippet: np.ndarray | None
    reset: str | None


class Sampling:
    """What a network sees of one stream: a sampler, and the modality that makes snippets of what it picks.

    good_until_seconds  until when the state that the last sampled frame leaves is of use
    """

    def __init__(self, card: Card, *, gap_seconds: float | None = None):
        self._gap_seconds = gap_after(card.frame_seconds) if gap_seconds is None else gap_seconds
        self._sampler = Sampler(card.frame_seconds, self._gap_seconds)
        self._modality = open_modality(card.preprocessing, interval_seconds=card.interval_seconds)
        self.good_until_seconds = -math.inf

    def push(self, frame: Frame) -> Sampled | None:
        """The next frame of the stream; None where it lies between samples."""
        decision = self._sampler.push(frame.time_seconds, frame.image.shape[:2], after_gap=frame.after_gap)
        if decision.reset:
            self._modality.reset()
        if not decision.sampled:
            return None
        self.good_until_seconds = frame.time_seconds + self._gap_seconds
        return Sampled(self._modality.push(frame.image, frame.time_seconds), decision.reset)

    def copy(self) -> Sampling:
        """It as it is, to go on from there another time."""
        twin = copy.copy(self)
        twin._sampler, twin._modality = copy.copy(self._sampler), self._modality.copy()
        return twin


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
