"""A file that is followed while editors save it."""

import time

import pytest

from actionstream.live.followed_file import FollowedFile
from actionstream.models.common.errors import ActionstreamError

pytestmark = pytest.mark.waits


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


class Followed:
    """A followed file, and what it told."""

    def __init__(self, path, monkeypatch, text="first"):
        monkeypatch.setattr("actionstream.live.followed_file.POLL_SECONDS", 0.06)
        path.write_text(text)
        self.path, self.texts, self.said, self.reads, self.unchanged = path, [], [], [], 0
        self.file = FollowedFile(path, self.change, self.said.append, unchanged=self.stay)
        read = self.file._read
        monkeypatch.setattr(self.file, "_read", lambda: self.reads.append(read()) or self.reads[-1])
        self.file.start()

    def change(self, text):
        self.texts.append(text)
        if "fault" in text:
            raise ZeroDivisionError
        if "wrong" in text:
            raise ActionstreamError("line 1 is wrong\nline 2 is wrong")

    def stay(self):
        self.unchanged += 1

    def seen(self, text):
        """Until the file was read like this."""
        self.reads.clear()
        until(lambda: text in self.reads)


@pytest.fixture
def followed(tmp_path, monkeypatch):
    made = Followed(tmp_path / "file", monkeypatch)
    yield made
    made.file.stop()
    assert not made.file._thread.is_alive()


def test_a_file_that_is_being_saved_has_not_changed(followed):
    """Emptied first, written in parts, taken away and put back: nothing is told."""
    for parts in (["", "first"], ["fi", "first"], ["", "fi", "first"]):
        for part in parts:
            followed.path.write_text(part)
            followed.seen(part)
    followed.path.rename(followed.path.with_name("backup"))
    followed.path.write_text("first")
    followed.seen("first")
    stayed = followed.unchanged
    until(lambda: followed.unchanged > stayed + 3)
    assert (followed.texts, followed.said) == (["first"], [])


def test_changes_are_told_once(followed):
    other = followed.path.with_name("other")
    other.write_text("second")
    other.replace(followed.path)
    until(lambda: len(followed.texts) == 2)
    followed.path.write_text("")  # and stays so
    until(lambda: len(followed.texts) == 3)
    assert followed.reads[-5:] == [""] * 5
    followed.path.write_text("first")
    until(lambda: len(followed.texts) == 4)
    stayed = followed.unchanged
    until(lambda: followed.unchanged > stayed + 3)
    assert followed.texts == ["first", "second", "", "first"]
    assert followed.said == []


def test_a_wrong_text_is_told_once_and_the_file_is_followed_on(followed):
    followed.path.write_text("wrong")
    until(lambda: followed.said)
    stayed = followed.unchanged
    until(lambda: followed.unchanged > stayed + 2)
    followed.path.write_text("right")
    until(lambda: followed.texts[-1] == "right")
    assert followed.texts == ["first", "wrong", "right"]
    assert followed.said == ["line 1 is wrong", "line 2 is wrong"]


def test_a_fault_does_not_end_it(followed):
    followed.path.write_text("fault")
    until(lambda: followed.said)
    followed.path.write_text("right")
    until(lambda: followed.texts[-1] == "right")
    (fault,) = followed.said
    assert "a fault in actionstream" in fault


def test_a_file_that_goes_and_comes_back(followed):
    followed.path.unlink()
    until(lambda: followed.said)
    followed.path.write_bytes(b"\xff\xfe\x00")
    time.sleep(0.2)
    followed.path.write_text("second")
    until(lambda: len(followed.texts) == 2)
    assert followed.said == [f"{followed.path} cannot be read: No such file or directory; all goes on as it was"]


def test_the_start_raises(tmp_path, monkeypatch):
    with pytest.raises(ActionstreamError, match=r"^the list cannot be read: No such file or directory$"):
        FollowedFile(tmp_path / "absent", print, print, name="the list").start()
    (tmp_path / "file").write_bytes(b"\xff\xff\x00")
    with pytest.raises(ActionstreamError, match=r"^.*file cannot be read: it is no text$"):
        FollowedFile(tmp_path / "file", print, print).start()
    with pytest.raises(ActionstreamError, match="line 1 is wrong"):
        Followed(tmp_path / "file", monkeypatch, text="wrong")
