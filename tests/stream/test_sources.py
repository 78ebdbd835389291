"""Sources give the frames there are, at times that increase, and say what is wrong with them."""

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import images, shared, write_video
from PIL import Image

from actionstream import SourceError, open_source
from actionstream.models.video import LOOK_AHEAD
from actionstream.sources.camera import CameraSource
from actionstream.sources.images import ImageSource
from actionstream.sources.video import FileSource


def smooth(count, height=48, width=64):
    """Pictures that a video codec keeps nearly as they are, each a little brighter than the one before."""
    ramp = np.linspace(0, 60, width)[None, :, None] + np.zeros((height, 1, 3))
    return [(ramp + 4 * n).astype(np.uint8) for n in range(count)]


def until_it_fails(source):
    """The frames a source gives before it fails, and the words it fails with."""
    frames = []
    try:
        frames.extend(source)
    except SourceError as error:
        return frames, str(error)
    pytest.fail("the source ended without an error")


def test_video(tmp_path):
    pictures = smooth(30)
    source = open_source(write_video(tmp_path / "clip.mp4", pictures))
    frames = list(source)
    assert (source.name, source.live, source.warnings) == ("clip.mp4", False, [])
    assert source.rate == pytest.approx(30, abs=0.1)
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.time_seconds for frame in frames] == pytest.approx([n / 30 for n in range(30)], abs=1e-3)
    assert {frame.stream for frame in frames} == {"clip.mp4"}
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.image.astype(int) - picture).mean() < 4
    assert repr(frames[3]) == "Frame('clip.mp4', 3, 0.100 s, 64 x 48)"


def test_variable_rate_keeps_its_times(tmp_path):
    times = [0.0, 0.03, 0.1, 0.2, 0.21, 0.5, 0.9]
    source = open_source(write_video(tmp_path / "clip.mkv", smooth(7), times=times))
    assert [frame.time_seconds for frame in source] == pytest.approx(times, abs=2e-3)


def test_decoding_is_lazy(tmp_path):
    """A frame is there before the rest is decoded, and only those looked ahead at are held."""
    source = open_source(write_video(tmp_path / "long.mp4", smooth(120)))
    decoded = 0
    inner = source._decoder.pictures

    def counted():
        nonlocal decoded
        for picture in inner():
            decoded += 1
            yield picture

    source._decoder.pictures = counted
    for frame in source:
        assert decoded <= frame.index + LOOK_AHEAD + 2
    assert decoded == 120


@pytest.mark.parametrize(
    "clip", ["set1/0_1_4.avi", "set1/10_2_1.avi"], ids=["presentation times go back", "and in another"]
)
def test_presentation_times_that_do_not_increase(clip):
    source = open_source(shared("data", "ut_interaction", *clip.split("/")))
    frames = list(source)
    assert [frame.time_seconds for frame in frames] == pytest.approx([n / 30 for n in range(len(frames))])
    assert source.warnings == [
        f"{source.name} has presentation times that do not increase; frames are timed by index / 30"
    ]


def test_images_from_a_folder_and_a_glob(tmp_path):
    pictures = images(5)
    for n, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{n:05d}.png")
    (tmp_path / "notes.txt").write_text("no image")
    for text in (tmp_path, f"{tmp_path}/*.png"):
        frames = list(open_source(text, rate=10))
        assert [frame.time_seconds for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
        assert all(np.array_equal(f.image, p) for f, p in zip(frames, pictures, strict=True))
    one = list(open_source(tmp_path / "00003.png"))
    assert len(one) == 1
    assert np.array_equal(one[0].image, pictures[3])


def test_a_broken_image_is_passed_over_and_said(tmp_path):
    for n, picture in enumerate(images(3)):
        Image.fromarray(picture).save(tmp_path / f"{n}.png")
    (tmp_path / "1.png").write_bytes(b"")
    source = open_source(tmp_path, rate=10)
    assert [(f.index, f.time_seconds) for f in source] == [(0, 0.0), (1, 0.2)]
    assert source.warnings == ["1.png is not an image that can be read: it is none, or broken"]


def test_standard_input(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mkv", smooth(20))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    source = open_source("-")
    assert source.name == "stdin"
    assert len(list(source)) == 20


def test_camera_through_opencv(tmp_path):
    """The camera path with a file in the camera's place: RGB, and the clock of the arrival."""
    pictures = [np.full((48, 64, 3), (200, 60, 20), np.uint8)] * 5
    source = CameraSource(str(write_video(tmp_path / "camera.mp4", pictures)))
    frames, message = until_it_fails(source)
    source.close()
    assert message.endswith("gives no more frames")
    assert source.live
    assert len(frames) == 5
    assert np.abs(frames[0].image.mean((0, 1)) - (200, 60, 20)).max() < 12
    times = [frame.time_seconds for frame in frames]
    assert times == sorted(times)


def test_a_truncated_video_gives_what_there_is_and_says_so(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", images(60))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames, message = until_it_fails(open_source(cut))
    assert 15 < len(frames) < 45
    assert re.fullmatch(r"cut.mkv is cut short: it ends at \d.\d\d s of 2.00 s", message)


def audio_only(path):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_name_that_is_there_is_no_camera(tmp_path, monkeypatch):
    """Folders of datasets are numbers; whatever a name might be else, it is the file or folder that is there."""
    monkeypatch.chdir(tmp_path)
    for name in ("34", "0", "sample", "rtsp:"):
        (tmp_path / name).mkdir()
        Image.fromarray(smooth(1)[0]).save(tmp_path / name / "1.png")
    write_video(tmp_path / "7.mkv", smooth(3)).rename("7")
    for text, number in {"34": 1, "./34": 1, "0": 1, "sample": 1, "rtsp:": 1, "rtsp:/1.png": 1, "7": 3}.items():
        for given in (text, Path(text)):
            source = open_source(given)
            assert (source.live, source.warnings, len(list(source))) == (False, [], number), given
    for number in ("35", 34, 0):
        assert open_source(number).name == f"camera {number}"
    with pytest.raises(SourceError, match="no such file: 35"):
        open_source(Path("35"))
    there = os.path.exists
    monkeypatch.setattr("os.path.exists", lambda path: str(path) == "/dev/video34" or there(path))
    told = ["34 is a file or folder here, and that is read; the camera is /dev/video34"]
    assert (open_source("34").warnings, open_source("./34").warnings) == (told, [])


def test_what_cannot_be_opened(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("this is no video\n" * 100)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    (tmp_path / "folder").mkdir()
    for source, message in [
        (tmp_path / "absent.mp4", r"no such file: .*absent.mp4; a source is a video file, a folder"),
        (text, "text.mp4 is not a video that can be read: invalid data"),
        (empty, "empty.mp4 is not a video that can be read: it is empty"),
        (audio_only(tmp_path / "sound.wav"), "sound.wav has no video in it, only audio"),
        (tmp_path / "folder", "folder has no images in it; they end in .jpg"),
        (f"{tmp_path}/*.png", "has no images in it"),
        ("ftp://me:secret@host/film.mp4", "^ftp://host/film.mp4: a source cannot have the scheme ftp; expected rtsp"),
    ]:
        with pytest.raises(SourceError, match=message):
            open_source(source)
    with pytest.raises(SourceError, match="rate of images is 0"):
        ImageSource("x", [tmp_path / "a.png"], rate=0)


def test_a_header_without_frames(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", smooth(30))
    header = tmp_path / "header.mkv"
    header.write_bytes(whole.read_bytes()[:700])
    with pytest.raises(SourceError, match=r"header.mkv is not a video that can be read"):
        list(FileSource(str(header)))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_start_gives_the_frames_from_there_on_at_their_times(tmp_path, codec):
    path = str(write_video(tmp_path / "clip.mp4", smooth(60), codec=codec))
    whole = list(FileSource(path))
    for start_seconds in (0.0, 0.4, whole[31].time_seconds, 1.9):
        frames = {frame.time_seconds: frame.image for frame in FileSource(path, start_seconds=start_seconds)}
        for frame in whole:
            if frame.time_seconds >= start_seconds:
                np.testing.assert_array_equal(frames[frame.time_seconds], frame.image)
    assert len(list(FileSource(path, start_seconds=1.9))) < 10


def test_a_start_in_a_file_without_times(tmp_path):
    """Only counting from the first frame tells when one is."""
    path = str(write_video(tmp_path / "clip.h264", smooth(60)))
    times = [[frame.time_seconds for frame in FileSource(path, start_seconds=start)] for start in (0.0, 1.5)]
    assert times[0] == times[1]
    assert len(times[0]) == 60


def test_a_start_in_a_file_that_cannot_seek_to_it(tmp_path):
    path = str(write_video(tmp_path / "clip.ts", smooth(300)))
    with pytest.raises(SourceError, match=r"clip.ts cannot seek"):
        list(FileSource(path, start_seconds=8.0))
