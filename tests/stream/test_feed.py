"""The feed: of a live source the newest frame wins, any other waits, and nothing hangs or vanishes."""

import threading
import time

import numpy as np
import pytest
from preparing import prepare

from actionstream import Connection, Frame, Source, SourceError
from actionstream.live import feed as feed_module
from actionstream.live.feed import READ_AHEAD, Feed

pytestmark = pytest.mark.waits

PICTURE = np.zeros((4, 4, 3), np.uint8)


class Scripted(Source):
    """A source whose frames the test lets out; where it is live, a connection for each entry of `counts`."""

    def __init__(self, *counts, live=True, error=None):
        super().__init__("scripted")
        self.live, self.counts, self.error = live, list(counts), error
        self.let = threading.Semaphore(0)
        self.given = threading.Semaphore(0)
        self.closed = False

    def __iter__(self):
        if not self.counts:
            raise SourceError("nobody answers")
        for index in range(self.counts.pop(0)):
            assert self.let.acquire(timeout=10)
            yield Frame(stream=self.name, index=index, time_seconds=index / 30, picture=PICTURE)
            self.given.release()
        if self.error:
            raise self.error

    def stop(self):
        self.let.release(100)

    def close(self):
        self.closed = True

    def let_out(self, count):
        """Let frames out, and wait until the feed has come back for another after each."""
        for _ in range(count):
            self.let.release()
            assert self.given.acquire(timeout=10)


def feed_of(source, prepare=prepare, **options):
    feed = Feed("scripted", source, threading.Condition(threading.RLock()), **{"connection": Connection(), **options})
    feed.start(prepare)
    return feed


def take(feed, count=1):
    """The next frames, waited for, and notices passed over."""
    return [pair.frame for pair in take_pairs(feed, count)]


def take_pairs(feed, count=1):
    taken = []
    for _ in range(1000):
        feed.notices()
        pair = feed.take()
        taken += [pair] if pair else []
        if len(taken) == count:
            return taken
        time.sleep(0.01)
    pytest.fail(f"{len(taken)} frames of {count}")


def wait_until(done):
    for _ in range(1000):
        if done():
            return
        time.sleep(0.01)
    pytest.fail("waited for ten seconds")


def test_a_source_that_waits_loses_nothing_and_is_not_read_far_ahead():
    source = Scripted(50, live=False)
    source.let.release(50)
    feed = feed_of(source)
    time.sleep(0.2)
    assert feed.received == READ_AHEAD
    assert [frame.index for frame in take(feed, 50)] == list(range(50))
    wait_until(lambda: feed.ended)
    assert (feed.received, feed.dropped.total(), feed.error, source.closed) == (50, 0, None, True)


@pytest.mark.parametrize(("num_bytes", "waiting"), [(2 * PICTURE.nbytes, 2), (1, 1)])
def test_large_frames_wait_one_by_one(monkeypatch, num_bytes, waiting):
    """The queue is bounded in bytes, and a frame that is larger than that passes alone."""
    monkeypatch.setattr(feed_module, "QUEUE_BYTES", num_bytes)
    source = Scripted(20, live=False)
    source.let.release(20)
    feed = feed_of(source)
    time.sleep(0.2)
    assert feed.received == waiting
    assert [frame.index for frame in take(feed, 20)] == list(range(20))
    wait_until(lambda: feed.ended)
    assert (feed.received, feed.dropped.total(), feed.error) == (20, 0, None)


def test_the_newest_frame_of_a_live_source_wins():
    source = Scripted(10)
    feed = feed_of(source)
    source.let_out(4)
    assert take(feed)[0].index == 3
    source.let_out(1)
    assert take(feed)[0].index == 4
    assert feed.dropped == {"newer": 3}
    source.let_out(2)
    assert feed.received == 7
    feed.stop()
    feed.join()
    assert feed.dropped == {"newer": 4, "ended": feed.received - 2 - 4}


@pytest.mark.parametrize("live", [True, False])
def test_a_slow_source_is_told_of_while_it_runs(live):
    """Before the frame that made it known; and the connection is as it was."""
    source = Scripted(20, 5, live=live)
    feed = feed_of(source, interval_seconds=1 / 60, policy="every", connection=Connection(retries=0))
    said = "scripted has 30 frames a second; the model was trained on 60: labels may be wrong; use a faster source"
    told = []
    for n in range(16):
        source.let.release()
        wait_until(lambda n=n: feed.received == n + 1)
        told += feed.notices()
        assert feed.take()
    assert [(each.event, each.reason) for each in told if each.event != "connect"] == [("warning", said)]
    assert source.warnings == [said]
    assert feed._connected
    feed.stop()
    feed.join()


@pytest.mark.parametrize(("policy", "live", "newest"), [("newest", False, True), ("every", True, False)])
def test_policies_by_name(policy, live, newest):
    source = Scripted(20, live=live)
    source.let.release(20)
    feed = feed_of(source, policy=policy, connection=Connection(retries=0))
    if newest:
        wait_until(lambda: feed.ended)
        assert (feed.received, feed.dropped) == (20, {"newer": 19})
    else:
        assert [frame.index for frame in take(feed, 20)] == list(range(20))


def test_a_live_source_that_comes_back_goes_on_in_its_own_time(monkeypatch):
    monkeypatch.setattr("actionstream.live.reconnect.wait_seconds", lambda failures: 0.3)
    source = Scripted(3, 0, 2)
    source.let.release(5)
    feed = feed_of(source, policy="every", connection=Connection(retries=2))
    frames, notices = [], []
    while len(frames) < 5:
        notices += feed.notices()
        frames += [pair.frame] if (pair := feed.take()) else []
    first, returned = np.split(np.array([(f.index, f.time_seconds) for f in frames]), [3])
    assert first[:, 0].tolist() + returned[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert first[:, 1] == pytest.approx([0, 1 / 30, 2 / 30])
    assert returned[0, 1] > 0.6
    assert returned[1, 1] - returned[0, 1] == pytest.approx(1 / 30)
    assert [notice.event for notice in notices] == ["connect", "disconnect", "retry", "reconnect"]
    assert notices[1].reason == "scripted has ended; trying again in 0.3 s"
    wait_until(lambda: feed.ended)
    assert str(feed.error) == "nobody answers"


def test_a_gap_is_before_the_first_frame_of_the_new_connection(monkeypatch):
    """Not before one that waited while the connection broke; nor is it lost with a frame that nobody took."""
    monkeypatch.setattr("actionstream.live.reconnect.wait_seconds", lambda failures: 0.0)
    source = Scripted(2, 1)
    source.let.release(3)
    feed = feed_of(source, policy="every", connection=Connection(retries=1))
    wait_until(lambda: source.counts == [] and feed.received == 2 and feed.last_seconds > 1 / 30)
    assert [frame.after_gap for frame in take(feed, 3)] == [False, False, True]

    source = Scripted(1, 2)
    feed = feed_of(source, connection=Connection(retries=1))
    source.let_out(1)
    assert not take(feed)[0].after_gap
    source.let_out(2)
    assert feed.dropped == {"newer": 1}
    (returned,) = take_pairs(feed)
    assert (returned.frame.index, returned.frame.after_gap, returned.prepared.reset) == (2, False, "gap")


def test_a_frame_between_samples_pushes_out_nothing_but_its_like():
    """And it is no loss."""
    source = Scripted(9)
    feed = feed_of(source, lambda frame: prepare(frame, sampled=frame.index in (2, 5)))
    source.let_out(2)
    assert feed.dropped == {"between samples": 1}
    source.let_out(3)
    assert feed.dropped == {"between samples": 4}
    (pair,) = take_pairs(feed)
    assert (pair.frame.index, pair.prepared.sampled) == (2, True)
    source.let_out(3)
    assert feed.dropped == {"between samples": 6}
    assert take(feed)[0].index == 5
    source.let_out(1)
    assert not take_pairs(feed)[0].prepared.sampled
    assert (feed.received, feed.dropped) == (9, {"between samples": 6})
    feed.stop()


@pytest.mark.parametrize("reason", ["newer", "stale"])
def test_what_the_network_needs_of_a_dropped_frame_comes_with_the_next_sampled_one(reason):
    source = Scripted(4)
    feed = feed_of(source, lambda frame: prepare(frame, sampled=frame.index != 1))
    source.let_out(1)
    if reason == "stale":
        feed.notices()
        feed.drop(feed.peek(), reason)
    source.let_out(1)
    if reason == "stale":
        assert take(feed)[0].index == 1
    source.let_out(2)
    (pair,) = take_pairs(feed)
    assert (pair.frame.index, pair.prepared.reset) == (3, "start")
    assert feed.dropped == ({"newer": 2, "between samples": 1} if reason == "newer" else {"stale": 1, "newer": 1})
    assert pair.prepared.snippets == (3,)
    feed.stop()


@pytest.mark.parametrize("live", [True, False])
def test_a_frame_that_cannot_be_prepared_ends_the_feed_after_those_before_it(live):
    def fail_later(frame):
        if frame.index == 2:
            raise ZeroDivisionError("this one is cursed")
        return prepare(frame)

    source = Scripted(9, live=live)
    source.let.release(9)
    feed = feed_of(source, fail_later, policy="every")
    wait_until(lambda: feed.ended)
    assert str(feed.error) == "this one is cursed"
    assert [frame.index for frame in take(feed, 2)] == [0, 1]
    assert (feed.received, feed.dropped, source.closed) == (3, {"failed": 1}, True)


def test_a_frame_that_was_waited_for_is_as_old_as_its_preparation():
    source = Scripted(1, live=False)
    source.let.release(1)
    feed = feed_of(source)
    wait_until(lambda: feed.ended)
    before = time.perf_counter()
    (frame,) = take(feed)
    assert before - 0.25 <= frame.available <= time.perf_counter() - 0.25


def test_time_does_not_go_back_over_a_reconnect(monkeypatch):
    """A source that gives its frames quicker than they happened is ahead of the clock on the wall."""
    monkeypatch.setattr("actionstream.live.reconnect.wait_seconds", lambda failures: 0.01)
    source = Scripted(90, 2)
    source.let.release(92)
    feed = feed_of(source, policy="every", connection=Connection(retries=1))
    times = [frame.time_seconds for frame in take(feed, 92)]
    assert (np.diff(times) > 0).all()


def test_what_was_never_there_is_given_up_at_once_if_waiting_is_no_use():
    source = Scripted()
    source.patient = False
    feed = feed_of(source)
    wait_until(lambda: feed.ended)
    assert (str(feed.error), feed.notices()) == ("nobody answers", [])


def test_an_error_in_the_thread_is_kept():
    source = Scripted(1, error=RuntimeError("cable pulled"))
    source.let.release(1)
    feed = feed_of(source)
    wait_until(lambda: feed.ended)
    assert str(feed.error) == "cable pulled"
    assert take(feed)[0].index == 0


def test_stop_ends_it_whatever_it_does(monkeypatch):
    monkeypatch.setattr("actionstream.live.reconnect.wait_seconds", lambda failures: 60)
    full = Scripted(100, live=False)
    full.let.release(100)
    silent = Scripted(10)
    gone = Scripted()
    feeds = [feed_of(source) for source in (full, silent, gone)]
    time.sleep(0.2)
    begin = time.perf_counter()
    for feed in feeds:
        feed.stop()
        feed.join()
        wait_until(lambda feed=feed: feed.ended)
        assert feed.error is None
        assert feed.take() is None
    assert time.perf_counter() - begin < 2
    assert full.closed
    assert silent.closed


def test_realtime_plays_at_the_files_speed():
    source = Scripted(10, live=False)
    source.let.release(10)
    feed = feed_of(source, realtime=True)
    frames = take(feed, 10)
    gaps = np.diff([frame.available for frame in frames])
    assert gaps.sum() >= 9 / 30 - 0.001
    assert (gaps > 0.001).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"open_seconds": 0}, "open_seconds is 0; it must be a positive number of seconds"),
        ({"stall_seconds": float("nan")}, "stall_seconds is nan"),
        ({"retries": -1}, "retries is -1; it must be 0 or more, or None for ever"),
        ({"transport": "smoke"}, "transport is 'smoke'; it must be tcp or udp"),
    ],
)
def test_connections_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        Connection(**options)
