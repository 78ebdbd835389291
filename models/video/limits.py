"""Limits on the size of one picture: a small file may declare a huge size, and the decoder allocates it."""

from __future__ import annotations

from actionstream.models.common.limits import SETTING, max_pixels
from actionstream.models.video.errors import SourceError

MAX_SIDE = 16384
MAX_ASPECT = 32
"""The most of longer side / shorter side: a picture two pixels high, scaled by its height, would take gigabytes."""
QUEUE_BYTES = 64 << 20
"""The most bytes of decoded pictures in one queue, such as a feed or the look-ahead; one picture always passes."""
THREAD_BYTES = 256 << 20
"""The most bytes of the pictures that the threads of one decoder have at work."""


def max_pixels_of_ffmpeg() -> str:
    """The limit for FFmpeg, which bounds memory: looser, as FFmpeg counts its padding and its errors give no size."""
    return str(2 * max_pixels() + (1 << 20))


def is_too_large(width: int, height: int) -> bool:
    """Whether a picture has too many pixels, too long a side, or too high an aspect ratio."""
    longer, shorter = max(width, height), min(width, height)
    return width * height > max_pixels() or longer > MAX_SIDE or longer > MAX_ASPECT * max(shorter, 1)


def check_size(name: str, width: int, height: int) -> None:
    """Raise SourceError where pictures are too large; 0 x 0 means an unknown size and passes."""
    if is_too_large(width, height):
        raise SourceError(
            f"{name} has pictures of {width} x {height}; the most are {max_pixels()} pixels ({SETTING}), "
            f"{MAX_SIDE} at a side, and a side {MAX_ASPECT} times as long as the other"
        )
