"""Timeouts and retries of live sources."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from actionstream.choices import Transport
from actionstream.models.common.errors import ActionstreamError


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Timeouts, retries and limits of a connection to a live source.

    open_seconds   longest time from the start of a connection to the first frame
    read_seconds   longest time without any data
    stall_seconds  longest time without a frame, also while other data comes
    retries        number of failed attempts in a row after which the source is given up; None: no limit
    retry_refused  whether a server that refuses the user name or password is asked again, too; else it is given up, or
                   asked again each minute if it has given frames before
    transport      transport protocol of RTSP; "udp" loses packets where "tcp" waits for them
    public         whether the address is from a stranger: then it reaches only the public internet, see
                   `actionstream.sources.relay`
    """

    open_seconds: float = 10.0
    read_seconds: float = 3.0
    stall_seconds: float = 5.0
    retries: int | None = None
    retry_refused: bool = False
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
