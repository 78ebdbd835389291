"""What decodes videos. The environment names it, so that processes that read cameras and clips know it, too."""

from __future__ import annotations

import os
from typing import cast, get_args

from actionstream.models.common.choices import DecoderName
from actionstream.models.common.errors import ActionstreamError

VARIABLE = "ACTIONSTREAM_DECODER"


def decoder() -> DecoderName:
    """The decoder of all videos: the processor, or a device."""
    name = os.environ.get(VARIABLE, "processor")
    if name not in get_args(DecoderName):
        raise ActionstreamError(f"{VARIABLE} is {name!r}; expected {', '.join(get_args(DecoderName))}")
    return cast(DecoderName, name)
