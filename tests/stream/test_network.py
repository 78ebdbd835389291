"""Addresses, against real servers: RTSP by GStreamer, HTTP, HLS, MJPEG and UDP."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from helpers import freeze, images, write_video
from odd_videos import encode
from PIL import Image
from servers import MotionJpeg, Paced, ball, film, free_port, http_server, rtsp_server, silent_server

from actionstream import Connection, SourceError, open_source, watch
from actionstream.models.preprocessing import Preprocessing
from actionstream.sources import SAMPLE, process
from actionstream.sources.network import Delay
from actionstream.sources.process import ProcessSource

pytestmark = pytest.mark.waits

COMMAND = Path(sys.executable).with_name("actionstream")
ONCE = Connection(retries=0)


def words_of_failure(address, **connection):
    with pytest.raises(SourceError) as failure:
        list(open_source(address, connection=Connection(**connection)))
    return str(failure.value)


def test_rtsp_gives_the_frames_of_the_camera():
    with rtsp_server({"cam": ball(width=160, height=120, rate=20)}) as server:
        source = open_source(server.address("cam"))
        frames = list(islice(source, 30))
    assert (source.live, source.rate, source.lost.total()) == (True, 20, 0)
    assert [frame.index for frame in frames] == list(range(30))
    assert np.diff([frame.time_seconds for frame in frames]) == pytest.approx([0.05] * 29, abs=1e-3)
    assert {frame.image.shape for frame in frames} == {(120, 160, 3)}
    assert frames[-1].image.max() > 200  # the ball


def test_rtsp_over_udp():
    with rtsp_server({"cam": ball()}) as server:
        source = open_source(server.address("cam"), connection=Connection(transport="udp"))
        assert len(list(islice(source, 30))) == 30


def test_rtsp_labels_are_right():
    """A film that a server plays is labelled like the file, and the first label comes soon."""
    with rtsp_server({"film": film(SAMPLE)}) as server:
        predictions = list(watch(server.address("film"), max_frames=260, connection=ONCE))
    assert predictions[0].latency_ms < 2000
    for time_seconds, label in [(3.5, "right"), (5.5, "left"), (7.5, "down")]:
        nearest = min(predictions, key=lambda p: abs(p.time_seconds - time_seconds))
        assert nearest.label == label


def test_the_end_of_a_live_stream_is_a_disconnect():
    with rtsp_server({"film": film(SAMPLE)}) as server:
        source = open_source(server.address("film"), connection=ONCE)
        frames = iter(source)
        next(frames)
        server.kill()
        with pytest.raises(SourceError, match=r"/film has ended$"):
            list(frames)
        server.start()


def test_what_a_server_refuses(tmp_path):
    with rtsp_server({"cam": ball()}, login="me:secret") as server, silent_server() as silent:
        where = f"rtsp://127.0.0.1:{server.port}"
        for login, name, words in [
            ("me:secret", "other", "/other cannot be opened: server returned 404 not found"),
            ("me:wrong", "cam", "/cam refused the user name or password (401)"),
            ("", "cam", "/cam refused the user name or password (401)"),
        ]:
            assert words_of_failure(server.address(name, login)) == where + words
        nobody = free_port()
        address = f"rtsp://me:secret@127.0.0.1:{nobody}/cam"
        assert words_of_failure(address) == f"rtsp://127.0.0.1:{nobody}/cam cannot be opened: connection refused"
        address = f"rtsp://me:secret@127.0.0.1:{silent}/cam"
        words = f"rtsp://127.0.0.1:{silent}/cam cannot be opened: no answer for 1 s"
        assert words_of_failure(address, open_seconds=1) == words
        assert len(list(islice(open_source(server.address("cam", "me:secret")), 3))) == 3


@pytest.mark.parametrize("address", ["rtsp://me:secret@nowhere.invalid/x", "http://nowhere.invalid:81/a.ts"])
def test_a_host_that_is_not_found(address):
    words = words_of_failure(address, retries=0)
    assert words.endswith("cannot be opened: no host nowhere.invalid is found")


@pytest.mark.parametrize("target", ["file:///etc/hostname", "concat:/etc/hostname"])
def test_a_playlist_on_a_server_reaches_no_file_here(tmp_path, target):
    secret = encode(tmp_path / "secret.ts", images(10))
    target = target.replace("/etc/hostname", str(secret))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(playlist)
    (tmp_path / "list.ffconcat").write_text(f"ffconcat version 1.0\nfile {target}\n")
    with http_server(tmp_path) as address:
        for name in ("list.m3u8", "list.ffconcat"):
            with pytest.raises(SourceError):
                next(iter(open_source(f"{address}/{name}", connection=ONCE)))


class ToAFile(SimpleHTTPRequestHandler):
    """Sends everybody on to a file of the machine that asks."""

    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", f"file://{SAMPLE}")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_redirect_reaches_no_file_here(tmp_path):
    with http_server(tmp_path, ToAFile) as address, pytest.raises(SourceError, match="cannot be opened"):
        next(iter(open_source(f"{address}/film.mp4", connection=ONCE)))


def test_a_reader_that_hangs_is_killed(monkeypatch):
    """The watchdog does not need the help of the library: here it sleeps like a name server that is gone."""
    source = ProcessSource("camera", partial(time.sleep, 100), Connection(open_seconds=0.5))
    pids, close = [], process._Reader.close
    monkeypatch.setattr(process._Reader, "close", lambda reader: (pids.append(reader.pid), close(reader)))
    with pytest.raises(SourceError, match=r"camera does not answer: no frame for 0.5 s"):
        list(source)
    assert len(pids) == 1
    assert not Path(f"/proc/{pids[0]}").exists()


@pytest.mark.parametrize("when", ["before the picture", "before the next frame"])
def test_a_reader_that_halts(when):
    """Whatever it was doing: it is frozen, as by a driver."""
    with rtsp_server({"cam": ball()}) as server:
        source = open_source(server.address("cam"), connection=Connection(stall_seconds=0.5))
        source.with_images = False
        frames = iter(source)
        frame = next(frames)
        pid = source._reader.pid
        freeze(pid)
        with pytest.raises(SourceError, match=r"stalled: no frame for 0.5 s|has ended, and its pictures are gone"):
            assert frame.image if when == "before the picture" else list(frames)
        frames.close()
        assert not Path(f"/proc/{pid}").exists()


def test_a_reader_that_dies_is_told():
    with rtsp_server({"cam": ball()}) as server:
        source = open_source(server.address("cam"))
        frames = iter(source)
        next(frames)
        os.kill(source._reader.pid, signal.SIGKILL)
        with pytest.raises(SourceError, match="its reader died with exit code -9"):
            list(frames)


def test_readers_go_on_when_their_server_is_killed():
    """The kernel takes them with it, and the next connection has a new server."""
    with rtsp_server({"cam": ball()}) as server:
        source = open_source(server.address("cam"))
        frames = iter(source)
        next(frames)
        os.kill(process._current._process.pid, signal.SIGKILL)
        with pytest.raises(SourceError, match="its reader died"):
            list(frames)
        assert next(iter(open_source(server.address("cam")))).image.shape == (120, 160, 3)


def test_pictures_are_there_for_a_short_time():
    """The reader keeps the last ones; the images of all frames are there where they are asked for."""
    with rtsp_server({"cam": ball()}) as server:
        source = open_source(server.address("cam"))
        source.with_images = False
        frames = list(islice(source, 12))
        with pytest.raises(SourceError, match="has ended, and its pictures are gone with it"):
            _ = frames[-1].image
        source = open_source(server.address("cam"))
        source.with_images = False
        going_on = iter(source)
        frames = list(islice(going_on, 12))
        wanted = Preprocessing(height=32, width=32)
        small = wanted.resize(frames[-1].picture)
        assert np.abs(wanted.resize(frames[-1].image).astype(int) - small).mean() < 1.5
        assert frames[-5].image.shape == (120, 160, 3)
        with pytest.raises(SourceError, match=r"the picture of frame 0 of .* is gone; ask for it sooner"):
            _ = frames[0].image
        going_on.close()
        assert frames[-1].image is frames[-1].image
        late = list(islice(open_source(server.address("cam")), 12))
        assert all(frame.image.any() for frame in late)
        assert np.array_equal(wanted.resize(late[0].picture), wanted.resize(late[0].image))


def test_a_reader_leaves_with_who_started_it():
    """Killed without a chance to clean up, the program leaves no reader behind, not even one that hangs."""

    def child(pid):
        for _ in range(1000):
            if found := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                return found[0]
            time.sleep(0.01)
        return pytest.fail(f"{pid} has no child")

    with silent_server() as port:
        program = f"from actionstream import open_source; list(open_source('rtsp://127.0.0.1:{port}/x'))"
        parent = subprocess.Popen([sys.executable, "-c", program])
        server = child(parent.pid)
        reader = child(server)
        time.sleep(1)
        parent.kill()
        parent.wait()
        for _ in range(1000):
            if not any(Path(f"/proc/{pid}").exists() for pid in (server, reader)):
                return
            time.sleep(0.01)
    pytest.fail("the reader is still there")


def test_credentials_are_shown_nowhere():
    with rtsp_server({"cam": ball()}, login="me:secret") as server:
        for login, code, options in [("me:secret", 0, []), ("me:secret1", 2, ["--json"])]:
            command = [COMMAND, "watch", server.address("cam", login), "--retries", "0", "--max-frames", "20", *options]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            shown = set()
            while process.poll() is None:
                shown |= commands_of_children(process.pid)
                time.sleep(0.02)
            out, err = process.communicate()
            assert (process.returncode, "secret" in out + err) == (code, False)
            assert any("actionstream.sources.fork_server" in line for line in shown)
            assert not any("secret" in line for line in shown)


def commands_of_children(pid):
    """Their command lines; one that has been forked and is not what it will be yet has that of the process."""
    found = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            try:
                found.add(Path(f"/proc/{child}/cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found - {Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")}


def test_a_file_on_a_server_waits_and_loses_nothing(tmp_path):
    film = write_video(tmp_path / "film.mkv", images(90))
    (tmp_path / "cut.mkv").write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    write_video(tmp_path / "index_last.mp4", images(90))
    with http_server(tmp_path) as address:
        source = open_source(f"{address}/film.mkv")
        frames = list(source)
        assert (source.live, len(frames)) == (False, 90)
        assert [f.time_seconds for f in frames] == pytest.approx([n / 30 for n in range(90)], abs=2e-3)
        assert len(list(watch(f"{address}/film.mkv"))) == 45
        assert words_of_failure(f"{address}/other.mp4").endswith("cannot be opened: server returned 404 not found")
        assert f"{address}/cut.mkv is cut short" in words_of_failure(f"{address}/cut.mkv")
        assert "an MP4 made with faststart" in words_of_failure(f"{address}/index_last.mp4")


class Elsewhere(SimpleHTTPRequestHandler):
    """Sends everybody on from /away to /clip.mp4."""

    def do_GET(self):
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/clip.mp4")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


def test_redirects_are_followed(tmp_path):
    write_video(tmp_path / "clip.mp4", images(10))
    with http_server(tmp_path, Elsewhere) as address:
        assert len(list(open_source(f"{address}/away"))) == 10


def test_motion_jpeg_is_timed_by_arrival(tmp_path):
    for n, picture in enumerate(images(4)):
        Image.fromarray(picture).save(tmp_path / f"{n}.jpg")
    with http_server(tmp_path, MotionJpeg) as address:
        source = open_source(f"{address}/video.mjpg")
        frames = list(islice(source, 60))
    assert source.live
    later = [frame.time_seconds for frame in frames[30:]]  # the first ones came while FFmpeg looked at the stream
    assert np.diff(later).mean() == pytest.approx(0.05, rel=0.2)


def test_hls_is_played_at_its_speed(tmp_path):
    """A live playlist has no end; its segments come at once, and are shown one frame after the other."""
    playlist = tmp_path / "live.m3u8"
    options = {"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": str(tmp_path / "%d.ts"), "g": "15"}
    with av.open(str(playlist), "w", format="hls", options=options) as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "15", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in images(150):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST\n", ""))
    with http_server(tmp_path) as address:
        source = open_source(f"{address}/live.m3u8")
        frames = list(islice(source, 45))
    assert source.live
    available = np.array([frame.available for frame in frames])
    sent = np.array([frame.time_seconds for frame in frames])
    assert sent == pytest.approx(np.arange(45) / 30, abs=2e-3)
    assert available[-1] - available[0] >= sent[-1] - 0.01


def test_udp():
    address = f"udp://127.0.0.1:{free_port()}"
    done = threading.Event()

    def send():
        with av.open(f"{address}?pkt_size=1316", "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=30, options={"g": "10", "tune": "zerolatency"})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for picture in images(400):
                if done.is_set():
                    break
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
                time.sleep(1 / 60)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        source = open_source(address)
        frames = list(islice(source, 20))
    finally:
        done.set()
        sender.join()
    assert source.live
    times = [frame.time_seconds for frame in frames]
    assert all(later > earlier for earlier, later in pairwise(times))


def test_frames_of_a_decoder_that_falls_behind_are_passed_over(monkeypatch):
    """Decoding at half the camera's speed: the picture may not get older and older."""
    from actionstream.sources import network

    class Slow(network.PictureMaker):
        def __call__(self, decoded):
            time.sleep(1 / 15)
            return super().__call__(decoded)

    monkeypatch.setattr(network, "PictureMaker", Slow)
    monkeypatch.setattr(network, "LATE_SECONDS", 0.5)
    with rtsp_server({"cam": ball(rate=30)}) as server:
        source = network.NetworkSource(server.address("cam"), ONCE)
        late = []
        for frame in source:
            late.append(frame.available - frame.time_seconds)
            if frame.time_seconds > 5:
                break
    assert source.lost["late"] > 20
    assert max(late) - min(late) < 1.5  # without, it would be half of the five seconds


def test_delay():
    delay = Delay()
    assert [delay(now, now - 100, 0) for now in (100.0, 101.0, 102.0)] == [0, 0, 0]
    assert delay(105.0, 3.0, 0) == pytest.approx(2.0, abs=0.01)  # two seconds later than usual
    assert delay(106.0, 5.5, 0) == pytest.approx(0.5, abs=0.01)
    assert delay(107.0, 7.2, 0) == 0  # a new shortest way
    assert delay(108.0, 1000.0, 0) == 0  # the sender's clock jumped
    assert delay(109.0, 0.0, 0) == 0
    for second in range(1, 10_000):  # a clock that is slow by 100 ppm is not late
        assert delay(109.0 + second, second * 0.9999, 0) < 0.01


@pytest.mark.parametrize("rate", [1, 30])
@pytest.mark.parametrize("pace", [0.5, 0.95, 1.05, 1.4])
def test_a_sender_that_is_slower_than_its_stamps_makes_nothing_late(rate, pace):
    delay = Delay()
    for number in range(100 * rate):
        assert delay(number / rate * pace, number / rate, 0.5 * pace / rate) < 0.2


def test_a_decoder_that_is_too_slow_is_late_whatever_it_waited_before():
    """It takes a tenth longer than it has, and the packets are all there."""
    delay = Delay()
    for number in range(300):
        assert delay(number / 30, number / 30, 0.02) == 0
    late = [delay(10 + number * 1.1 / 30, 10 + number / 30, 1e-4) for number in range(600)]
    assert late[-1] == pytest.approx(2.0, abs=0.1)


def test_what_comes_at_once_after_a_pause_is_late():
    delay = Delay()
    for number in range(300):
        delay(number / 30, number / 30, 0.02)
    assert delay(14.0, 10.0, 4.0) == pytest.approx(3.5, abs=0.02)


@pytest.mark.parametrize("pace", [0.7, 1.4])
def test_a_live_video_over_http_loses_nothing_whatever_its_pace(tmp_path, pace):
    """What is slower than its stamps was taken for a decoder that is behind: all was lost from the first second on."""
    encode(tmp_path / "film.ts", images(240), g="240", preset="ultrafast", bf="0")
    with http_server(tmp_path, Paced) as address:
        source = open_source(f"{address}/{pace}/film.ts", connection=ONCE)
        frames = iter(source)
        assert [frame.index for frame in islice(frames, 240)] == list(range(240))
        with pytest.raises(SourceError, match=r"film.ts (has ended|broke off)"):
            next(frames)
    assert (source.live, source.lost.total()) == (True, 0)


def test_json_lines_of_an_address():
    with rtsp_server({"cam": ball()}) as server:
        command = [COMMAND, "watch", server.address("cam"), "--json", "--max-frames", "60"]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        values = [json.loads(line) for line in result.stdout.splitlines()]
    assert values[0]["event"] == "connect"
    assert {value["stream"] for value in values} == {server.address("cam")}
    close = values[-1]
    labelled = [value for value in values if "labels" in value]
    assert (close["event"], close["reason"], close["labelled"]) == ("close", None, len(labelled))
    assert close["received"] == close["labelled"] + sum(close["dropped"].values()) == 60
