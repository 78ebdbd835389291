"""Ctrl-C, SIGTERM and SIGHUP end the program through its `finally` clauses; if those hang, it exits at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
LONGEST_SECONDS = 1.8  # from the signal on; whatever stalls or hangs then
IMPATIENT_SECONDS = 1.0  # a second signal after this time exits at once

_stopping, _arrived = threading.Event(), threading.Event()


class Stopped(BaseException):
    """A signal has asked the program to end."""

    def __init__(self, number: int):
        self.exit_code = 128 + number


@contextmanager
def raised() -> Iterator[None]:
    """In this context signals raise `Stopped`."""
    _stopping.clear()
    _arrived.clear()
    before = {number: signal.signal(number, _stop) for number in NUMBERS if _is_heeded(number)}
    hook = sys.unraisablehook

    def quiet(unraisable: sys.UnraisableHookArgs) -> None:  # no message: a lost exception is raised again
        if not isinstance(unraisable.exc_value, Stopped):
            hook(unraisable)

    sys.unraisablehook = quiet
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
        if not _stopping.is_set():
            signal.setitimer(signal.ITIMER_REAL, 0)


def arrived(longest_seconds: float = LONGEST_SECONDS) -> None:
    """Stop raising `Stopped` again, as the program has caught it and is about to end.

    After this time, or at a second signal after IMPATIENT_SECONDS, the program exits at once.
    """
    _arrived.set()
    if _stopping.is_set():  # one alarm is left: Python takes handlers away at its end, and an alarm then kills
        signal.setitimer(signal.ITIMER_REAL, longest_seconds)


def _stop(number: int, _: Any) -> None:
    """Raise `Stopped`, and raise it again each half second until `arrived` is called.

    An exception from a signal handler is lost when it is raised inside a finalizer or a callback from C.
    """
    began = time.monotonic()
    _stopping.set()

    def again(*_: Any) -> None:
        if time.monotonic() > began + LONGEST_SECONDS:
            os._exit(128 + number)
        if not _arrived.is_set():
            raise Stopped(number)

    def another(number: int, _: Any) -> None:
        if time.monotonic() > began + IMPATIENT_SECONDS:
            os._exit(128 + number)

    for each in filter(_is_heeded, NUMBERS):
        signal.signal(each, another)
    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.1)
    raise Stopped(number)


def _is_heeded(number: int) -> bool:
    """Whether a signal is not ignored; nohup, for example, ignores SIGHUP."""
    return signal.getsignal(number) != signal.SIG_IGN
