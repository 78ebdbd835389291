"""The memory of a process whose threads come and go for months."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

M_ARENA_MAX = -8
"""mallopt(3): the largest number of arenas, from which threads take memory."""
MOST_ARENAS = 2


def limit_arenas() -> None:
    """Let all threads share few arenas of glibc; elsewhere nothing is done.

    glibc gives a new thread an arena of its own, up to eight for each core. A decoder's threads leave theirs full of
    holes when a camera is restarted: in `bench soak --serve` memory grew by 9 to 16 MB whenever four cameras were.
    """
    _call("mallopt", M_ARENA_MAX, MOST_ARENAS)


def give_back() -> None:
    """Give the pages that are free back to the system: those in the holes that cameras left, too."""
    _call("malloc_trim", 0)


def _call(function: str, *arguments: int) -> None:
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            getattr(ctypes.CDLL(None), function)(*arguments)
