"""The parts of a picture that are streams of their own: named regions over one decode, or the whole picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from actionstream.engine.scored_stream import Prepared
from actionstream.frame import Frame

Crop = Callable[[np.ndarray], np.ndarray]
"""Cuts a region out of a picture, uint8 (height, width, 3)."""


class Part(NamedTuple):
    """A part of a frame: the name of its stream, its picture, and that picture prepared."""

    stream: str
    image: np.ndarray
    prepared: Prepared

    def of(self, frame: Frame) -> Frame:
        """The frame of this part, cut out of the frame of the whole picture."""
        return frame if self.image is frame.image else replace(frame, stream=self.stream, image=self.image)


@dataclass(frozen=True, slots=True)
class PreparedParts:
    """All parts of a frame, prepared; they are scored, or dropped, together."""

    parts: tuple[Part, ...]

    @property
    def sampled(self) -> bool:
        return any(part.prepared.sampled for part in self.parts)

    @property
    def due(self) -> bool:
        return any(part.prepared.due for part in self.parts)

    @property
    def seconds(self) -> float:
        """Duration of the preparation."""
        return sum(part.prepared.seconds for part in self.parts)

    def after(self, dropped: PreparedParts) -> PreparedParts:
        """These parts, each with what it needs from the dropped frame before it; see `Prepared.after`."""
        both = zip(self.parts, dropped.parts, strict=True)
        return PreparedParts(tuple(part._replace(prepared=part.prepared.after(old.prepared)) for part, old in both))


def stream_of(name: str, region: str) -> str:
    """The name of a region's stream."""
    return f"{name}/{region}"


def cut(frame: Frame, regions: Mapping[str, Crop], prepare: Callable[[Frame], Prepared]) -> PreparedParts:
    """The prepared parts of a frame: its regions, or the whole picture where there are none.

    regions  by the names of their streams
    """
    if not regions:
        return PreparedParts((Part(frame.stream, frame.image, prepare(frame)),))
    parts = []
    for stream, crop in regions.items():
        image = crop(frame.image)
        parts.append(Part(stream, image, prepare(replace(frame, stream=stream, image=image))))
    return PreparedParts(tuple(parts))
