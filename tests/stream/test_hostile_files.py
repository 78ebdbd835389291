"""What a file may cost, and what it may reach: the files of somebody who means harm, given to the real commands."""

import ast
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from bombs import exif, gif, inflating, lists, png, png_with, y4m
from helpers import ROOT, images, write_video
from odd_videos import encode, put_into
from PIL import Image

from actionstream import open_source
from actionstream.models import video
from actionstream.models.video import SourceError, every_frame, index_of, read_frames
from actionstream.sources import SAMPLE
from actionstream.sources.video import FileSource, PipeSource

COMMAND = Path(sys.executable).with_name("actionstream")
MOST_BYTES = 1 << 30
"""Of the commands below: Python, PyAV and NumPy reserve half of it, and a picture of the largest size is 0.1 GB."""


def under_a_limit(*arguments, cwd=None):
    """Run a command that may have MOST_BYTES of memory: its exit code, and what it said."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))

    done = subprocess.run(
        [sys.executable, "-m", "actionstream", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=limit,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        cwd=cwd,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def h264_of_8192(tmp_path_factory):
    black = np.zeros((8192, 8192, 3), np.uint8)
    return encode(tmp_path_factory.mktemp("h264") / "bomb.ts", [black], preset="ultrafast")


@pytest.fixture(scope="module")
def largest_pictures(tmp_path_factory):
    black = np.zeros((4096, 8192, 3), np.uint8)
    return encode(tmp_path_factory.mktemp("largest") / "clip.mp4", [black] * 24, preset="ultrafast", bf="0")


METADATA = {
    "eXIf": lambda: exif(50_000, 30_000),
    "zTXt": lambda: b"Comment\0\0" + inflating(1 << 30),
    "iCCP": lambda: b"Comment\0\0" + inflating(1 << 30),
    "iTXt": lambda: b"Comment\0\1\0\0\0" + inflating(1 << 30),
    "raw profile": lambda: (
        b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n1\n" + exif(30_000, 30_000).hex().encode())
    ),
}


@pytest.mark.parametrize("name", ["clip.png", "clip.mp4"])
@pytest.mark.parametrize("kind", METADATA)
def test_a_small_picture_with_metadata_that_cost_much(tmp_path, kind, name):
    """Pillow reads the one and FFmpeg the other, whatever is in it."""
    Image.fromarray(images(1)[0]).save(tmp_path / "good.png")
    chunk = b"zTXt" if kind == "raw profile" else kind.encode()
    path = png_with(tmp_path / name, tmp_path / "good.png", chunk, METADATA[kind]())
    code, said = under_a_limit("watch", path)
    assert (code, "emory" in said) == ((0 if "1 frames" in said or "1 frame" in said else 2), False), said


@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
def test_a_tiff_whose_entries_share_their_bytes(tmp_path, big):
    (tmp_path / "clip.tif").write_bytes(exif(50_000, 30_000, big=big))
    with pytest.raises(SourceError, match="its metadata claims more than the file has"):
        list(open_source(tmp_path / "clip.tif"))


def test_a_png_whose_chunk_claims_gigabytes(tmp_path):
    """Pillow would make room for what a chunk claims, whatever the file has."""
    path = png_with(tmp_path / "clip.png", png(tmp_path / "good.png", 64, 48), b"fdAT", bytes(8))
    data = path.read_bytes()
    place = data.index(b"fdAT")
    path.write_bytes(data[: place - 4] + (3_000_000_000).to_bytes(4) + data[place:])
    with pytest.raises(SourceError, match="its metadata claims more than the file has"):
        list(open_source(path))


BOMBS = {
    "gif": lambda folder: gif(folder / "bomb.gif", 8000),
    "gif that is a line": lambda folder: gif(folder / "line.gif", 65535),
    "png": lambda folder: png(folder / "bomb.png", 14000, 14000),
    "png that Pillow warns of": lambda folder: png(folder / "bomb.png", 10000, 9000),
    "png in the name of a video": lambda folder: png(folder / "bomb.mp4", 14000, 14000),
    "apng": lambda folder: png(folder / "bomb.apng", 8000, 8000, frames=3),
    "y4m": lambda folder: y4m(folder / "bomb.y4m", 16000, 16000),
}


@pytest.mark.parametrize("kind", [*BOMBS, "ts", "mp4", "flv", "h264"])
def test_a_small_file_that_says_it_is_very_large(tmp_path, h264_of_8192, kind):
    path = BOMBS[kind](tmp_path) if kind in BOMBS else put_into(h264_of_8192, tmp_path / f"bomb.{kind}")
    assert path.stat().st_size < 300_000
    code, said = under_a_limit("watch", path)
    assert code == 2, said
    assert re.search(rf"{path.name} has pictures of .*35389440 pixels \(--max-pixels or ACTION", said), said
    assert len(said.splitlines()) == 1


COMMANDS = {
    "watch": lambda path, *more: ("watch", path, *more),
    "label": lambda path, *more: ("label", path, *more),
    "record": lambda path, *more: ("record", "wave", "--camera", path, "--seconds", 0.1, "--pause", 0, *more),
    "frames": lambda path, *more: ("frames", path.parent, "-o", "frames", *more),
    "train": lambda path, *more: ("train", "--data", path.parents[1], "-o", "run", "--workers", 1, *more),
}


@pytest.mark.parametrize(("command", "how"), [*((name, "option") for name in COMMANDS), ("watch", "environment")])
def test_the_limit_on_pixels_is_an_option(tmp_path, monkeypatch, command, how):
    """Also for the processes that a command starts."""
    path = tmp_path / "videos" / "wave" / "clip.mp4"
    path.parent.mkdir(parents=True)
    path.hardlink_to(write_video(tmp_path / "clip.mp4", images(10)))
    for name in ("a", "b"):
        (tmp_path / "videos" / "nod").mkdir(exist_ok=True)
        (tmp_path / "videos" / "nod" / f"{name}.mp4").hardlink_to(path)
    if how == "environment":
        monkeypatch.setenv("ACTIONSTREAM_MAX_PIXELS", "3071")
    arguments = COMMANDS[command](path, *(["--max-pixels", 3071] if how == "option" else []))
    done = subprocess.run(
        [sys.executable, "-m", "actionstream", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "has pictures of 64 x 48; the most are 3071 pixels (--max-pixels or ACTIONSTREAM_MAX_PIXELS)" in said, said
    assert done.returncode == (0 if command == "frames" else 2), said


def test_help_has_the_limit_on_pixels(run):
    _, text, _ = run("watch", "--help")
    assert "[env var: ACTIONSTREAM_MAX_PIXELS; default: 35389440; 1<=x<=178000000]" in " ".join(text.split())
    assert "Usage" in run("watch", "sample", "--max-pixels", 178_000_001)[2]


def test_a_picture_that_the_user_allows_and_pillow_warns_of(tmp_path):
    path = png(tmp_path / "large.png", 10000, 9000)
    done = subprocess.run(
        [sys.executable, "-m", "actionstream", "watch", path, "--max-pixels", "90000000"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def each_way_to_read(path):
    return [
        lambda: index_of(path),
        lambda: list(open_source(path)),
        lambda: read_frames(path, [0]),
        lambda: next(every_frame(path)),
    ]


SMALL = {
    "mp4": ("libx264", "yuv420p"),
    "ts": ("libx264", "yuv420p"),
    "flv": ("flv1", "yuv420p"),
    "mkv": ("ffv1", "yuv420p"),
    "webm": ("libvpx", "yuv420p"),
    "avi": ("mjpeg", "yuvj420p"),
    "mov": ("qtrle", "rgb24"),
    "nut": ("rawvideo", "yuv420p"),
    "mjpeg": ("mjpeg", "yuvj420p"),
    "asf": ("wmv2", "yuv420p"),
    "gif": ("gif", "rgb8"),
    "png": None,
    "webp": None,
    "tiff": None,
    "folder": None,
}


@pytest.mark.parametrize("kind", SMALL)
def test_the_limit_holds_in_all_formats_and_by_each_reader(tmp_path, monkeypatch, kind):
    pictures = images(3, height=96, width=128)
    path = tmp_path / f"clip.{kind}"
    if kind == "folder":
        path.mkdir()
        Image.fromarray(pictures[0]).save(path / "1.png")
    elif SMALL[kind] is None:
        first, *others = map(Image.fromarray, pictures)
        first.save(path, save_all=True, append_images=others)
    else:
        codec, pixels = SMALL[kind]
        encode(path, pictures, codec=codec, pixels=pixels)
    monkeypatch.setenv("ACTIONSTREAM_MAX_PIXELS", "12288")
    assert len(list(open_source(path))) >= 1
    monkeypatch.setenv("ACTIONSTREAM_MAX_PIXELS", "12287")
    index_of.cache_clear()
    for read in each_way_to_read(path)[(kind == "folder") :]:  # the index of a folder is one of names
        with pytest.raises(SourceError, match=r"has pictures of .*12287 pixels \(--max-pixels or ACTION"):
            read()
    index_of.cache_clear()


@pytest.mark.parametrize("text", ["0", "-1", "many", "1e6", "", "999999999999999999999999"])
def test_a_limit_that_is_none(monkeypatch, text):
    monkeypatch.setenv("ACTIONSTREAM_MAX_PIXELS", text)
    with pytest.raises(ValueError, match=r"ACTIONSTREAM_MAX_PIXELS is '.*'; expected a number of pixels"):
        open_source(SAMPLE)


@pytest.mark.parametrize(("width", "height"), [(20000, 1), (1, 20000), (20000, 1000), (330, 10), (10, 330)])
def test_a_side_that_is_very_long(tmp_path, width, height):
    """Whoever scales a line of two pixels to the height of a thumbnail makes gigabytes of it."""
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(tmp_path / "line.png")
    with pytest.raises(
        SourceError, match=f"has pictures of {width} x {height}; .*, 16384 at a side, and a side 32 times"
    ):
        list(open_source(tmp_path / "line.png"))


def test_a_picture_may_be_long(tmp_path):
    Image.fromarray(np.zeros((10, 320, 3), np.uint8)).save(tmp_path / "line.png")
    assert len(list(open_source(tmp_path / "line.png"))) == 1


@pytest.mark.parametrize("who", ["FFmpeg refuses it", "it is decoded"])
@pytest.mark.parametrize("suffix", [".ts", ".h264", ".mjpeg", ".hevc"])
def test_a_size_that_becomes_too_large_in_mid_stream(tmp_path, monkeypatch, suffix, who):
    if who == "FFmpeg refuses it":
        monkeypatch.setattr(video.decoder, "max_pixels_of_ffmpeg", lambda: "40000")
    codec = {".mjpeg": "mjpeg", ".hevc": "libx265"}.get(suffix, "libx264")
    options = {"pixels": "yuvj420p"} if codec == "mjpeg" else {"bf": "0"}
    small = encode(tmp_path / f"small{suffix}", images(12, height=96, width=128), codec=codec, **options)
    large = encode(tmp_path / f"large{suffix}", images(12, height=192, width=256), codec=codec, **options)
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    monkeypatch.setenv("ACTIONSTREAM_MAX_PIXELS", "20000")
    source = open_source(path)
    frames = list(source)
    assert {frame.image.shape for frame in frames} == {(96, 128, 3)}
    said = "has pictures of more than 20000 pixels (--max-pixels or ACTIONSTREAM_MAX_PIXELS), which were passed over"
    assert f"{path.name} {said}" in source.warnings


@pytest.mark.parametrize("suffix", [".ts", ".h264", ".mjpeg"])
def test_a_size_that_nobody_knows_is_not_said_to_be_too_large(tmp_path, suffix):
    """The begin is missing, which says what size the pictures are."""
    whole = encode(tmp_path / f"whole{suffix}", images(30), g="100", bf="0", **MJPEG.get(suffix, {}))
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[whole.stat().st_size // 2 :])
    said = []
    try:
        source = open_source(cut)
        list(source)
        said += source.warnings
    except SourceError as error:
        said.append(str(error))
    assert "pixels" not in "".join(said)


MJPEG = {".mjpeg": {"codec": "mjpeg", "pixels": "yuvj420p"}}


def test_what_waits_is_bounded_in_bytes(tmp_path, monkeypatch):
    """Of large pictures fewer wait for their times to be looked at, and fewer are decoded at once."""
    path = write_video(tmp_path / "clip.mp4", images(40, height=96, width=128))
    whole = [frame.time_seconds for frame in open_source(path)]
    taken = []
    real = video.decoder.Decoder.pictures

    def counted(self):
        for picture in real(self):
            taken.append(picture)
            yield picture

    monkeypatch.setattr(video.decoder.Decoder, "pictures", counted)
    monkeypatch.setattr(video.decoder, "QUEUE_BYTES", 2 * 96 * 128 * 3 // 2)
    frames = iter(open_source(path))
    next(frames)
    assert len(taken) == 2
    assert [0.0, *(frame.time_seconds for frame in frames)] == whole


def peak_bytes(folder, *arguments):
    """The most memory that a command takes; it succeeds."""
    command = [sys.executable, "-m", "actionstream", *map(str, arguments)]
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, cwd=folder)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        assert process.returncode == 0, said.read()
    return used.ru_maxrss * 1024


@pytest.mark.parametrize("command", ["watch", "label", "frames"])
def test_what_a_video_of_the_largest_pictures_takes(tmp_path, largest_pictures, command):
    """24 pictures of 100 MB: a few of them at a time."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "clip.mp4").hardlink_to(largest_pictures)
    small = peak_bytes(tmp_path, "label", "sample")
    target = ("videos", "-o", "frames") if command == "frames" else ("videos/clip.mp4",)
    assert peak_bytes(tmp_path, command, *target) - small < 8 * 4096 * 8192 * 3


SHORT_OF_MEMORY = """
import importlib, resource, sys
megabytes, libraries, *sys.argv[1:] = sys.argv[1:]
for library in libraries.split(","):
    importlib.import_module(library)
from actionstream.cli import main
there = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (there + (int(megabytes) << 20),) * 2)
main.main()
"""


def short_of_memory(folder, megabytes, libraries, *arguments):
    """Run a command that may take this much more memory than its libraries do: its exit code, and what it said."""
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(megabytes), libraries, *map(str, arguments)]
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ACTIONSTREAM_CACHE": str(folder / "cache")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd=folder, env={**os.environ, **one}, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", ["watch", "label"])
@pytest.mark.parametrize("megabytes", [2, 45])
def test_memory_that_is_short_is_told_as_that(tmp_path, command, megabytes):
    """And not as so many damaged packets: FFmpeg tells of invalid data."""
    code, _, said = short_of_memory(tmp_path, megabytes, "av,onnxruntime,PIL.Image,rich.live", command, "sample")
    (line,) = said.splitlines()
    assert (code, "there is too little memory" in line, "damaged" in line) == (2, True, False), line


@pytest.mark.parametrize("command", ["watch", "label", "frames"])
def test_memory_that_is_too_short_for_large_pictures(tmp_path, largest_pictures, command):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "clip.mp4").hardlink_to(largest_pictures)
    target = ("videos", "-o", "frames") if command == "frames" else ("videos/clip.mp4",)
    code, _, said = short_of_memory(tmp_path, 150, "av,onnxruntime,PIL.Image,rich.live", command, *target)
    (line,) = filter(None, said.splitlines())
    assert (code, "there is too little memory" in line, "damaged" in line) == (2, True, False), line
    assert not list((tmp_path).rglob(".*partial"))


@pytest.mark.parametrize("command", ["convert", "watch"])
@pytest.mark.parametrize("megabytes", [30])
def test_memory_that_is_too_short_for_weights(tmp_path, command, megabytes):
    network = torchvision.models.resnet50(weights=None)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    arguments = ("weights.pth", "-o", "out.safetensors")
    if command == "watch":
        arguments = ("sample", "--model", "tsn_resnet50", "--weights", "weights.pth", "--runtime", "torch")
    code, _, said = short_of_memory(tmp_path, megabytes, "torch,av,safetensors.torch", command, *arguments)
    assert (code, "there is too little memory" in said, len(said.splitlines())) == (2, True, 1), said
    assert not list(tmp_path.glob("*out*"))


def test_an_animation_that_says_it_has_more_pictures_than_it_has(tmp_path):
    path = png(tmp_path / "clip.png", 64, 64, frames=3, said_frames=1_000_000)
    with pytest.raises(SourceError, match=r"picture 4 of clip.png is not an image that can be read"):
        list(open_source(path))


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "webp"])
def test_frames_of_a_small_video_that_says_it_lasts_for_hours(tmp_path, suffix):
    """Forty pictures, then one hours later: millions of frames at 120 a second."""
    (tmp_path / "videos").mkdir()
    path = tmp_path / "videos" / f"clip.{suffix}"
    if suffix == "webp":
        first, *others = map(Image.fromarray, images(41))
        first.save(path, save_all=True, append_images=others, duration=[8] * 40 + [16_000_000])
    else:
        encode(path, images(41), times=[*(n / 120 for n in range(40)), 20_000.0])
    code, said = under_a_limit("frames", tmp_path / "videos", "-o", tmp_path / "frames")
    assert code == 0, said
    assert "41 pictures that are shown for" in said
    assert "expected 100 frames a picture or fewer; `actionstream frames --max-repeats` allows" in said
    assert not list((tmp_path / "frames").rglob("*.jpg"))
    index = index_of(path)
    assert (index.num_places > 1_000_000, index.first_places.nbytes) == (True, 41 * 8)


def test_frames_of_a_slide_show(tmp_path):
    """A picture may be shown for long, where the user says so."""
    (tmp_path / "videos").mkdir()
    encode(tmp_path / "videos" / "clip.mkv", images(4), times=[0, 1 / 30, 2 / 30, 400.0])
    assert "left out" in under_a_limit("frames", tmp_path / "videos", "-o", tmp_path / "frames")[1]
    code, said = under_a_limit("frames", tmp_path / "videos", "-o", tmp_path / "frames", "--max-repeats", 5000)
    assert (code, "1 of 1 videos written" in said) == (0, True), said
    assert len(list((tmp_path / "frames" / "clip").glob("*.jpg"))) > 11_000


def test_a_video_that_says_it_lasts_for_years(tmp_path):
    times = [*(n / 120 for n in range(40)), 400_000.0]
    path = encode(tmp_path / "long.mkv", images(41), times=times)
    with pytest.raises(SourceError, match="cannot be read by place"):
        index_of(path)


@pytest.mark.parametrize(
    "text", ["1e30", "0", "1e-30", "nan", "inf", "-5", "30" + " " * 200 + "x", "\0", "9" * 10_000_000]
)
def test_a_rate_that_no_folder_has(tmp_path, text):
    Image.fromarray(images(1)[0]).save(tmp_path / "1.png")
    (tmp_path / "rate.txt").write_text(text)
    if text.startswith("30"):
        assert open_source(tmp_path).rate == 30
        return
    with pytest.raises(SourceError, match=r"rate.txt says no number of frames a second"):
        open_source(tmp_path)


def test_a_picture_that_would_run_a_program(tmp_path):
    """Pillow gives PostScript to Ghostscript."""
    path = tmp_path / "picture.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(SourceError, match=r"picture.png is of the format EPS; expected one of"):
        list(open_source(path))


def test_training_leaves_out_what_is_too_large(tmp_path, run):
    for label, color in (("a", 40), ("b", 200)):
        for n in range(3):
            folder = tmp_path / "videos" / label / f"c{n}"
            folder.mkdir(parents=True)
            for k in range(8):
                Image.fromarray(np.full((48, 64, 3), color, np.uint8)).save(folder / f"{k}.png")
    bomb = tmp_path / "videos" / "a" / "bomb"
    bomb.mkdir()
    png(bomb / "1.png", 14000, 14000)
    gif(tmp_path / "videos" / "b" / "bomb.gif", 8000)
    arguments = ("--epochs", 1, "--size", 32, "--workers", 0, "--device", "cpu")
    code, out, err = run("train", "--data", tmp_path / "videos", "-o", tmp_path / "run", *arguments)
    assert code == 0, err
    assert "bomb" in out + err


def latin(path, place):
    """A title, or the name of a track, in Latin-1, as many programs on Windows write it."""
    data = put_into(SAMPLE, path, **{place: {"title": "A title in Latin"}}).read_bytes()
    assert b"title in Latin" in data
    path.write_bytes(data.replace(b"title in Latin", b"t\xeftle in L\xe4tin"))
    return path


@pytest.mark.parametrize(("suffix", "place"), [("mp4", "whole"), ("mkv", "whole"), ("mkv", "track"), ("flv", "whole")])
def test_a_title_in_latin_1(tmp_path, suffix, place):
    path = latin(tmp_path / f"clip.{suffix}", place)
    assert index_of(path).num_places == index_of(SAMPLE).num_places
    for read in each_way_to_read(path):
        read()


def test_videos_are_opened_for_reading_in_one_place():
    """So that its limits hold for all."""
    found = []
    for path in [file for room in ("kernels", "models", "stream", "demos") for file in (ROOT / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("av.open", "av.container.open", "Image.open"):
                writes = len(node.args) > 1 and ast.unparse(node.args[1]) == "'w'"
                if not writes:
                    found.append(f"{path.relative_to(ROOT)}: {ast.unparse(node.func)}")
    assert sorted(found) == [
        "demos/page/visitor.py: Image.open",  # of bytes that a browser sent, with limits of its own
        "models/video/containers.py: av.open",
        "models/video/pictures.py: Image.open",
        "stream/clips/template.py: av.open",  # of a header in memory that it has written itself
    ]


@pytest.fixture
def secret(tmp_path):
    """A film that must not be seen, beside the file that names it."""
    return encode(tmp_path / "secret.ts", images(10, height=96, width=128))


@pytest.mark.parametrize("kind", ["hls", "hls of an address", "concat", "sdp", "dash"])
def test_a_video_that_is_a_list_of_other_files(tmp_path, secret, kind):
    path = lists(tmp_path, secret)[kind]
    for read in [*each_way_to_read(path), lambda: FileSource(str(path), uploaded=True)]:
        with pytest.raises(SourceError, match=f"{path.name} is not a video that can be read"):
            read()


@pytest.mark.parametrize("name", ["film.m3u8", "film.ffconcat", "film.sdp", "film.mpd", "film.gif"])
def test_a_list_is_refused_whatever_it_is_called(tmp_path, secret, name):
    for path in lists(tmp_path, secret).values():
        with pytest.raises(SourceError, match="is not a video that can be read"):
            open_source(path.rename(tmp_path / name))


def test_the_lists_are_what_opens_other_files(tmp_path, secret):
    """They do, where nobody forbids it: else the tests above would show nothing."""
    import av

    paths = lists(tmp_path, secret)
    for path in (paths["hls"].rename(tmp_path / "film.m3u8"), paths["concat"]):
        with pytest.raises(SourceError, match="it is no video but a playlist, a list of files"):
            open_source(path)
        with av.open(str(path)) as container:
            assert next(container.decode(video=0)).width == 128


def test_a_list_on_standard_input(tmp_path, secret):
    for path in lists(tmp_path, secret).values():
        with path.open("rb") as file:
            done = subprocess.run([COMMAND, "watch", "-"], stdin=file, capture_output=True, text=True, check=False)
        assert (done.returncode, "stdin is not a video that can be read" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("command", ["label", "watch", "frames"])
def test_commands_refuse_a_list_by_name(tmp_path, secret, command):
    folder = tmp_path / "videos"
    folder.mkdir()
    secret.rename(folder / secret.name)
    path = lists(folder, secret)["concat"]
    arguments = {"label": [path], "watch": [path], "frames": [folder, "-o", tmp_path / "out"]}[command]
    done = subprocess.run([COMMAND, command, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "concat.mp4 is not a video that can be read: it is no video but a playlist" in done.stdout + done.stderr
    assert not list(tmp_path.rglob("out/concat/*.jpg"))


@pytest.mark.parametrize("name", ["concat:a.ts|secret.ts", "subfile,,start,0,end,0,,:secret.ts", "file:secret.ts"])
def test_a_name_that_is_a_protocol(tmp_path, monkeypatch, secret, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="no such file"):
        open_source(name)
    with pytest.raises(SourceError, match="no such file"):
        FileSource(name)


def test_a_name_that_is_a_pattern(tmp_path, monkeypatch):
    """FFmpeg reads all pictures that fit film%d.xbm."""
    monkeypatch.chdir(tmp_path)
    for n in (1, 2):
        (tmp_path / f"film{n}.pgm").write_bytes(b"P5 16 16 255\n" + bytes(256))
    with pytest.raises(SourceError, match=r"film%d.pgm is not a video that can be read"):
        FileSource("film%d.pgm")


def test_a_stranger_may_send_the_usual_containers_only(tmp_path):
    for name, codec in (("a.mp4", "libx264"), ("a.webm", "libvpx"), ("a.mkv", "ffv1"), ("a.avi", "mpeg4")):
        path = encode(tmp_path / name, images(3), codec=codec)
        assert len(list(FileSource(str(path), uploaded=True))) == 3
    odd = png(tmp_path / "a.gif", 32, 32)
    assert len(list(FileSource(str(odd)))) == 1
    with pytest.raises(SourceError, match="is not a video that can be read"):
        FileSource(str(odd), uploaded=True)


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "film.mkv"
    os.mkfifo(path)
    return path


def test_what_wants_a_file_refuses_what_may_never_answer(tmp_path, fifo):
    os.mkfifo(tmp_path / "1.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.mp4"))
        for path, kind in ((fifo, "pipe"), (tmp_path / "s.mp4", "socket"), (Path("/dev/zero"), "device")):
            for read in [*each_way_to_read(path), lambda path=path: FileSource(str(path))]:
                with pytest.raises(SourceError, match=f"{path.name} is a {kind}; expected a file"):
                    read()
        for text, kind in (("s.mp4", "socket"), ("/dev/zero", "device"), ("/dev/random", "device")):
            with pytest.raises(SourceError, match=f"is a {kind}; expected a file"):
                open_source(str(tmp_path / text))
    with pytest.raises(SourceError, match=r"1.png is a pipe"):
        list(open_source(tmp_path))
    with pytest.raises(SourceError, match=r"1.png is a pipe"):
        read_frames(tmp_path, [0])


@pytest.mark.parametrize("command", ["label", "frames", "train", "test"])
def test_commands_pass_a_pipe_over_or_refuse_it(tmp_path, command):
    """A name that a data set lists; nobody ever writes into it."""
    folder = tmp_path / "videos" / "right"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "film.mkv")
    arguments = {
        "label": ["label", folder / "film.mkv"],
        "frames": ["frames", folder, "-o", tmp_path / "out"],
        "train": ["train", "--data", folder.parent, "-o", tmp_path / "run"],
        "test": ["test", "motion", "--data", folder.parent],
    }[command]
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2), said
    assert "film.mkv" in said


def test_a_pipe_is_read_when_somebody_writes(fifo, tmp_path):
    whole = write_video(tmp_path / "whole.mkv", images(20))
    source = open_source(str(fifo))
    assert isinstance(source, PipeSource)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, whole, fifo])
    assert len(list(source)) == 20
    assert writer.wait(10) == 0
    assert source.name == "film.mkv"


WRITER = (
    "import sys, time, shutil; time.sleep(0.5); shutil.copyfileobj(open(sys.argv[1], 'rb'), open(sys.argv[2], 'wb'))"
)


@pytest.mark.waits
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("state", ["nobody writes", "the writer is silent", "the writer stopped in mid-stream"])
def test_a_silent_pipe_does_not_hold_the_program(fifo, tmp_path, signal_, state):
    whole = write_video(tmp_path / "whole.mkv", images(60)).read_bytes()
    process = subprocess.Popen([COMMAND, "watch", fifo], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if state != "nobody writes":
        writer = os.open(fifo, os.O_WRONLY)
        if state != "the writer is silent":
            os.write(writer, whole[: min(len(whole) // 2, 60_000)])
    time.sleep(3)
    process.send_signal(signal_)
    try:
        process.communicate(timeout=10)
        assert process.returncode == 128 + signal_
    finally:
        process.kill()
    if state != "nobody writes":
        os.close(writer)


HANGS = """
import hashlib, sys, av
from actionstream.cli.main import main
def hang(*_, **__):
    print("opening", file=sys.stderr, flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
av.open = hang
sys.argv = ["actionstream", *sys.argv[1:]]
main()
"""


@pytest.mark.waits
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("command", ["watch", "label", "frames"])
def test_a_file_that_never_answers_does_not_hold_the_program(tmp_path, command, signal_):
    """As on a server that is gone: the library waits, and nothing that Python does can end that."""
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "film.mp4").write_bytes(SAMPLE.read_bytes())
    arguments = [folder, "-o", tmp_path / "out"] if command == "frames" else [folder / "film.mp4"]
    process = subprocess.Popen(
        [sys.executable, "-c", HANGS, command, *map(str, arguments)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.stderr.readline() == b"opening\n"
    process.send_signal(signal_)
    try:
        process.communicate(timeout=20)
        assert process.returncode in (128 + signal_, -signal_)
    finally:
        process.kill()


def test_standard_input_that_is_closed():
    done = subprocess.run(["sh", "-c", f"{COMMAND} watch - <&-"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "actionstream: stdin is closed; expected a video on standard input\n")
