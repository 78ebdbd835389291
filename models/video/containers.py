"""The one place that opens files and streams; it limits what FFmpeg may read and what it may open from there.

FFmpeg detects the format by content, not by name: a file that begins as a playlist, a list of files, or the description
of a network stream makes FFmpeg open what it names.
"""

from __future__ import annotations

import math
import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from actionstream.models.video.errors import SourceError, reason
from actionstream.models.video.limits import check_size, max_pixels_of_ffmpeg

if TYPE_CHECKING:
    import av

Opened = TypeVar("Opened")
Trust = Literal["file", "upload", "address", "relay"]
"""Where a video comes from: a file of the user, a file from a stranger, an address from the user, or an address from a
stranger, which is read through a relay (`actionstream.sources.relay`)."""

LISTS = {
    *("concat", "dash", "hls", "imf", "image2", "lavfi", "rtsp", "sap", "sdp", "tty", "vobsub", "webm_dash_manifest"),
}
"""Formats that are no video by themselves but name other files or addresses, or show any text as pictures."""
UPLOADS = (
    *("mov", "matroska", "avi", "asf", "flv", "mpeg", "mpegts", "mxf", "nut", "ogg", "rm", "dv"),
    *("gif", "ivf", "h264", "hevc", "m4v", "mpegvideo", "yuv4mpegpipe"),
)
"""Formats that a stranger's file may have: the usual containers of video, which are self-contained."""
NETWORK_PROTOCOLS = (
    *("crypto", "data", "ffrtmpcrypt", "ffrtmphttp", "http", "httpproxy", "https", "rtmp", "rtmpe", "rtmps", "rtmpt"),
    *("rtmpte", "rtmpts", "rtp", "srt", "srtp", "tcp", "tls", "udp", "udplite"),
)
"""Protocols that an address may lead to: never a file of this machine."""
RELAYED = ("rtsp", "mpjpeg", "mjpeg")
"""Formats that a relay passes on, beside those of uploads."""


def open_container(file: Any, *, name: str, trust: Trust = "file", **options: Any) -> av.container.InputContainer:
    """Open a video with PyAV.

    file     a path, an address, or an object with `read`
    name     what messages call it
    trust    where it comes from, see Trust
    options  those of av.open

    SourceError where it cannot be opened, or has pictures that are too large; its __cause__ is FFmpeg's error.
    """
    if _is_path(file, trust) and _tells_tracks_late(file):
        check_size(name, *size_in_header(file, name=name, trust=trust))
    return _open(file, name, trust, **options)


def size_in_header(file: Any, *, name: str, trust: Trust) -> tuple[int, int]:
    """Width and height of the pictures of a file from its header, without decoding; 0, 0 where the header has none."""
    if not _is_path(file, trust):
        return 0, 0
    with _open(file, name, trust, options={"codec_whitelist": "none"}) as container:
        contexts = (track.codec_context for track in container.streams.video)
        sizes = ((context.width, context.height) for context in contexts if context is not None)
        return max(sizes, default=(0, 0), key=math.prod)


def _open(file: Any, name: str, trust: Trust, **options: Any) -> av.container.InputContainer:
    import av

    limits = {"max_pixels": max_pixels_of_ffmpeg()}  # for pictures that FFmpeg decodes while it probes the file
    if trust == "address":
        limits["protocol_whitelist"] = ",".join(NETWORK_PROTOCOLS)
    elif trust == "relay":
        limits["protocol_whitelist"] = "http,tcp"  # not udp: the server chooses the address that packets come from
        limits["format_whitelist"] = ",".join((*UPLOADS, *RELAYED))
    else:
        limits["protocol_whitelist"] = "file"
        limits["format_whitelist"] = ",".join(UPLOADS) if trust == "upload" else _formats_of_files()
    if _is_path(file, trust):
        check_file(Path(file))
        file = f"file:{os.fspath(file)}"
    options["options"] = {**options.get("options", {}), **limits}
    try:
        return _interruptibly(lambda: av.open(file, "r", metadata_errors="replace", **options))
    except MemoryError:  # PyAV's one is an FFmpegError, too
        raise
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{name} is not a video that can be read: {_why(file, error)}") from error


def _interruptibly(wait: Callable[[], Opened]) -> Opened:
    """What `wait` returns; in the main thread, signals are handled meanwhile.

    A read may block forever (on a dead server), and Python handles no signals while its main thread is in a library.
    """
    if threading.current_thread() is not threading.main_thread():
        return wait()
    future: Future[Opened] = Future()

    def run() -> None:
        try:
            future.set_result(wait())
        except BaseException as error:  # noqa: BLE001  it is raised below
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result()


def _is_path(file: Any, trust: Trust) -> bool:
    return trust in ("file", "upload") and isinstance(file, str | os.PathLike)


def _tells_tracks_late(path: str | os.PathLike[str]) -> bool:
    """Whether FFmpeg decodes pictures to find tracks before `max_pixels` applies: in FLV and MPEG program streams."""
    check_file(Path(path))
    with suppress(OSError), open(path, "rb") as file:
        return file.read(4).startswith((b"FLV", b"\0\0\1\xba"))
    return False


def check_file(path: Path) -> None:
    """Raise SourceError for a pipe, a device or a socket: reading it may block forever."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # opening it will give the error
    for kind, is_kind in (
        ("pipe", stat.S_ISFIFO),
        ("socket", stat.S_ISSOCK),
        ("device", lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode)),
    ):
        if is_kind(mode):
            remedy = "; `actionstream watch` reads pipes" if kind == "pipe" else ""
            raise SourceError(f"{path} is a {kind}; expected a file{remedy}")


@cache
def _formats_of_files() -> str:
    import av

    return ",".join(sorted({name for each in av.formats_available for name in each.split(",")} - LISTS))


def _why(file: Any, error: Exception) -> str:
    """Why a file cannot be opened."""
    import av

    path = Path(str(file).removeprefix("file:"))
    if isinstance(file, str) and path.is_file():
        if isinstance(error, av.error.ArgumentError):  # the format is not among those that are allowed
            return "it is no video but a playlist, a list of files, the description of a stream or a text"
        with path.open("rb") as opened:
            head = opened.read(12)
        if not head:
            return "it is empty"
        if head[4:8] == b"ftyp":  # an MP4 or MOV, whose index is written last
            return "its index is missing; it is not finished, or cut"
    return reason(error).lower()
