"""Messages of the command line to the user, beside its results."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress

from actionstream.models.common.errors import ActionstreamError


def say(message: str) -> None:
    """Print a message on standard error, if that can be written to."""
    with suppress(OSError):  # there is nowhere else to tell it
        print(f"actionstream: {message}", file=sys.stderr)


def refuse(options: Mapping[str, object], why: str) -> None:
    """Raise ActionstreamError for the first of these options that is given; each has its name and its value."""
    for name, value in options.items():
        if value:
            raise ActionstreamError(f"{name} {why}")
