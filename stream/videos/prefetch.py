"""Prefetch: a thread makes items ahead of their consumer."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing, suppress
from queue import Full, Queue
from typing import TypeVar

T = TypeVar("T")

STOP_SECONDS = 2.0


def ahead(items: Generator[T], *, depth: int) -> Generator[T]:
    """Prefetch `items` in a thread; at most `depth` of them wait in a queue.

    An error in the thread is raised here, after the items before it. Closing this generator closes `items`, too, in its
    thread, and waits for the thread for STOP_SECONDS at most.
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
        except BaseException as failure:  # noqa: BLE001  raised again in the consumer
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
    """The end of the items in the queue, with the error that ended them, if any."""

    def __init__(self, error: BaseException | None):
        self.error = error
