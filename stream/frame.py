"""The input: one image of one stream."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import check_image
from actionstream.packets import Packet


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One image with its stream, index and time.

    stream        name of the stream
    index         0 for the first frame of the source
    time_seconds  time on the source's own clock
    image         RGB, uint8 (height, width, 3)
    available     when the frame could be labelled, time.perf_counter()
    after_gap     whether the frame is the first of a new connection: frames before it may be missing
    packets       what the source read since the frame before, where it was asked for; for clips
    """

    stream: str
    index: int
    time_seconds: float
    image: np.ndarray
    available: float = field(default_factory=perf_counter)
    after_gap: bool = False
    packets: tuple[Packet, ...] = ()

    def __post_init__(self) -> None:
        check_image(self.image)
        if not math.isfinite(self.time_seconds):
            raise ActionstreamError(f"frame {self.index} of {self.stream} has the time {self.time_seconds}")

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"Frame({self.stream!r}, {self.index}, {self.time_seconds:.3f} s, {width} x {height})"
