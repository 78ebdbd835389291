"""What a network sees of a stream: the frames that it wants, made into snippets."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np

from actionstream.frame import Frame
from actionstream.models.card import Card
from actionstream.models.modality import open_modality
from actionstream.sampler import Sampler, gap_after


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
