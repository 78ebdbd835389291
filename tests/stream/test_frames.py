"""`actionstream frames`."""

import shutil

import numpy as np
import pytest
from helpers import images, write_video
from PIL import Image

from actionstream.models.training.datasets import Clip
from actionstream.models.training.reading import read_frames, stretch_of
from actionstream.models.video import RATE_FILE, SourceError


def test_videos_become_folders_of_pictures(tmp_path, run):
    source, target = tmp_path / "videos", tmp_path / "frames"
    (source / "wave").mkdir(parents=True)
    smooth = [np.kron(picture[..., :1], np.ones((8, 8, 3), np.uint8)) for picture in images(7, height=6, width=8)]
    write_video(source / "wave" / "a.mp4", smooth)
    write_video(source / "b.mp4", smooth[:3], rate=12)
    (source / "c.mp4").write_text("no video")
    code, out, _ = run("frames", source, "-o", target)
    assert code == 0
    assert "2 of 3 videos written, 0 were there" in out
    assert "left out: " in out
    assert "c.mp4 is not a video that can be read" in out
    names = sorted(path.relative_to(target).as_posix() for path in target.rglob("*.jpg"))
    assert names == [f"b/0000{n}.jpg" for n in (1, 2, 3)] + [f"wave/a/0000{n}.jpg" for n in range(1, 8)]
    ours, theirs = read_frames(target / "wave" / "a", [5])[0], read_frames(source / "wave" / "a.mp4", [5])[0]
    assert np.abs(ours.astype(int) - theirs).mean() < 4
    both = [stretch_of(Clip(path, ("x",))) for path in (target / "b", source / "b.mp4")]
    assert both[0] == both[1]
    assert both[0].rate == pytest.approx(12, rel=0.01)
    assert "1 were there" not in out
    assert "0 of 3 videos written, 2 were there" in run("frames", source, "-o", target)[1]
    run("frames", source, "-o", tmp_path / "small", "--short-side", 24)
    with Image.open(tmp_path / "small" / "b" / "00001.jpg") as picture:
        assert picture.size == (32, 24)


def test_what_is_no_video_is_said(tmp_path, run):
    """Containers in any suffix are written; ._ files of macOS are passed over, and others are named."""
    source = tmp_path / "videos"
    source.mkdir()
    write_video(source / "a.mp4", images(2))
    shutil.move(shutil.copy(source / "a.mp4", source / "b.mp4"), source / "b.M4V")
    (source / "._a.mp4").write_bytes(b"Mac OS X")
    (source / "notes.txt").write_text("none")
    code, out, err = run("frames", source, "-o", tmp_path / "frames")
    assert (code, "2 of 2 videos written" in out) == (0, True)
    assert [line for line in err.splitlines() if "left out" in line] == [
        "left out: hidden files: 1 (videos/._a.mp4)",
        "left out: files that are no videos by their suffix: 1 (videos/notes.txt)",
    ]


def test_a_rate_that_is_none(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    (tmp_path / RATE_FILE).write_text("many")
    with pytest.raises(SourceError, match=r"rate.txt says no number of frames a second"):
        stretch_of(Clip(tmp_path, ("x",)))


def test_bad_input(tmp_path, run):
    (tmp_path / "empty").mkdir()
    code, _, err = run("frames", tmp_path / "empty", "-o", tmp_path / "frames")
    assert (code, "has no videos in it" in err) == (2, True)
    write_video(tmp_path / "empty" / "a.mp4", images(2))
    code, _, err = run("frames", tmp_path / "empty", "-o", tmp_path / "empty" / "frames")
    assert (code, "is inside" in err) == (2, True)
    write_video(tmp_path / "empty" / "a.avi", images(2), codec="mpeg4")
    code, _, err = run("frames", tmp_path / "empty", "-o", tmp_path / "frames")
    assert (code, "would both be written to" in err) == (2, True)
