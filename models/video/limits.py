"""What one picture may cost: a small file can say that it is very large, and it is believed when it is decoded."""

from __future__ import annotations

import os

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.video.errors import SourceError

VARIABLE = "ACTIONSTREAM_MAX_PIXELS"
MAX_PIXELS = 8192 * 4320
"""Of a picture, unless the environment says otherwise: the largest format of cinemas, 106 MB as RGB."""
HIGHEST_MAX_PIXELS = 1 << 26
"""What the environment may say: of much larger pictures Pillow warns, or does not open them."""
MAX_SIDE = 16384
MAX_ASPECT = 32
"""Of a longer side to the shorter one: what scales a picture to some height makes a line of two pixels gigabytes."""
QUEUE_BYTES = 256 << 20
"""Of decoded pictures that wait in one place, for their times to be looked at or for other threads of the decoder."""


def max_pixels() -> int:
    """The most pixels of a picture."""
    text = os.environ.get(VARIABLE, str(MAX_PIXELS))
    if not text.isdecimal() or not 0 < int(text[:20]) <= HIGHEST_MAX_PIXELS:
        raise ActionstreamError(f"{VARIABLE} is {text!r}; expected a number of pixels from 1 to {HIGHEST_MAX_PIXELS}")
    return int(text)


def max_pixels_of_ffmpeg() -> str:
    """The limit for FFmpeg, which bounds the memory; it says no size, and counts what it adds at the edges."""
    return str(2 * max_pixels() + (1 << 20))


def is_too_large(width: int, height: int) -> bool:
    """Whether a picture has too many pixels, a side that is too long, or one that is too long for the other."""
    longer, shorter = max(width, height), min(width, height)
    return width * height > max_pixels() or longer > MAX_SIDE or longer > MAX_ASPECT * max(shorter, 1)


def check_size(name: str, width: int, height: int) -> None:
    """SourceError where pictures are too large; 0 x 0, which a file says that does not know, is not."""
    if is_too_large(width, height):
        raise SourceError(
            f"{name} has pictures of {width} x {height}; the most are {max_pixels()} pixels ({VARIABLE}), "
            f"{MAX_SIDE} at a side, and a side {MAX_ASPECT} times as long as the other"
        )
