"""The parts of a picture that are streams of their own: named regions over one decode, or the whole picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from actionstream.engine.scored_stream import Prepared
from actionstream.frame import Frame
from actionstream.live.held_back import HeldBack, Scorable
from actionstream.models.preprocessing import Preprocessing, Resizable

Crop = Callable[[np.ndarray], np.ndarray]
"""Cuts a region out of a picture, uint8 (height, width, 3)."""


class Part(NamedTuple):
    """A part of a frame: the name of its stream, its picture, and that picture prepared.

    earlier  frames of this stream that were held back before, and are to be scored before this one
    """

    stream: str
    picture: np.ndarray | Resizable
    prepared: Prepared
    earlier: Sequence[Scorable] = ()

    def of(self, frame: Frame) -> Frame:
        """The frame of this part, cut out of the frame of the whole picture."""
        return frame if self.picture is frame.picture else replace(frame, stream=self.stream, picture=self.picture)

    def after(self, dropped: Part) -> Part:
        """This part, with what it needs from the one before it, which was dropped."""
        return self._replace(prepared=self.prepared.after(dropped.prepared), earlier=(*dropped.earlier, *self.earlier))


@dataclass(frozen=True, slots=True)
class PreparedParts:
    """All parts of a frame, prepared; they are scored, or dropped, together."""

    parts: tuple[Part, ...]

    @property
    def sampled(self) -> bool:
        return any(part.prepared.sampled or part.earlier for part in self.parts)

    @property
    def not_sampled(self) -> str:
        """Why no network samples the frame."""
        return self.parts[0].prepared.not_sampled

    @property
    def due(self) -> bool:
        return any(part.prepared.due or part.earlier for part in self.parts)

    @property
    def seconds(self) -> float:
        """Duration of the preparation."""
        return sum(part.prepared.seconds for part in self.parts)

    def after(self, dropped: PreparedParts) -> PreparedParts:
        """These parts, each with what it needs from the dropped frame before it; see `Prepared.after`."""
        return PreparedParts(tuple(map(Part.after, self.parts, dropped.parts)))


def stream_of(name: str, region: str) -> str:
    """The name of a region's stream."""
    return f"{name}/{region}"


class Cut:
    """Makes the prepared parts of frames: their regions, or the whole picture where there are none.

    regions  by the names of their streams
    gate     makes what holds back the frames of a part where it is still; None: every part is scored all the time
    """

    def __init__(
        self,
        regions: Mapping[str, Crop],
        prepare: Callable[[Frame], Prepared],
        *,
        gate: Callable[[], HeldBack] | None = None,
    ):
        self._regions = regions
        self._prepare = prepare
        self._gates = None if gate is None else defaultdict[str, HeldBack](gate)
        self._sizes: dict[tuple[str, tuple[int, int]], tuple[int, int]] = {}  # of a region, in pictures of a size

    def __call__(self, frame: Frame) -> PreparedParts:
        if not self._regions:
            return PreparedParts((self._part(frame),))
        parts = []
        for stream, crop in self._regions.items():
            picture = self._cut(stream, crop, frame)
            parts.append(self._part(replace(frame, stream=stream, picture=picture)))
        return PreparedParts(tuple(parts))

    def _part(self, frame: Frame) -> Part:
        prepared = self._prepare(frame)
        if self._gates is None:
            return Part(frame.stream, frame.picture, prepared)
        return Part(frame.stream, frame.picture, *self._gates[frame.stream].push(frame, prepared))

    def _cut(self, stream: str, crop: Crop, frame: Frame) -> np.ndarray | CutPicture:
        """The region; after the first picture of a size it is cut out of those that are looked at only."""
        if (size := self._sizes.get((stream, frame.size))) is not None:
            return CutPicture(frame, crop, size)
        image = crop(frame.image)
        self._sizes[stream, frame.size] = image.shape[0], image.shape[1]
        return image


class CutPicture(Resizable):
    """A region of a frame, cut out when it is asked for."""

    def __init__(self, frame: Frame, crop: Crop, size: tuple[int, int]):
        self.height, self.width = size
        self._frame = frame
        self._crop = crop

    def image(self) -> np.ndarray:
        return self._crop(self._frame.image)

    def resized(self, wanted: Preprocessing) -> np.ndarray:
        return wanted.resize(self.image())
