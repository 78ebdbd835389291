"""Ctrl-C, SIGTERM and SIGHUP end the program through its `finally` clauses; if those hang, it exits at once."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
LONGEST_SECONDS = 1.8  # from the signal on; whatever stalls or hangs then
IMPATIENT_SECONDS = 1.0  # a second signal after this time exits at once


class Stopped(BaseException):
    """A signal has asked the program to end."""

    def __init__(self, number: int):
        self.exit_code = 128 + number


class _Stop:
    """The first signal that has come, and until when the program may end by itself."""

    number: int | None = None
    arrived = False
    exit_at = 0.0


_stop = _Stop()


@contextmanager
def raised() -> Iterator[None]:
    """In this context signals raise `Stopped`.

    They raise it again each half second until `arrived` is called: an exception from a signal handler is lost when it
    is raised inside a finalizer or a callback from C. Where it comes out as another error, such as an ImportError, it
    counts as `Stopped` too.
    """
    global _stop
    if _stop.number is not None:  # of an earlier program in this process; a timer of somebody else goes on
        signal.setitimer(signal.ITIMER_REAL, 0)
    _stop = _Stop()

    def begin(number: int, _: Any) -> None:
        _begin(number, LONGEST_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, 0.5, 0.1)
        raise Stopped(number)

    hook = sys.unraisablehook

    def quiet(unraisable: sys.UnraisableHookArgs) -> None:  # no message: a lost exception is raised again
        if not isinstance(unraisable.exc_value, Stopped):
            hook(unraisable)

    sys.unraisablehook = quiet
    try:
        with _handled(begin):
            yield
    except Exception as error:
        if _stop.number is None:
            raise
        raise Stopped(_stop.number) from error
    finally:
        sys.unraisablehook = hook


@contextmanager
def told(tell: Callable[[Stopped], None], longest_seconds: float) -> Iterator[None]:
    """In this context, inside of `raised`, a signal calls `tell` and raises nothing.

    For a program that goes on when a part of it fails: what is raised amid an import looks like such a failure. The
    program has longest_seconds to end, from the signal on.
    """

    def begin(number: int, _: Any) -> None:
        _begin(number, longest_seconds)
        _stop.arrived = True
        signal.setitimer(signal.ITIMER_REAL, longest_seconds)  # later than exit_at
        tell(Stopped(number))

    with _handled(begin):
        yield


def arrived() -> None:
    """Stop raising `Stopped` again, as the program has caught it and is about to end.

    After LONGEST_SECONDS, or at a second signal after IMPATIENT_SECONDS, the program exits at once.
    """
    _stop.arrived, _stop.exit_at = True, time.monotonic() + LONGEST_SECONDS
    if _stop.number is not None:  # one alarm is left: Python takes handlers away at its end, and an alarm then kills
        signal.setitimer(signal.ITIMER_REAL, LONGEST_SECONDS)


@contextmanager
def _handled(begin: Callable[[int, Any], None]) -> Iterator[None]:
    """In this context signals call `begin`."""
    before = {number: signal.signal(number, begin) for number in NUMBERS if _is_heeded(number)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _begin(number: int, longest_seconds: float) -> None:
    began = time.monotonic()
    _stop.number, _stop.exit_at = number, began + longest_seconds

    def again(*_: Any) -> None:
        if time.monotonic() >= _stop.exit_at:
            os._exit(128 + number)
        if not _stop.arrived:
            raise Stopped(number)

    def another(number: int, _: Any) -> None:
        if time.monotonic() > began + IMPATIENT_SECONDS:
            os._exit(128 + number)

    for each in filter(_is_heeded, NUMBERS):
        signal.signal(each, another)
    signal.signal(signal.SIGALRM, again)


def _is_heeded(number: int) -> bool:
    """Whether a signal is not ignored; nohup, for example, ignores SIGHUP."""
    return signal.getsignal(number) != signal.SIG_IGN
