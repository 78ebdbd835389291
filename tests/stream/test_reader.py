"""The reader: a file waits, of a live source the newest frame wins, and nothing hangs or vanishes."""

import threading

import numpy as np
import pytest

from stream.frame import Frame
from stream.reader import FileReader, LiveReader

PICTURE = np.zeros((4, 4, 3), np.uint8)


class Scripted:
    """A source whose frames the test lets out."""

    name, rate, warnings = "scripted", 30.0, ()

    def __init__(self, *, live, count=10, error=None):
        self.live, self.count, self.error = live, count, error
        self.let = threading.Semaphore(0)
        self.given = threading.Semaphore(0)

    def __iter__(self):
        for index in range(self.count):
            if self.live:
                self.let.acquire(timeout=10)
            yield Frame(stream=self.name, index=index, time_seconds=index / 30, image=PICTURE)
            self.given.release()
        if self.error:
            raise self.error

    def close(self):
        self.closed = True

    def let_out(self, count):
        """Let frames out, and wait until the reader has come back for another after each."""
        for _ in range(count):
            self.let.release()
            assert self.given.acquire(timeout=10)


def test_a_file_loses_nothing():
    assert [frame.index for frame in FileReader(Scripted(live=False))] == list(range(10))


def test_the_newest_frame_of_a_live_source_wins():
    source = Scripted(live=True)
    reader = LiveReader(source)
    frames = iter(reader)
    source.let_out(4)
    assert next(frames).index == 3
    source.let_out(1)
    assert next(frames).index == 4
    assert reader.dropped == 3
    source.let_out(5)
    assert [frame.index for frame in frames] == [9]
    assert reader.dropped == 7


def test_an_error_in_the_thread_reaches_the_consumer_after_the_last_frame():
    source = Scripted(live=True, count=1, error=RuntimeError("cable pulled"))
    frames = iter(LiveReader(source))
    source.let_out(1)
    assert next(frames).index == 0
    with pytest.raises(RuntimeError, match="cable pulled"):
        next(frames)


def test_close_joins_the_thread():
    source = Scripted(live=True, count=10**9)
    source.let = threading.Semaphore(10**9)  # a camera that never waits
    reader = LiveReader(source)
    next(iter(reader))
    reader.close()
    assert not reader._thread.is_alive()
    assert source.closed


def test_realtime_plays_at_the_files_speed(monkeypatch):
    clock = [100.0]
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("stream.reader.time.sleep", sleep)
    monkeypatch.setattr("stream.reader.time.perf_counter", lambda: clock[0])
    frames = list(FileReader(Scripted(live=False), realtime=True))
    assert [frame.index for frame in frames] == list(range(10))
    assert clock[0] - 100.0 == pytest.approx(9 / 30)
    assert slept[1:] == pytest.approx([1 / 30] * 9)
