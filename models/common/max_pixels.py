"""The most pixels of a picture, which the user may set: a small file may declare a huge size, and it is allocated."""

from __future__ import annotations

import os

from actionstream.models.common.errors import ActionstreamError

VARIABLE = "ACTIONSTREAM_MAX_PIXELS"
"""In the environment, so that processes that read clips or cameras have the same limit."""
SETTING = f"--max-pixels or {VARIABLE}"
MAX_PIXELS = 8192 * 4320
"""The default: the largest format of cinemas, 106 MB as RGB."""
HIGHEST_MAX_PIXELS = 178_000_000
"""The most that may be set: Pillow refuses larger pictures."""


def max_pixels() -> int:
    """The most pixels of a picture."""
    text = os.environ.get(VARIABLE, str(MAX_PIXELS))
    if not text.isdecimal() or not 0 < int(text[:20]) <= HIGHEST_MAX_PIXELS:
        raise ActionstreamError(f"{VARIABLE} is {text!r}; expected a number of pixels from 1 to {HIGHEST_MAX_PIXELS}")
    return int(text)
