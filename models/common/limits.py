"""Limits on what a file may cost. The environment sets them, so that processes that read clips have the same ones."""

from __future__ import annotations

import os

from actionstream.models.common.errors import ActionstreamError

VARIABLE = "ACTIONSTREAM_MAX_PIXELS"
SETTING = f"--max-pixels or {VARIABLE}"
MAX_PIXELS = 8192 * 4320
"""The default: the largest format of cinemas, 106 MB as RGB."""
HIGHEST_MAX_PIXELS = 178_000_000
"""The most that may be set: Pillow refuses larger pictures."""
TEXT_VARIABLE = "ACTIONSTREAM_MAX_TEXT_BYTES"
MAX_TEXT_BYTES = 512 << 20
WEIGHTS_VARIABLE = "ACTIONSTREAM_MAX_WEIGHTS_BYTES"
MAX_WEIGHTS_BYTES = 4 << 30
"""The default; VGG16 with the state of its optimizer has 1.6 GB, the most in the catalogue."""
HIGHEST_BYTES = 1 << 50


def max_pixels() -> int:
    """The most pixels of a picture: a small file may declare a huge size, and it is allocated."""
    return _setting(VARIABLE, MAX_PIXELS, HIGHEST_MAX_PIXELS, "pixels")


def max_text_bytes() -> int:
    """The most bytes of a file that is read as text, unpacked: a small gzip file may expand to any size."""
    return _setting(TEXT_VARIABLE, MAX_TEXT_BYTES, HIGHEST_BYTES, "bytes")


def max_weights_bytes() -> int:
    """The most bytes of a file of another project's weights."""
    return _setting(WEIGHTS_VARIABLE, MAX_WEIGHTS_BYTES, HIGHEST_BYTES, "bytes")


def _setting(variable: str, default: int, highest: int, unit: str) -> int:
    text = os.environ.get(variable, str(default))
    if not text.isdecimal() or not 0 < int(text[:20]) <= highest:
        raise ActionstreamError(f"{variable} is {text!r}; expected a number of {unit} from 1 to {highest}")
    return int(text)
