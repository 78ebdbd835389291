"""How patient one is with a live source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from actionstream.choices import Transport
from actionstream.models.common.errors import ActionstreamError


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Timeouts, and what happens when a live source is not there or goes away.

    open_seconds   for its first frame, from the begin of a connection
    read_seconds   without any data
    stall_seconds  without a frame, whatever else comes
    retries        how often in a row it is tried again before it is given up; None: for ever
    transport      of RTSP; "udp" loses packets where "tcp" waits for them
    public         a stranger gives the address: only the public internet is reached, see `actionstream.sources.relay`
    """

    open_seconds: float = 10.0
    read_seconds: float = 3.0
    stall_seconds: float = 5.0
    retries: int | None = None
    transport: Transport = "tcp"
    public: bool = False

    def __post_init__(self) -> None:
        for name in ("open_seconds", "read_seconds", "stall_seconds"):
            seconds = getattr(self, name)
            if not (seconds > 0 and math.isfinite(seconds)):
                raise ActionstreamError(f"{name} is {seconds}; it must be a positive number of seconds")
        if self.retries is not None and self.retries < 0:
            raise ActionstreamError(f"retries is {self.retries}; it must be 0 or more, or None for ever")
        if self.transport not in get_args(Transport):
            raise ActionstreamError(f"transport is {self.transport!r}; it must be tcp or udp")
