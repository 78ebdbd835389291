"""Whether a live source is connected again after a failure, and when."""

from __future__ import annotations

import random

from actionstream.sources.connection import Connection
from actionstream.sources.source import AccessRefused

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
REFUSED_WAIT_SECONDS = 60.0  # a camera may lock out whoever tries a wrong password again and again


class Reconnect:
    """Decides after each failure of a live source; one that has given frames since the last failure begins anew."""

    def __init__(self, connection: Connection):
        self._retries = connection.retries
        self._retry_refused = connection.retry_refused
        self._failures = 0
        self._had_frames = False

    def wait_after(self, error: Exception, *, had_frames: bool, patient: bool) -> float:
        """Seconds to wait before the next try; raises the error where there is none.

        had_frames  whether the connection that failed gave any
        patient     whether it makes sense to wait for a source that never gave any, such as a camera that is not
                    attached
        """
        self._failures = 1 if had_frames else self._failures + 1
        self._had_frames = self._had_frames or had_frames
        refused = isinstance(error, AccessRefused) and not self._retry_refused
        hopeless = not self._had_frames and (refused or not patient)
        if hopeless or (self._retries is not None and self._failures > self._retries):
            raise error
        return REFUSED_WAIT_SECONDS if refused else wait_seconds(self._failures)


def wait_seconds(failures: int) -> float:
    """The time to wait after a number of failures in a row: exponential backoff with jitter.

    Without the jitter a hundred cameras would reconnect at the same moment.
    """
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(failures - 1, 30)) * random.uniform(0.5, 1.0)
