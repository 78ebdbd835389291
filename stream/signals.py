"""Ctrl-C and SIGTERM end the program through its `finally` clauses."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asks to end."""

    def __init__(self, number: int):
        self.exit_code = 128 + number


@contextmanager
def raised() -> Iterator[None]:
    """Signals are raised as `Stopped` in here; further ones do not cut the first short."""
    before = {number: signal.signal(number, _stop) for number in NUMBERS}
    try:
        yield
    finally:
        arrived()
        for number, handler in before.items():
            signal.signal(number, handler)


def arrived() -> None:
    """The program is on its way out: from here on nothing is interrupted."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _stop(number: int, _: Any) -> None:
    """An exception that a signal raises can be lost, where it falls into a finalizer or a callback from C.

    So it is raised again and again until it has `arrived`.
    """

    def again(*_: Any) -> None:
        raise Stopped(number)

    for each in NUMBERS:
        signal.signal(each, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    raise Stopped(number)
