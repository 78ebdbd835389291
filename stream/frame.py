"""The input: one image of one stream."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import Resizable, check_image
from actionstream.packets import Packet


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One image with its stream, index and time.

    stream        name of the stream
    index         0 for the first frame of the source
    time_seconds  time on the source's own clock
    picture       RGB, uint8 (height, width, 3), or a decoded picture that makes its image when it is asked for
    available     when the frame could be labelled, time.perf_counter()
    after_gap     whether the frame is the first of a new connection: frames before it may be missing
    packets       what the source read since the frame before, where it was asked for; for clips
    """

    stream: str
    index: int
    time_seconds: float
    picture: np.ndarray | Resizable
    available: float = field(default_factory=perf_counter)
    after_gap: bool = False
    packets: tuple[Packet, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.picture, Resizable):
            check_image(self.picture)
        if not math.isfinite(self.time_seconds):
            raise ActionstreamError(f"frame {self.index} of {self.stream} has the time {self.time_seconds}")

    @property
    def image(self) -> np.ndarray:
        """RGB, uint8 (height, width, 3)."""
        return self.picture.image() if isinstance(self.picture, Resizable) else self.picture

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        if isinstance(self.picture, Resizable):
            return self.picture.height, self.picture.width
        return self.picture.shape[0], self.picture.shape[1]

    @property
    def num_bytes(self) -> int:
        """The size of its image in memory."""
        height, width = self.size
        return 3 * height * width

    def __repr__(self) -> str:
        height, width = self.size
        return f"Frame({self.stream!r}, {self.index}, {self.time_seconds:.3f} s, {width} x {height})"
