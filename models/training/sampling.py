"""Which frames of a clip a network sees: random ones for training (with a generator), fixed ones for testing.

Each function takes the number of frames of a clip, and returns T places in it, int64 (T,). They never
decrease, unless `dense` wraps around.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from actionstream.models.common.checked import MOST_FRAMES, NumFrames, Seconds, checked
from actionstream.models.common.errors import ActionstreamError

Random = np.random.Generator
Sampling = Literal["segments", "dense", "consecutive"]


@checked
class FrameSampling:
    """Which frames of a clip make an input.

    num_frames        snippets
    sampling          "segments" (TSN), "dense" (a window of 64 frames), or "consecutive", as live
    interval_seconds  between snippets, for "consecutive"
    frame_seconds     between the pictures of a snippet that is a stack; 0: the same as `interval_seconds`
    num_warm          warm-up snippets before them, which only make the state of a network that streams
    speed             a training clip is played at a random speed from 1 / speed to speed; for "consecutive"
    """

    num_frames: NumFrames = 8
    sampling: Sampling = "consecutive"
    interval_seconds: Seconds = 2 / 30
    frame_seconds: Annotated[float, Field(ge=0)] = 0.0
    num_warm: Annotated[int, Field(ge=0, le=MOST_FRAMES)] = 0
    speed: Annotated[float, Field(ge=1, le=100)] = 1.0

    def __post_init__(self) -> None:
        if self.frame_seconds > self.interval_seconds:
            raise ActionstreamError(
                f"frame_seconds is {self.frame_seconds}; expected interval_seconds, {self.interval_seconds}, at most"
            )

    def places(
        self,
        num_frames: int,
        rate: float,
        random: np.random.Generator | None = None,
        *,
        num_pictures: int = 1,
        start: float = 0.5,
    ) -> np.ndarray:
        """Places in a clip of `num_frames` frames, (T, num_pictures): the pictures of each snippet in their order.

        The functions below choose the last picture of each snippet. The others lie before it, `frame_seconds` apart, or
        one frame apart where the video is slower, as live. The first frame replaces places before the clip.
        """
        wanted, factor = self.num_warm + self.num_frames, 1.0
        if random is not None and self.sampling == "consecutive":
            factor = self.speed ** random.uniform(-1, 1)
        step = max((self.frame_seconds or self.interval_seconds) * rate * factor, 1.0)
        before = step * np.arange(num_pictures)[::-1]
        span = round(before[0])
        room = max(num_frames - span, 1)
        if self.sampling == "segments":
            last = segments(room, wanted, random)
        elif self.sampling == "dense":
            last = dense(room, wanted, random, start=start)
        else:
            last = consecutive(room, wanted, random, step=self.interval_seconds * rate * factor, start=start)
        return np.rint(span + last[:, None] - before).astype(np.int64).clip(0, num_frames - 1)


def segments(num_frames: int, num_snippets: int, random: Random | None = None) -> np.ndarray:
    """One frame of each of T equal segments (TSN, arXiv:1608.00859, section 3.1): a random one, or the middle."""
    edges = np.linspace(0, num_frames, num_snippets + 1)
    within = 0.5 if random is None else random.random(num_snippets)
    places = edges[:-1] + within * np.diff(edges)
    return np.clip(places.astype(np.int64), 0, num_frames - 1)


def dense(
    num_frames: int, num_snippets: int, random: Random | None = None, *, window: int = 64, start: float = 0.5
) -> np.ndarray:
    """Evenly spaced frames of a window (the TSM code, after arXiv:1711.07971); a short clip wraps around.

    start  place of the window in testing, from 0 (first) to 1 (last); ten values make ten clips of a video
    """
    last = max(num_frames - window, 0)
    first = round(start * last) if random is None else int(random.integers(last + 1))
    return (first + np.arange(num_snippets) * (window // num_snippets)) % num_frames


def consecutive(
    num_frames: int, num_snippets: int, random: Random | None = None, *, step: float, start: float = 0.5
) -> np.ndarray:
    """Frames `step` apart, as the live sampler takes them; the last one is repeated where the clip is too short.

    step   frames of the video from one to the next: the interval in seconds times its rate
    start  see `dense`
    """
    last = max(num_frames - 1 - (num_snippets - 1) * step, 0.0)
    first = start * last if random is None else random.random() * last
    return np.minimum(np.rint(first + np.arange(num_snippets) * step).astype(np.int64), num_frames - 1)
