"""Which frames of a clip a network sees; with a random generator as in training, without one as in testing.

Each function takes the number of frames of a clip, and returns T places in it, int64 (T,), that increase or stay.
"""

from __future__ import annotations

import numpy as np

Random = np.random.Generator


def segments(num_frames: int, num_snippets: int, random: Random | None = None) -> np.ndarray:
    """One frame of each of T equal segments (TSN, arXiv:1608.00859, section 3.1): a random one, or the middle."""
    edges = np.linspace(0, num_frames, num_snippets + 1)
    within = 0.5 if random is None else random.random(num_snippets)
    places = edges[:-1] + within * np.diff(edges)
    return np.clip(places.astype(np.int64), 0, num_frames - 1)


def dense(
    num_frames: int, num_snippets: int, random: Random | None = None, *, window: int = 64, start: float = 0.5
) -> np.ndarray:
    """Every so many-th frame of a window (the TSM code, after arXiv:1711.07971); a short clip goes round.

    start  of the window when testing, as a part of the clip from 0 to 1: ten of them are ten clips
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
