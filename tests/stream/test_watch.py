"""`actionstream watch` and `actionstream.watch`, on real clips, as a user has them."""

import fcntl
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from helpers import images, missing, on_a_terminal, shared, write_video
from PIL import Image
from precision import apart, float64_bound

from actionstream import Frame, open_source, watch
from actionstream.models.training.sample_clip import SECONDS, TIMELINE
from actionstream.models.video.decoder import Decoder
from actionstream.models.weights.loading import load
from actionstream.results import Update
from actionstream.sinks import Overlay, VideoFile
from actionstream.sources import SAMPLE

pytestmark = pytest.mark.waits

COMMAND = Path(sys.executable).with_name("actionstream")
CLIPS = (
    "mmaction2_demo_arm_wrestling.mp4",
    "decord_flipping_pancake.mkv",
    "felixchenfy_exercise_untrimmed.avi",
    "stgcn_skateboarding.mp4",
    "stgcn_clean_and_jerk.mp4",
    "stgcn_tai_chi.mp4",
    "cuhk_plastering.avi",
)


def lines(text):
    values = [json.loads(line) for line in text.splitlines()]
    return [v for v in values if "labels" in v], [v for v in values if "event" in v]


def offline(path, predictions, model="motion"):
    """Probabilities of one offline call over the frames that were sampled, and how far from them live may be."""
    network, card = load(model)
    wanted = {prediction["frame"] for prediction in predictions}
    pictures = [card.preprocessing.resize(f.picture) for f in open_source(path) if f.index in wanted]
    frames = card.preprocessing.normalise(torch.from_numpy(np.stack(pictures))[None])
    return card, *float64_bound(network, frames, of=lambda scores: card.probabilities(scores[0]))


@pytest.mark.parametrize("clip", CLIPS)
def test_every_real_clip(clip, run):
    path = shared("data", "clips", clip)
    code, out, err = run("watch", path, "--json", "--top", 10)
    assert (code, err) == (0, "")
    predictions, _ = lines(out)
    card, expected, limit = offline(path, predictions)
    times = [p["time_seconds"] for p in predictions]
    assert times == sorted(set(times))
    assert all(p["schema"] == "actionstream/1" and p["stream"] == clip and p["latency_ms"] > 0 for p in predictions)
    assert [p["frames_since_reset"] for p in predictions] == list(range(1, len(predictions) + 1))
    assert len(times) == pytest.approx(times[-1] * min(15, 10 if "felix" in clip else 15), rel=0.02)
    found = [{label["label"]: label["score"] for label in prediction["labels"]} for prediction in predictions]
    given = np.array([[scores[name] for name in card.labels] for scores in found])
    assert apart(given, expected) < limit + 1e-6  # JSON has six decimals


def test_a_film_of_a_frame_a_second_is_told_of(run, tmp_path):
    """Once on the screen; in JSON when it is known, and with the close."""
    path = write_video(tmp_path / "slow.mp4", images(22), rate=1)
    said = "slow.mp4 has 1 frame a second; the model was trained on 15: labels may be wrong; use a faster source"
    code, out, err = run("watch", path, "--json")
    assert (code, err) == (0, f"actionstream: {said}\n")
    predictions, news = lines(out)
    assert [(each["event"], each["reason"]) for each in news] == [("warning", said), ("close", None)]
    assert news[0]["time_seconds"] < 20
    assert news[1]["warnings"] == [said]
    assert [prediction["reset"] for prediction in predictions] == ["start", *["gap"] * 21]
    assert run("watch", path, "--max-frames", 4)[2] == f"actionstream: {said}\n"


def test_a_folder_that_is_called_a_number(run, tmp_path, monkeypatch):
    """As those of Jester are: by itself, and in a list."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "34").mkdir()
    for number, picture in enumerate(images(12), 1):
        Image.fromarray(picture).save(tmp_path / "34" / f"{number:05}.jpg")
    code, out, err = run("watch", "34", "--rate", 12, "--json")
    assert (code, err, len(lines(out)[0])) == (0, "", 12)
    code, _, err = run("label", "34")
    assert (code, err) == (0, "")
    assert (tmp_path / "34.json").is_file()


def test_pictures_that_differ_by_a_pixel_are_one_stream(run, tmp_path):
    for number in range(12):
        picture = Image.fromarray(images(1, number, 96 + number % 3, 128 - number % 2)[0])
        picture.save(tmp_path / f"{number}.png")
    code, out, err = run("watch", tmp_path, "--rate", 15, "--json")
    assert (code, err) == (0, "")
    predictions, _ = lines(out)
    assert [prediction["frames_since_reset"] for prediction in predictions] == list(range(1, 13))


def test_a_clip_whose_times_go_back(run):
    path = shared("data", "ut_interaction", "set1", "0_1_4.avi")
    code, out, err = run("watch", path, "--json")
    assert code == 0
    assert err == "actionstream: 0_1_4.avi has presentation times that do not increase; " + (
        "frames are timed by index / 30\n"
    )
    predictions, _ = lines(out)
    assert len(predictions) == 54
    assert predictions[-1]["frames_since_reset"] == 54


def test_the_sample_is_labelled_right(run):
    """Each movement of the timeline is found while it is made, and nothing else is for long."""
    code, out, err = run("watch", "sample", "--json")
    assert (code, err) == (0, "")
    _, events = lines(out)
    starts = [e for e in events if e["event"] == "start"]
    ends = [e for e in events if e["event"] == "end"]
    found = [(s["label"], s["time_seconds"], e["time_seconds"]) for s, e in zip(starts, ends, strict=True)]
    for index, movement in enumerate(TIMELINE):
        begin, end = index * SECONDS, (index + 1) * SECONDS
        inside = {
            name: sum(max(0.0, min(b, end) - max(a, begin)) for label, a, b in found if label == name)
            for name in {label for label, _, _ in found}
        }
        assert max(inside, key=inside.get) == movement, (movement, inside)
        assert inside[movement] > SECONDS / 2


def test_events_and_predictions_in_python():
    predictions = list(watch(SAMPLE, max_frames=90, threshold=0.5))
    assert len(predictions) == 45
    labels = [event.label for prediction in predictions for event in prediction.events]
    assert "still" in labels
    assert predictions[30].label == "still"
    assert predictions[30].score == pytest.approx(float(predictions[30].smoothed.max()))


def test_the_terminal_in_a_pipe_tells_segments(run):
    code, out, err = run("watch", "sample", "--max-frames", 120)
    assert (code, err) == (0, "")
    assert "still" in out
    assert "120 frames, 60 labelled" in out
    assert "0 dropped" in out


def test_a_real_terminal_is_updated_in_place():
    code, text = on_a_terminal([COMMAND, "watch", "sample", "--max-frames", "60"], columns=100)
    assert code == 0
    assert "sample.mp4" in text
    assert "frames/s" in text
    assert "\x1b[" in text
    assert "60 frames, 30 labelled" in text


def test_what_is_shown_while_it_warms_up():
    """On a terminal, alone and beside others, and in the picture: no label, and no bars."""
    first, *_, last = watch(SAMPLE, max_frames=40)
    assert (first.warming_up, last.warming_up) == (True, False)
    picture = np.full((240, 320, 3), 200, np.uint8)
    frame = Frame(stream="s", index=0, time_seconds=0.0, picture=picture)
    before, warming, warm = (Overlay(top=3, threshold=0.0)(frame, each) != picture for each in (None, first, last))
    assert not before.any()
    assert warming[:20].any()
    assert not warming[20:].any()
    assert warm[20:].any()
    for arguments in (["sample"], ["sample", "sample"]):
        command = [COMMAND, "watch", *arguments, "--realtime", "--max-frames", "40"]
        assert "warming up" in on_a_terminal(command)[1]


def test_saved_video(run, tmp_path):
    path = tmp_path / "out.mp4"
    code, _, err = run("watch", "sample", "--max-frames", 60, "--save", path, "--json")
    assert (code, err) == (0, "")
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 60
    assert [frame.time for frame in frames] == pytest.approx([n / 30 for n in range(60)], abs=2e-3)
    source = next(iter(open_source("sample"))).image
    last = frames[-1].to_ndarray(format="rgb24")
    assert last.shape[1] >= 320
    assert np.abs(last[:100, :100].astype(int) - last[-100:, -100:]).mean() > 10
    assert source.shape == (288, 288, 3)


def test_images(run, tmp_path):
    for n, picture in enumerate(images(12)):
        Image.fromarray(picture).save(tmp_path / f"{n:03d}.jpg")
    code, out, _ = run("watch", tmp_path, "--json", "--rate", 30)
    assert code == 0
    assert [p["frame"] for p in lines(out)[0]] == [0, 2, 4, 6, 8, 10]


def test_a_camera(run, tmp_path, monkeypatch):
    """A webcam whose device is a file that OpenCV reads at the camera's speed; another process has it."""
    path = write_video(tmp_path / "camera.mp4", images(40))
    (tmp_path / "sitecustomize.py").write_text(
        f"""
import sys, time
if "-m" in sys.orig_argv and "actionstream.sources.fork_server" in sys.orig_argv:
    import cv2
    Real = cv2.VideoCapture
    class Camera:
        def __init__(self):
            self.capture = Real()
        def open(self, number):
            assert number == 0
            return self.capture.open({str(path)!r})
        def read(self):
            time.sleep(1 / 30)
            there, image = self.capture.read()
            if not there:  # a camera does not end
                self.capture.open({str(path)!r})
                there, image = self.capture.read()
            return there, image
        def __getattr__(self, name):
            return getattr(self.capture, name)
    cv2.VideoCapture = Camera
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    code, out, err = run("watch", "0", "--json", "--max-frames", 50)
    assert (code, err) == (0, "")
    predictions, events = lines(out)
    assert predictions[0]["stream"] == "camera 0"
    assert len(predictions) > 10
    assert [event["event"] for event in events if "label" not in event] == ["connect", "close"]


def test_a_folder_with_a_bad_rate_and_other_bad_input(run, tmp_path, checkpoint):
    text = tmp_path / "text.mp4"
    text.write_text("no video" * 100)
    (tmp_path / "empty").mkdir()
    (tmp_path / "picture.png").touch()
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"0" * 100)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.fromarray(images(1)[0]).save(pictures / "0.png")
    for arguments, words in [
        (["absent.mp4"], "no such file: absent.mp4; a source is"),
        ([text], "is not a video that can be read"),
        ([tmp_path / "empty"], "has no images in it"),
        ([tmp_path / "picture.png"], "picture.png is not an image that can be read"),
        (["97"], "camera 97 cannot be opened"),
        (["99999999999"], "camera 99999999999 cannot be opened"),
        (["sample", "--model", "resnet"], "no model 'resnet': give the path of a checkpoint, or a name"),
        (["sample", "--model", foreign], "cannot be read as a safetensors file"),
        (["sample", "--threshold", "nan"], "--threshold is 'nan'; expected a number from 0 to 1"),
        (["sample", "--threshold", "2"], "--threshold is '2'; expected a number from 0 to 1"),
        (["sample", "--save", tmp_path / "no" / "out.mp4"], "out.mp4 cannot be written"),
        (["sample", "--save", tmp_path / "out.xyz"], "out.xyz cannot be written"),
        ([pictures, "--rate", "nan"], "the rate of images is nan a second"),
    ]:
        code, out, err = run("watch", *arguments)
        assert code == 2, arguments
        assert words in err
        assert err.count("\n") == 1, err
        assert err.startswith("actionstream: ")
        assert out == ""
    film = write_video(tmp_path / "film.mp4", images(3))
    before = film.read_bytes()
    code, _, err = run("watch", film, "--save", film)
    assert (code, "film.mp4 exists; give another name" in err, film.read_bytes() == before) == (2, True, True)
    assert not (tmp_path / "out.xyz").exists()
    if not torch.cuda.is_available():
        code, _, err = run("watch", "sample", "--device", "cuda")
        assert (code, err.count("\n")) == (2, 1)


def test_a_truncated_video_is_labelled_as_far_as_it_goes(run, tmp_path):
    whole = write_video(tmp_path / "whole.mkv", images(60))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    code, out, err = run("watch", cut, "--json")
    assert code == 1
    assert len(lines(out)[0]) > 5
    assert err.splitlines()[-1].startswith("actionstream: cut.mkv is cut short")


def test_a_full_disk(run, tmp_path, monkeypatch):

    def full(self, update):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("actionstream.sinks.VideoFile.push", full)
    code, out, err = run("watch", "sample", "--save", tmp_path / "out.mp4", "--json")
    assert (code, err) == (1, "actionstream: sample.mp4: No space left on device\n")
    assert len(lines(out)[0]) == 330, "the labels go on"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("room", [1000, 200_000])
def test_a_disk_that_is_full_in_the_middle(tmp_path, suffix, room):
    """Files may not get larger than the room: the labels go on, and what fits of the video plays."""
    command = [COMMAND, "watch", "sample", "--save", tmp_path / f"out{suffix}", "--json"]
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, room))
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 1
    assert f"actionstream: sample.mp4: {tmp_path}/out{suffix} cannot be written: File too large" in done.stderr
    assert len(lines(done.stdout)[0]) == 330
    assert len(list(tmp_path.iterdir())) == (room > 1000)
    for part in tmp_path.iterdir():
        assert f"; what was written is {part}\n" in done.stderr
        assert num_pictures(part) > 30


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_what_is_saved_plays_after_a_signal(tmp_path, suffix, number):
    command = [COMMAND, "watch", "sample", "--save", tmp_path / f"out{suffix}", "--json", "--realtime"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        labelled = 0
        for line in process.stdout:
            labelled += "labels" in line
            if labelled == 60:
                process.send_signal(number)
                break
    (path,) = tmp_path.iterdir()
    assert path.name == f"out{suffix}" if number != signal.SIGKILL else f"out.{process.pid}.partial{suffix}"
    assert num_pictures(path) > 60


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_though_its_reader_stalls(number):
    """A pipe that nobody reads is full after some 60 kB: the program ends soon after a signal, not when it is read."""
    with subprocess.Popen([COMMAND, "watch", "sample", "--json"], stdout=subprocess.PIPE) as process:
        waiting = 0
        while waiting < 57_000:
            time.sleep(0.05)
            (waiting,) = struct.unpack("i", fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4)))
        process.send_signal(number)
        assert process.wait(5) == 128 + number


def num_pictures(path):
    with closing(Decoder(str(path), name=path.name)) as decoder:
        return len(list(decoder.timed()))


def test_a_saved_video_is_whole_or_not_there(tmp_path):
    """Each frame goes to another name, until the end."""
    path = tmp_path / "out.mp4"
    file = VideoFile(path, None)
    for n, picture in enumerate(images(8)):
        file.push(Update(stream="a", frame=Frame(stream="a", index=n, time_seconds=n / 30, picture=picture)))
        assert not path.exists()
    file.close()
    assert [each.name for each in tmp_path.iterdir()] == ["out.mp4"]
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == 8
    whole = path.read_bytes()
    with pytest.raises(ValueError, match=r"out.mp4 exists; give another name"):
        VideoFile(path, None)
    path.rename(tmp_path / "whole.mp4")
    empty = VideoFile(path, None)
    empty.close()
    half = VideoFile(path, None)
    half.push(Update(stream="a", frame=Frame(stream="a", index=0, time_seconds=0.0, picture=picture)))
    half.discard()
    half.close()
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [whole]
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(ValueError, match=r"a.mp4 cannot be written: it is a folder"):
        VideoFile(tmp_path / "a.mp4", None)


def test_a_file_that_came_while_a_video_was_written_stays(tmp_path):
    file = VideoFile(tmp_path / "out.mp4", None)
    for n, picture in enumerate(images(8)):
        file.push(Update(stream="a", frame=Frame(stream="a", index=n, time_seconds=n / 30, picture=picture)))
    (tmp_path / "out.mp4").write_bytes(b"somebody else's")
    partial = tmp_path / f"out.{os.getpid()}.partial.mp4"
    with pytest.raises(OSError, match=r"out.mp4 cannot be written: File exists; what was written is .*partial.mp4"):
        file.close()
    assert (tmp_path / "out.mp4").read_bytes() == b"somebody else's"
    assert num_pictures(partial) == 8


def test_help_is_quick_to_import():
    """The help text needs neither torch nor PyAV nor OpenCV."""
    program = (
        "import sys, actionstream.cli.main; print([m for m in ('torch', 'av', 'cv2', 'gradio') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_cleanly(tmp_path, number, code):
    saved = tmp_path / "out.mp4"
    process = subprocess.Popen(
        [COMMAND, "watch", "sample", "--realtime", "--json", "--save", saved], stdout=subprocess.PIPE, text=True
    )
    begun = "".join(process.stdout.readline() for _ in range(8))
    process.send_signal(number)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(20) == code
    assert (begun + rest).endswith("\n")
    predictions, _ = lines(begun + rest)
    assert len(predictions) >= 7
    with av.open(str(saved)) as container:
        assert len(list(container.decode(video=0))) > 10


def test_a_video_that_was_there_is_kept_when_nothing_came(run, tmp_path):
    kept = write_video(tmp_path / "kept.mp4", images(3))
    before = kept.read_bytes()
    code, _, _ = run("watch", "97", "--save", kept)
    assert (code, kept.read_bytes() == before) == (2, True)
    code, _, _ = run("watch", "97", "--save", tmp_path / "new.mp4")
    assert (code, (tmp_path / "new.mp4").exists()) == (2, False)


def test_a_signal_while_nobody_reads_the_output():
    """The last lines fit into no pipe; a second signal, after a while, is not in vain."""
    read, write = os.pipe()
    process = subprocess.Popen([COMMAND, "watch", "sample", "sample", "sample", "--json"], stdout=write)
    os.close(write)
    time.sleep(6)  # by then the pipe is full
    process.send_signal(signal.SIGTERM)
    time.sleep(2.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143
    os.close(read)


def test_a_reader_that_leaves(tmp_path):
    process = subprocess.Popen(
        [COMMAND, "watch", "sample", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
    with process.stderr:
        assert process.stderr.read() == ""


def as_y4m(path):
    """The sample as raw pictures, as other programs pipe them."""
    with av.open(str(SAMPLE)) as source, av.open(str(path), "w", format="yuv4mpegpipe") as container:
        stream = container.add_stream("wrapped_avframe", rate=30)
        stream.width, stream.height, stream.pix_fmt = 288, 288, "yuv420p"
        for index, frame in enumerate(source.decode(video=0)):
            if index == 24:
                break
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("container", ["mp4", "y4m"])
def test_standard_input_of_a_pipe(container, tmp_path):
    path = SAMPLE if container == "mp4" else as_y4m(tmp_path / "sample.y4m")
    with path.open("rb") as clip:
        cat = subprocess.Popen(["cat"], stdin=clip, stdout=subprocess.PIPE)
        command = [COMMAND, "watch", "-", "--json", "--max-frames", "20"]
        result = subprocess.run(command, stdin=cat.stdout, capture_output=True, text=True, check=False)
        cat.stdout.close()
        cat.wait()
    assert (result.returncode, result.stderr) == (0, "")
    assert [p["stream"] for p in lines(result.stdout)[0]] == ["stdin"] * 10


@pytest.mark.parametrize("seconds", [1, 2, 3, 6])
def test_a_signal_while_a_pipe_is_silent(seconds):
    """Whatever it is busy with by then: importing, opening, waiting for the first byte."""
    read, write = os.pipe()
    process = subprocess.Popen([COMMAND, "watch", "-", "--json"], stdin=read, stderr=subprocess.PIPE, text=True)
    os.close(read)
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    try:
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        os.close(write)
    assert (process.returncode, err) == (143, "")


def test_a_live_pipe_is_labelled_as_it_comes(tmp_path):
    """Frames of a pipe that goes on are labelled before its end, without waiting for a block to fill."""
    data = as_y4m(tmp_path / "sample.y4m").read_bytes()
    process = subprocess.Popen(
        [COMMAND, "watch", "-", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdin.write(data[: len(data) * 10 // 24])
    process.stdin.flush()
    first = process.stdout.readline()
    process.stdin.write(data[len(data) * 10 // 24 :])
    process.stdin.close()
    rest = process.stdout.read()
    with process.stdout, process.stderr:
        assert (process.wait(30), process.stderr.read()) == (0, b"")
    assert len(lines((first + rest).decode())[0]) == 12


@pytest.fixture
def display():
    """A screen without a monitor."""
    if shutil.which("Xvfb") is None or shutil.which("xwininfo") is None:
        missing("Xvfb or xwininfo (Debian packages xvfb and x11-utils)")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24"], pass_fds=[write], stderr=subprocess.DEVNULL
    )
    os.close(write)
    with os.fdopen(read) as file:
        number = file.readline().strip()
    yield f":{number}"
    server.kill()
    server.wait()


def test_window(display):
    environment = {**os.environ, "DISPLAY": display}
    process = subprocess.Popen(
        [COMMAND, "watch", "sample", "--show", "--realtime", "--json", "--max-frames", "150"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        process.stdout.readline()
        time.sleep(1.0)
        windows = subprocess.check_output(["xwininfo", "-root", "-tree"], env=environment, text=True)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert '"sample"' in windows
    assert process.returncode == 0
    assert len(lines(out)[0]) > 50


def test_window_without_a_desktop(run, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    code, _, err = run("watch", "sample", "--show")
    assert code == 2
    assert "--show needs a desktop" in err
