"""Videos that `watch --save` writes beside the labels."""

import json
import os
import threading

import numpy as np
import pytest
from helpers import images, write_video

from actionstream import Frame, open_source
from actionstream.commands.saving import Saving
from actionstream.results import Update
from actionstream.sinks import SavedVideo
from actionstream.sinks.saved_video import QUEUE_FRAMES


class SlowFile:
    """A file that takes no frame before `go_on` is set."""

    path = "slow.mp4"

    def __init__(self, error=None):
        self.go_on, self.begun, self.frames, self.error, self.closed = (
            threading.Event(),
            threading.Event(),
            [],
            error,
            0,
        )

    def push(self, update):
        self.begun.set()
        self.go_on.wait()
        if self.error:
            raise self.error
        self.frames.append(update.frame.index)

    def close(self):
        self.closed += 1

    def discard(self): ...


def updates(count, side=8):
    picture = np.zeros((side, side, 3), np.uint8)
    for n in range(count):
        yield Update(stream="a", frame=Frame(stream="a", index=n, time_seconds=n / 30, picture=picture))


def saved(file, drops=True):
    said, failed = [], []
    video = SavedVideo(file, drops=lambda: drops, fail=failed.append, say=said.append)
    return video, said, failed


def test_frames_of_a_camera_are_dropped_from_the_file_and_counted():
    file = SlowFile()
    video, said, failed = saved(file)
    first, *rest = updates(100)
    video.push(first)
    file.begun.wait()
    for update in rest:
        video.push(update)
    file.go_on.set()
    video.close()
    video.join()
    assert file.frames == list(range(QUEUE_FRAMES + 1))
    missing = 99 - QUEUE_FRAMES
    assert said == [f"slow.mp4 lacks {missing} frames: they came faster than they were encoded"]
    assert (failed, file.closed, video.finished) == ([], 1, True)


def test_frames_of_a_file_wait():
    file = SlowFile()
    video, said, _ = saved(file, drops=False)
    threading.Timer(0.3, file.go_on.set).start()
    for update in updates(200):
        video.push(update)
    video.close()
    video.join()
    assert (file.frames, said) == (list(range(200)), [])


def test_the_queue_is_bounded_in_bytes():
    """Frames of 4k: fewer wait."""
    file = SlowFile()
    video, _, _ = saved(file)
    first, *rest = updates(30, side=3000)
    video.push(first)
    file.begun.wait()
    for update in rest:
        video.push(update)
    file.go_on.set()
    video.close()
    video.join()
    assert file.frames == [0, 1, 2]


def test_a_file_that_fails_lets_all_go_on():
    """Also whoever waits for room in the queue."""
    file = SlowFile(error=OSError(28, "No space left on device"))
    video, _, failed = saved(file, drops=False)
    threading.Timer(0.2, file.go_on.set).start()
    for update in updates(200):
        video.push(update)
    video.close()
    video.join()
    assert (failed, file.frames, file.closed) == ([file.error], [], 0)
    assert not video._waiting, "no frame stays in memory"


def test_the_next_free_name(tmp_path):
    """Beside what is there from before, what is written now, and a link to nowhere."""
    (tmp_path / "door.mp4").touch()
    os.symlink(tmp_path / "nowhere", tmp_path / "door (2).mp4")
    for _ in range(2):  # as after a restart
        saving = Saving(tmp_path, several=True)
        videos = [
            saving.add(name, None, drops=lambda: False, fail=pytest.fail, say=pytest.fail)
            for name in ("door", "door", "a/b")
        ]
        for video in videos:
            for update in updates(3, side=64):
                video.push(update)
            video.close()
        saving.join()
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"a_b.mp4", "a_b (2).mp4", *(f"door{end}.mp4" for end in ("", *(f" ({n})" for n in range(2, 7))))}
    assert (tmp_path / "door.mp4").stat().st_size == 0


@pytest.mark.parametrize("name", ["kept.mp4", "link.mp4"])
def test_a_file_that_exists_is_refused_before_anything_starts(run, tmp_path, monkeypatch, name):
    monkeypatch.setattr("actionstream.engine.fusion.open_scorer", pytest.fail)
    (tmp_path / "kept.mp4").write_bytes(b"what was there")
    os.symlink(tmp_path / "nowhere", tmp_path / "link.mp4")
    path = tmp_path / name
    code, out, err = run("watch", "sample", "--save", path, "--json")
    assert (code, out, err) == (2, "", f"actionstream: {path} exists; give another name\n")
    assert (tmp_path / "kept.mp4").read_bytes() == b"what was there"


def test_several_streams_have_a_file_each_and_every_frame(run, tmp_path):
    film = write_video(tmp_path / "film.mp4", images(70))
    for _ in range(2):
        code, out, err = run("watch", film, film, "--save", tmp_path / "saved", "--json")
        assert (code, err) == (0, "")
        assert sum("labels" in json.loads(line) for line in out.splitlines()) == 70
    found = sorted((tmp_path / "saved").iterdir())
    assert len(found) == 4
    assert [len(list(open_source(path))) for path in found] == [70] * 4
