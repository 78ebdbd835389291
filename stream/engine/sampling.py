"""The input of a network from a stream: it samples frames and makes snippets of them."""

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
    """A sampled frame of a network.

    snippet  uint8 (height, width, channels); None where the frame is part of a stack that is not complete
    reset    why the state has to be emptied before this frame; None where it does not
    """

    snippet: np.ndarray | None
    reset: str | None


class Sampling:
    """The sampler of one network and one stream, and the modality that makes snippets of sampled frames.

    good_until_seconds  time until which the state is of use after the last sampled frame
    """

    def __init__(self, card: Card, *, gap_seconds: float | None = None):
        self._gap_seconds = gap_after(card.frame_seconds) if gap_seconds is None else gap_seconds
        self._sampler = Sampler(card.frame_seconds, self._gap_seconds)
        self._modality = open_modality(card.preprocessing, interval_seconds=card.interval_seconds)
        self.good_until_seconds = -math.inf

    def push(self, frame: Frame) -> Sampled | None:
        """Take the next frame of the stream; returns None where the frame lies between samples."""
        decision = self._sampler.push(frame.time_seconds, frame.size, after_gap=frame.after_gap)
        if decision.reset:
            self._modality.reset()
        if not decision.sampled:
            return None
        self.good_until_seconds = frame.time_seconds + self._gap_seconds
        return Sampled(self._modality.push(frame.picture, frame.time_seconds), decision.reset)

    def copy(self) -> Sampling:
        """A copy that can go on independently."""
        twin = copy.copy(self)
        twin._sampler, twin._modality = copy.copy(self._sampler), self._modality.copy()
        return twin
