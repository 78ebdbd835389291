"""Real servers for the tests: RTSP by GStreamer, HTTP by the standard library."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
from helpers import freeze, missing

SYSTEM_PYTHON = "/usr/bin/python3"
PROGRAM = Path(__file__).with_name("rtsp_server.py")
NEEDED = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst; Gst.init(None); "
    "assert all(map(Gst.ElementFactory.find, ['x264enc', 'rtph264pay', 'h264parse', 'avdec_h264']))"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ball(width: int = 160, height: int = 120, rate: int = 30) -> str:
    """A pipeline of a ball that flies about, as a camera would send it."""
    return (
        f"videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height},framerate={rate}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={rate // 2} ! rtph264pay name=pay0 pt=96"
    )


def film(path: Path) -> str:
    """A pipeline that plays a file once, from its begin."""
    return (
        f"filesrc location={path} ! qtdemux ! h264parse ! avdec_h264 "
        "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 bitrate=4000 ! rtph264pay name=pay0 pt=96"
    )


def as_it_is(path: Path) -> str:
    """A pipeline that sends the H.264 of an MP4 as it is."""
    return f"filesrc location={path} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96"


class RtspServer:
    """GStreamer's RTSP server in a process of its own, that can be killed, stopped and started again.

    mounts  pipelines by their names; a change counts from the next start
    """

    def __init__(self, mounts: dict[str, str], login: str | None = None):
        found = subprocess.run([SYSTEM_PYTHON, "-c", NEEDED], capture_output=True, check=False)
        if found.returncode:
            missing("GStreamer's RTSP server for the system's Python (the gstreamer packages of .ci/packages.txt)")
        self.port = free_port()
        self.mounts = mounts
        self._login = ["--login", login] if login else []
        self.start()

    def address(self, name: str, login: str = "") -> str:
        return f"rtsp://{login + '@' if login else ''}127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        mounts = [f"/{name}={launch}" for name, launch in self.mounts.items()]
        command = [SYSTEM_PYTHON, str(PROGRAM), str(self.port), *mounts, *self._login]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def stop(self) -> None:
        """It keeps its connections, and says nothing."""
        freeze(self._process.pid)

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)


@contextmanager
def rtsp_server(mounts: dict[str, str], login: str | None = None) -> Iterator[RtspServer]:
    server = RtspServer(mounts, login)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def redis_server() -> Iterator[str]:
    """Redis that keeps all in memory, as HOST:PORT."""
    if shutil.which("redis-server") is None:
        missing("Redis (the package redis-server)")
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert any("Ready to accept connections" in line for line in process.stdout)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def http_server(folder: Path, handler: type[SimpleHTTPRequestHandler] = _Files) -> Iterator[str]:
    """The files of a folder at the address that it gives."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class MotionJpeg(_Files):
    """Any path is the same endless row of the folder's pictures, 20 a second, as cameras send them."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        pictures = [path.read_bytes() for path in sorted(Path(self.directory).glob("*.jpg"))]
        try:
            while True:
                for data in pictures:
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    self.wfile.write(head.encode() + data + b"\r\n")
                    time.sleep(0.05)
        except OSError:  # the other side has gone
            pass


class Paced(_Files):
    """/1.5/film.ts is the MPEG-TS of that name without a length, each second of it sent in 1.5 seconds."""

    def do_GET(self) -> None:
        _, pace, name = self.path.split("/")
        path = Path(self.directory) / name
        with av.open(str(path)) as film:
            packets = [packet for packet in film.demux(video=0) if packet.dts is not None]
        data, begun = path.read_bytes(), time.perf_counter()
        self.send_response(200)
        self.end_headers()
        ends = [*(packet.pos for packet in packets[1:]), len(data)]
        try:
            for packet, begin, end in zip(packets, [0, *ends], ends, strict=False):
                due = float((packet.dts - packets[0].dts) * packet.time_base) * float(pace)
                time.sleep(max(begun + due - time.perf_counter(), 0))
                self.wfile.write(data[begin:end])
        except OSError:  # the other side has gone
            pass


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield listening.getsockname()[1]
