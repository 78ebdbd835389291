"""How patient one is with a live source: the waits between tries, as a feed really waits them."""

import threading
import time

import numpy as np
import pytest
from preparing import prepare

from actionstream import Connection, Frame, Source, SourceError
from actionstream.live.feed import Feed
from actionstream.live.reconnect import REFUSED_WAIT_SECONDS, wait_seconds
from actionstream.sources.source import AccessRefused

PICTURE = np.zeros((4, 4, 3), np.uint8)


class Gone(Source):
    """A live source: a connection for each entry of `counts`, with so many frames; then nobody answers any more."""

    live = True

    def __init__(self, *counts):
        super().__init__("gone")
        self.counts, self.tried = list(counts), []

    def __iter__(self):
        self.tried.append(time.perf_counter())
        if not self.counts:
            raise SourceError("nobody answers")
        for index in range(self.counts.pop(0)):
            yield Frame(stream=self.name, index=index, time_seconds=index / 30, picture=PICTURE)


class Clock(threading.Event):
    """What a feed waits with, without waiting; and for how long it was asked to."""

    def __init__(self):
        super().__init__()
        self.waited = []

    def wait(self, timeout=None):
        self.waited.append(timeout)
        return self.is_set()


def ended(source, *, stopped=None, **options):
    """A feed that has tried until it gave up."""
    feed = Feed("gone", source, threading.Condition(threading.RLock()), connection=Connection(**options))
    feed._stopped = stopped or feed._stopped
    feed.start(prepare)
    feed._thread.join(20)
    assert feed.ended
    assert isinstance(feed.error, SourceError)
    return feed


def test_waits_double_up_to_ten_seconds_with_jitter():
    clock, source = Clock(), Gone()
    feed = ended(source, stopped=clock, retries=12)
    assert len(source.tried) == 13
    longest = [0.5, 1, 2, 4, 8, *[10] * 7]
    shares = [seconds / most for seconds, most in zip(clock.waited, longest, strict=True)]
    assert 0.5 <= min(shares) < max(shares) <= 1
    assert len(set(shares)) == 12, "each is another part of the longest, so that not all cameras come back at once"
    assert [notice.reason for notice in feed.notices()] == [
        f"nobody answers; trying again in {seconds:.1f} s" for seconds in clock.waited
    ]


def test_jitter_is_all_over_its_range():
    for failures, most in ((1, 0.5), (2, 1), (3, 2), (6, 10), (1000, 10)):
        waits = [wait_seconds(failures) for _ in range(1000)]
        assert 0.5 * most <= min(waits) < 0.55 * most
        assert 0.95 * most < max(waits) <= most
        assert sum(waits) / 1000 == pytest.approx(0.75 * most, rel=0.05)


def test_a_frame_begins_the_waits_anew():
    """Three connections without one, then one with a frame: the next wait is as short as the first."""
    clock = Clock()
    ended(Gone(0, 0, 0, 1, 0), stopped=clock, retries=4)
    longest = [0.5, 1, 2, 0.5, 1, 2, 4]
    assert all(0.5 * most <= seconds <= most for seconds, most in zip(clock.waited, longest, strict=True))


@pytest.mark.parametrize("retries", [0, 1, 2])
@pytest.mark.waits
def test_it_really_waits_and_gives_up_after_its_retries(retries):
    source = Gone()
    ended(source, retries=retries)
    assert len(source.tried) == retries + 1
    waits = [later - earlier for earlier, later in zip(source.tried, source.tried[1:], strict=False)]
    assert all(seconds >= least for seconds, least in zip(waits, (0.25, 0.5), strict=False))


def test_without_a_limit_it_is_tried_until_it_is_stopped():
    """And not once more."""

    class Stopping(Clock):
        def wait(self, timeout=None):
            super().wait(timeout)
            if len(self.waited) == 50:
                self.set()
            return self.is_set()

    source, clock = Gone(), Stopping()
    feed = Feed("gone", source, threading.Condition(threading.RLock()), connection=Connection())
    feed._stopped = clock
    feed.start(prepare)
    feed._thread.join(20)
    assert (len(source.tried), feed.ended, feed.error) == (50, True, None)
    assert max(clock.waited) <= 10


class Locked(Gone):
    """As above, but who asks when all connections are over is refused."""

    def __iter__(self):
        if not self.counts:
            self.tried.append(time.perf_counter())
            raise AccessRefused("the password is wrong")
        yield from super().__iter__()


def test_a_refusal_is_final():
    clock, source = Clock(), Locked()
    feed = ended(source, stopped=clock)
    assert (len(source.tried), clock.waited, feed.notices()) == (1, [], [])
    assert str(feed.error) == "the password is wrong"


def test_a_refusal_after_frames_is_tried_again_slowly():
    """A camera that starts may refuse whom it knew before; the limit on tries holds."""
    clock, source = Clock(), Locked(0, 1)
    ended(source, stopped=clock, retries=4)
    assert len(source.tried) == 6
    assert clock.waited[2:] == [REFUSED_WAIT_SECONDS] * 3
    assert max(clock.waited[:2]) <= 0.5


def test_a_refusal_is_tried_again_where_that_is_wanted():
    clock, source = Clock(), Locked()
    ended(source, stopped=clock, retries=3, retry_refused=True)
    assert len(source.tried) == 4
    assert all(0.5 * most <= seconds <= most for seconds, most in zip(clock.waited, (0.5, 1, 2), strict=True))
