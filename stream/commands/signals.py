"""Ctrl-C, SIGTERM and SIGHUP end the program through its `finally` clauses, or, where those hang, without them."""

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
LONGEST_SECONDS = 1.8
"""From a signal to the end, whatever stalls or hangs."""
IMPATIENT_SECONDS = 1.0  # after which a second signal ends it at once


_stopping, _arrived = threading.Event(), threading.Event()


class Stopped(BaseException):
    """A signal asks to end."""

    def __init__(self, number: int):
        self.exit_code = 128 + number


@contextmanager
def raised() -> Iterator[None]:
    """Signals are raised as `Stopped` in here."""
    _stopping.clear()
    _arrived.clear()
    before = {number: signal.signal(number, _stop) for number in NUMBERS if _is_heeded(number)}
    hook = sys.unraisablehook

    def quiet(unraisable: sys.UnraisableHookArgs) -> None:  # a lost one is raised again: nobody needs to know
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


def arrived() -> None:
    """The exception has arrived, and the program is on its way out: it is not raised again.

    An end that takes too long, or a second signal after a while, is the end at once.
    """
    _arrived.set()


def _stop(number: int, _: Any) -> None:
    """An exception that a signal raises can be lost, where it falls into a finalizer or a callback from C.

    So it is raised again and again until it has `arrived`.
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
    """Whether nobody has said that a signal means nothing, as nohup does."""
    return signal.getsignal(number) != signal.SIG_IGN
