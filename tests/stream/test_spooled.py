"""Text that waits for a slow reader: nothing is lost, in order, and nobody who writes has to wait."""

import errno
import io
import os
import re
import threading
import time

import pytest

from actionstream.sinks.spooled import DiskQueue, SpooledText


class Reader:
    """A pipe: its end that is written to as a text file, and lines that are read only when that is asked for."""

    def __init__(self):
        read, write = os.pipe()
        self.file, self._out = open(write, "w", encoding="utf-8"), open(read, "rb", buffering=0)  # noqa: SIM115

    def rest(self):
        """All lines up to the end of the pipe, read by a thread until `file` is closed."""
        parts = []
        thread = threading.Thread(target=lambda: parts.extend(iter(lambda: self._out.read(65536), b"")))
        thread.start()
        return lambda: (self.file.close(), thread.join(), b"".join(parts).decode().splitlines())[-1]

    def leave(self):
        self._out.close()


@pytest.fixture
def reader():
    reader = Reader()
    yield reader
    reader.leave()
    reader.file.close()


def line(n):
    return f"{n} {'ü' * (n % 300)}"


def test_what_waits_goes_to_the_disk_and_comes_in_order(reader):
    """More than the pipe and the memory hold, and around the end of the file on the disk several times."""
    said = []
    text = SpooledText(reader.file, name="it", say=said.append, memory_bytes=10_000, disk_bytes=2_000_000)
    for n in range(3000):
        text.write(line(n) + "\n")
    assert text._disk._file is not None
    lines = reader.rest()
    for n in range(3000, 20_000):
        while len(text._disk) > 1_500_000:
            time.sleep(0.001)
        text.write(line(n) + "\n")
    text.close()
    assert lines() == [line(n) for n in range(20_000)]
    assert text._disk._end > 2 * 2_000_000, "it was used more than twice"
    assert text._disk._file is None, "the disk is given back"
    assert said == []


def test_the_order_stays_where_the_memory_has_room_before_the_disk_is_empty(reader):
    turns, written = threading.Semaphore(0), []

    def write(data):
        turns.acquire()
        written.append(data)

    text = SpooledText(reader.file, name="it", say=print, write=write, memory_bytes=10_000)
    lines = [f"{n} {'x' * 3000}\n" for n in range(8)]
    for each in lines[:5]:
        text.write(each)
    for _ in range(3):
        turns.release()
    while len(written) < 3 or text._waiting > 7000:
        time.sleep(0.001)
    assert len(text._disk) > 0
    for each in lines[5:]:
        text.write(each)
    for _ in lines:
        turns.release()
    text.close()
    assert b"".join(written).decode() == "".join(lines)


def test_where_all_is_full_lines_are_dropped_as_a_whole_and_told(reader):
    said = []
    text = SpooledText(reader.file, name="it", say=said.append, memory_bytes=10_000, disk_bytes=100_000)
    written = [line(n) for n in range(5000)]
    for each in written:
        text.write(each + "\n")
    assert all(each.startswith("it is stalled: ") for each in said[::2])  # more than one: the writer began late
    lines = reader.rest()
    while text._waiting:
        time.sleep(0.001)
    text.write("on\n")
    text.close()
    *kept, last = lines()
    still_to_come = iter(written)
    assert all(each in still_to_come for each in kept)  # in their order
    assert last == "on"
    assert 200 < len(kept) < 4000
    told = [re.fullmatch(r"it goes on; ([\d,]+) lines were dropped", each) for each in said[1::2]]
    assert sum(int(each[1].replace(",", "")) for each in told) == 5000 - len(kept)


def test_it_is_not_told_again_for_each_line_that_finds_room(reader):
    """What is dropped is one stretch, until half of what waits is written."""
    go_on, said = threading.Semaphore(0), []

    def write(data):
        go_on.acquire()

    text = SpooledText(reader.file, name="it", say=said.append, write=write, memory_bytes=100, disk_bytes=0)
    for _ in range(200):
        text.write("123456789\n")
        go_on.release()
        while go_on._value and text._waiting:
            time.sleep(0)
        for _ in range(5):
            text.write("123456789\n")
    num_stretches = sum("stalled" in each for each in said)
    assert num_stretches <= 200 / 5 + 1
    go_on.release(10_000)
    text.close()


def test_a_disk_without_room_is_no_end(reader, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    said, written, go_on = [], [], threading.Event()

    def write(data):
        go_on.wait()
        written.append(data)

    text = SpooledText(reader.file, name="it", say=said.append, write=write, memory_bytes=10_000)
    for n in range(2000):
        text.write(line(n) + "\n")
    go_on.set()
    text.close()
    kept = b"".join(written).decode().splitlines()
    assert kept == [line(n) for n in range(len(kept))]
    assert 0 < len(kept) < 2000
    assert [each.split(":")[0] for each in said] == [
        "it is stalled",
        f"it goes on; {2000 - len(kept):,} lines were dropped",
    ]


def test_a_disk_that_cannot_be_read_is_an_error(reader, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    go_on = threading.Event()
    text = SpooledText(reader.file, name="it", say=print, write=lambda _: go_on.wait(), memory_bytes=10)
    for n in range(100):
        text.write(line(n) + "\n")
    monkeypatch.setattr(os, "pread", broken)
    go_on.set()
    with pytest.raises(OSError, match="Input/output error"):
        text.close(10)


def test_a_part_that_fits_on_the_disk_is_not_kept(monkeypatch):
    queue = DiskQueue(1000)
    assert queue.put(b"a\n")
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda number, data, at: real(number, data[:1], at))
    assert not queue.put(b"bcd\n")
    monkeypatch.setattr(os, "pwrite", real)
    assert queue.put(b"e\n")
    assert queue.take(100) == b"a\ne\n"


def test_a_line_is_taken_as_a_whole():
    """However long it is, and where it goes around the end of the file."""
    queue = DiskQueue(1000)
    lines = [b"%d " % n * (n * 7 % 90) + b"\n" for n in range(10, 200)]
    taken = []
    for each in lines:
        while not queue.put(each):
            taken.append(queue.take(7))
    while len(queue):
        taken.append(queue.take(7))
    assert b"".join(taken) == b"".join(lines)
    assert all(each.endswith(b"\n") for each in taken)
    assert len(taken) > 100


def test_a_reader_that_left_is_told_at_the_next_line_and_once(reader):
    text = SpooledText(reader.file, name="it", say=print)
    reader.leave()
    text.write("a\n")
    text._thread.join(10)
    with pytest.raises(BrokenPipeError):
        text.write("b\n")
    text.close()
    late = SpooledText(reader.file, name="it", say=print)
    late.write("a\n")
    with pytest.raises(BrokenPipeError):
        late.close()


def test_an_end_by_an_error_waits_a_limited_time_and_tells_what_is_lost(reader):
    said = []
    text = SpooledText(reader.file, name="it", say=said.append)
    for n in range(2000):
        text.write(line(n) + "\n")
    with pytest.raises(KeyError), text:
        raise KeyError
    (lost,) = said
    assert lost.startswith("it is stalled: ")
    assert lost.endswith(" bytes that waited are lost")
    lines = reader.rest()
    text._thread.join(10)
    kept = lines()
    assert kept == [line(n) for n in range(len(kept))], "no line is cut"


def test_a_descriptor_that_does_not_wait(reader):
    os.set_blocking(reader.file.fileno(), False)
    text = SpooledText(reader.file, name="it", say=print)
    for n in range(2000):
        text.write(line(n) + "\n")
    lines = reader.rest()
    text.close()
    assert lines() == [line(n) for n in range(2000)]


def test_it_is_like_the_file(reader):
    reader.file.write("before\n")
    text = SpooledText(reader.file, name="it", say=print)
    assert (text.encoding, text.isatty(), text.fileno()) == ("utf-8", False, reader.file.fileno())
    print("a", "b", file=text, flush=True)
    lines = reader.rest()
    text.close()
    assert lines() == ["before", "a b"]
    with pytest.raises(io.UnsupportedOperation):
        SpooledText(io.TextIOWrapper(io.BytesIO(), "utf-8"), name="it", say=print)
