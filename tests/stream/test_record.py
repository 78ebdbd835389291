"""`actionstream record`, with a film in place of a camera."""

import av
import pytest
from helpers import images, write_video

from actionstream.commands import signals
from actionstream.sinks import VideoFile


@pytest.fixture
def film(tmp_path):
    return write_video(tmp_path / "film.mp4", images(60, height=48, width=64))


def num_frames(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_clips_are_cut_one_after_the_other(film, tmp_path, run):
    options = ("--camera", film, "-o", tmp_path / "videos", "--clips", 2, "--seconds", 0.5, "--pause", 0.2)
    code, out, _ = run("record", "wave", *options)
    assert code == 0
    assert "wave: 2 clips of 0.5 s" in out
    folder = tmp_path / "videos" / "wave"
    assert sorted(path.name for path in folder.iterdir()) == ["wave_001.mp4", "wave_002.mp4"]
    assert {num_frames(path) for path in folder.iterdir()} <= {14, 15, 16}
    assert run("record", "wave", *options)[0] == 0
    assert sorted(path.name for path in folder.iterdir())[-1] == "wave_004.mp4"


def test_a_camera_is_no_folder_that_is_called_so(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "97").mkdir()
    write_video(tmp_path / "97" / "1.mp4", images(3))
    code, _, err = run("record", "wave", "--camera", "97", "-o", "videos")
    assert code == 2
    assert "camera 97 cannot be opened" in err


def test_a_clip_that_is_not_whole_is_not_kept(film, tmp_path, run):
    options = ("--camera", film, "-o", tmp_path / "videos", "--clips", 3, "--seconds", 0.9, "--pause", 0)
    code, out, err = run("record", "wave", *options)
    assert (code, "wave: 2 clips of 0.9 s" in out) == (2, True)
    assert "ended after 2 of 3 clips" in err.splitlines()[-1]
    assert len(list((tmp_path / "videos" / "wave").iterdir())) == 2


def test_a_clip_begins_again_after_a_camera_stood_still(tmp_path, run):
    seen = [number / 30 for number in (*range(3), *range(150, 190))]
    film = write_video(tmp_path / "film.mp4", images(len(seen)), times=seen)
    options = ("--camera", film, "-o", tmp_path / "videos", "--clips", 1, "--seconds", 0.5, "--pause", 0.5)
    assert run("record", "wave", *options)[0] == 0
    assert num_frames(tmp_path / "videos" / "wave" / "wave_001.mp4") in {14, 15, 16}


def test_nothing_is_left_of_a_clip_that_is_broken_off(film, tmp_path, run, monkeypatch):
    """As by Ctrl-C in the middle of one."""
    push, seen = VideoFile.push, []

    def stopped(self, update):
        push(self, update)
        seen.extend(path.name for path in (tmp_path / "wave").iterdir())
        if update.frame.time_seconds > 0.2:
            raise signals.Stopped(2)

    monkeypatch.setattr(VideoFile, "push", stopped)
    options = ("--camera", film, "-o", tmp_path, "--clips", 1, "--seconds", 0.5, "--pause", 0)
    assert run("record", "wave", *options)[0] == 130
    assert {name.split(".")[-2:] == ["partial", "mp4"] for name in seen} == {True}
    assert list((tmp_path / "wave").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("../wave",), "cannot be the name of a folder"),
        (("wave", "--seconds", "0"), "--seconds is 0 and --pause is 1.5; expected above 0"),
        (("wave", "--camera", "absent.mp4"), "no such file: absent.mp4"),
    ],
)
def test_bad_input(arguments, message, tmp_path, run):
    code, _, err = run("record", *arguments, "-o", tmp_path)
    assert (code, message in err) == (2, True)
    assert list(tmp_path.iterdir()) == []
