"""Identifiers of events, and the text of wall-clock times."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime


def new_event_id() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7): it begins with the time in milliseconds, so that ids sort by it."""
    milliseconds = time.time_ns() // 1_000_000
    value = bytearray(milliseconds.to_bytes(6) + os.urandom(10))
    value[6] = 0x70 | value[6] & 0x0F  # the version
    value[8] = 0x80 | value[8] & 0x3F  # the variant
    return str(uuid.UUID(bytes=bytes(value)))


def wall_time(wall_seconds: float | None) -> str | None:
    """Seconds since 1970 as a text: UTC, RFC 3339, with milliseconds."""
    if wall_seconds is None:
        return None
    return datetime.fromtimestamp(wall_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
