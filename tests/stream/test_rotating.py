"""A file that begins anew by size and by age, goes on after a restart, and outlives a full disk."""

import errno
import os
import resource
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from actionstream.sinks import RotatingText

BEGIN = datetime(2026, 11, 26, 23, 0, tzinfo=UTC).timestamp()
HOUR, DAY = 3600, 86_400


class Clock:
    now = BEGIN

    def __call__(self):
        return self.now


def opened(path, clock=None, **options):
    said = []
    options = {"max_bytes": 1e9, "max_seconds": DAY, "keep": 100, "say": said.append, **options}
    file = RotatingText(path, clock=clock or Clock(), **options)
    file.said = said
    return file


def content(folder):
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_by_size(tmp_path):
    """A file has at most so many bytes; a line that is longer has one of its own."""
    file = opened(tmp_path / "a.b.jsonl", max_bytes=10)
    for text in ("12345\n", "123\n", "6789\n", "a line that is long\n", "1\n"):
        file.write(text)
    file.close()
    when = "20261126T230000"
    assert content(tmp_path) == {
        f"a.b.{when}.000Z.jsonl": "12345\n123\n",
        f"a.b.{when}.001Z.jsonl": "6789\n",
        f"a.b.{when}.002Z.jsonl": "a line that is long\n",
        "a.b.jsonl": "1\n",
    }
    assert (file.said, file.num_lost) == ([], 0)


def test_by_age_at_midnight(tmp_path):
    clock = Clock()
    file = opened(tmp_path / "a.jsonl", clock)
    for hour in range(30):
        clock.now = BEGIN + HOUR * hour
        file.write(f"{hour}\n")
    assert content(tmp_path) == {
        "a.20261127T000000.000Z.jsonl": "0\n",
        "a.20261128T000000.000Z.jsonl": "".join(f"{hour}\n" for hour in range(1, 25)),
        "a.jsonl": "".join(f"{hour}\n" for hour in range(25, 30)),
    }


def test_the_oldest_are_deleted_and_nothing_else(tmp_path):
    others = ["a.txt", "a.20261126T230000.000Z.txt", "a.old.jsonl", "ab.20261126T230000.000Z.jsonl"]
    for other in others:
        (tmp_path / other).touch()
    file = opened(tmp_path / "a.jsonl", max_bytes=2, keep=2)
    for n in range(6):
        file.write(f"{n}\n")
    left = content(tmp_path)
    assert sorted(left) == sorted([*others, "a.20261126T230000.003Z.jsonl", "a.20261126T230000.004Z.jsonl", "a.jsonl"])
    assert "".join(left.values()) == "3\n4\n5\n"


def test_it_goes_on_after_a_restart(tmp_path):
    """With the period of what is there, which may be over; a line that was cut is ended."""
    path, clock = tmp_path / "a.jsonl", Clock()
    path.write_text("1\n2\n{half")
    os.utime(path, (BEGIN, BEGIN))
    file = opened(path, clock)
    file.write("3\n")
    file.close()
    assert path.read_text() == "1\n2\n{half\n3\n"
    os.utime(path, (BEGIN, BEGIN))
    clock.now += 2 * HOUR
    opened(path, clock).write("4\n")
    assert content(tmp_path) == {"a.20261127T010000.000Z.jsonl": "1\n2\n{half\n3\n", "a.jsonl": "4\n"}


def test_a_full_disk_is_told_once_and_is_no_end(tmp_path, monkeypatch):
    """Lines are counted, none is cut, and it goes on when there is room."""
    real, room = os.write, 20

    def write(number, data):
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(number, data[:room])
        room -= written
        return written

    clock = Clock()
    file = opened(tmp_path / "a.jsonl", clock)
    monkeypatch.setattr(os, "write", write)
    for n in range(100, 110):
        file.write(f"line {n}\n")
        clock.now += 1
    room = 1000
    clock.now = BEGIN + 11.9  # it was tried at 2 and 7
    file.write("two\nlines\n")
    clock.now += 0.1
    file.write("more\n")
    room = 0
    file.write("last\n")
    file.close()
    assert (tmp_path / "a.jsonl").read_text() == "line 100\nline 101\nmore\n"
    path = tmp_path / "a.jsonl"
    assert file.said == [
        f"{path} cannot be written: No space left on device; lines are missing until it can",
        f"{path} is written again; 10 lines are missing",
        f"{path} cannot be written: No space left on device; lines are missing until it can",
        f"{path}: 11 lines are missing",
    ]
    assert file.num_lost == 11


def test_a_file_that_somebody_moves_away_begins_anew_in_its_next_period(tmp_path):
    clock = Clock()
    file = opened(tmp_path / "a.jsonl", clock)
    file.write("1\n")
    (tmp_path / "a.jsonl").rename(tmp_path / "theirs")
    file.write("2\n")
    clock.now += DAY
    file.write("3\n")
    assert content(tmp_path) == {"theirs": "1\n2\n", "a.jsonl": "3\n"}
    assert (file.said, file.num_lost) == ([], 0)


def test_what_cannot_be_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        (".", "it is not an ordinary file"),
        ("pipe", "it is not an ordinary"),
        ("no/a", "No such file"),
        ("a" * 300, "File name too long"),
    ):
        with pytest.raises(ValueError, match=f"cannot be written: {words}"):
            opened(tmp_path / name)


def test_a_disk_that_is_really_full(tmp_path):
    """Labels go on to standard output, and the file has whole lines."""
    path = tmp_path / "a.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "actionstream", "watch", "sample", "--json", "--json", path],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
        timeout=60,
        check=False,
    )
    printed, kept = done.stdout.splitlines(), path.read_text()
    assert (done.returncode, sum('"labels"' in line for line in printed)) == (1, 330)
    assert kept.endswith("\n")
    assert len(kept) > 9000
    assert kept.splitlines() == printed[: len(kept.splitlines())]
    assert done.stderr == (
        f"actionstream: {path} cannot be written: File too large; lines are missing until it can\n"
        f"actionstream: {path}: {len(printed) - len(kept.splitlines())} lines are missing\n"
    )
