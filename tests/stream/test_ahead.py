"""A generator that runs ahead in a thread."""

import threading
import time

import pytest

from actionstream.videos.prefetch import ahead


def counted(made, closed, end=100, error=None):
    try:
        for number in range(end):
            made.append(number)
            yield number
        if error is not None:
            raise error
    finally:
        closed.append(threading.current_thread().name)


def test_the_same_items_in_the_same_order():
    made, closed = [], []
    assert list(ahead(counted(made, closed), depth=3)) == list(range(100))
    assert closed == ["ahead"]
    assert list(ahead(counted([], [], end=0), depth=3)) == []


def test_an_error_comes_after_what_was_made_before_it():
    taken = []
    items = ahead(counted([], [], end=7, error=OSError("disk on fire")), depth=2)
    with pytest.raises(OSError, match=r"^disk on fire$"):
        taken.extend(items)
    assert taken == list(range(7))


def test_no_further_ahead_than_asked_and_closed_in_its_thread():
    made, closed = [], []
    items = ahead(counted(made, closed), depth=3)
    assert next(items) == 0
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3, 4], "one taken, three that wait, and one in hand"
    items.close()
    assert closed == ["ahead"]
    assert "ahead" not in {thread.name for thread in threading.enumerate()}
