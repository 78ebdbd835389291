"""Work that goes on in a thread of its own, a little ahead of who takes what it makes."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing, suppress
from queue import Full, Queue
from typing import TypeVar

T = TypeVar("T")

STOP_SECONDS = 2.0


def ahead(items: Generator[T], *, depth: int) -> Generator[T]:
    """The same items, made in a thread while those before are used; at most `depth` of them wait.

    What is raised over there is raised here, after the items before it. When this generator is closed the other one
    is, too, in its thread, which is waited for unless it hangs.
    """
    waiting: Queue[T | _End] = Queue(depth)
    stopped = threading.Event()

    def put(item: T | _End) -> None:
        while not stopped.is_set():
            with suppress(Full):
                waiting.put(item, timeout=0.1)
                return

    def work() -> None:
        error = None
        try:
            with closing(items):
                for item in items:
                    put(item)
                    if stopped.is_set():
                        return
        except BaseException as failure:  # noqa: BLE001  raised again where it can be seen
            error = failure
        put(_End(error))

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        thread.join(STOP_SECONDS)


class _End:
    """Nothing more comes, because of an error or because that was all."""

    def __init__(self, error: BaseException | None):
        self.error = error
