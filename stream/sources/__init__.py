"""Sources of frames: video files, folders of images, standard input, cameras, networks."""

from __future__ import annotations

import glob
import os
from functools import partial
from pathlib import Path

from actionstream.models.common.extras import needs
from actionstream.models.video import (
    ANIMATED_SUFFIXES,
    FOLDER_RATE,
    PICTURE_SUFFIXES,
    check_file,
    is_animated,
    passed_over,
    pictures_in,
    rate_of_folder,
)
from actionstream.sources.address import SCHEMES, masked, mistyped, scheme
from actionstream.sources.camera import CameraSource, camera_name
from actionstream.sources.connection import Connection
from actionstream.sources.images import AnimationSource, ImageSource
from actionstream.sources.network import NetworkSource
from actionstream.sources.process import ProcessSource
from actionstream.sources.source import Source, SourceError
from actionstream.sources.video import FileSource, PipeSource

__all__ = ["SAMPLE", "Source", "SourceError", "open_address", "open_source"]

SAMPLE = Path(__file__).parents[1] / "assets" / "sample.mp4"
"""The clip in the package: a hand in several movements."""


def open_source(text: str | int | Path, *, rate: float | None = None, connection: Connection | None = None) -> Source:
    """Open the source that a text names.

    text        a number (camera), an address (rtsp://, http://, udp:// ...), "-" (a video on standard input), a
                folder or glob of images, a video file, an image, a named pipe, "sample" (the clip in the package).
                If a file or folder has a number or "sample" as its name, the text means that file or folder. An int
                is always a camera. A Path is always a file or a folder.
    rate        frames a second of a folder of images; default: the rate in its rate.txt, else 30
    connection  timeouts of cameras and addresses
    """
    if isinstance(text, Path):
        return _open_path(text, rate)
    name = str(text)
    connection = connection or Connection()
    there = os.path.exists(name)
    if name.isdecimal() or name.startswith("/dev/video"):
        if isinstance(text, int) or not there or not name.isdecimal():
            return _open_camera(name, connection)
        source = _open_path(Path(name), rate)
        if os.path.exists(f"/dev/video{name}"):
            source.warnings.append(f"{name} is a file or folder here, and that is read; the camera is /dev/video{name}")
        return source
    if known := scheme(name.strip()):
        if known not in SCHEMES:
            raise SourceError(f"{masked(name)}: a source cannot have the scheme {known}; expected {', '.join(SCHEMES)}")
        return open_address(name.strip(), connection)
    if (meant := mistyped(name)) and not there:
        raise SourceError(f"an address begins with {meant}://, as in {meant}://host/path")
    if name == "-":
        return PipeSource()
    if name == "sample" and not there:
        return FileSource(str(SAMPLE))
    if Path(name).is_fifo():
        return PipeSource(name)
    return _open_path(Path(name), rate)


def _open_camera(path: str, connection: Connection) -> Source:
    needs("camera")  # raise the error here, and not in the process
    return ProcessSource(camera_name(path), partial(CameraSource, path), connection, patient=False, secret=path)


def open_address(address: str, connection: Connection) -> ProcessSource:
    """Open an address such as rtsp://camera/stream."""
    return ProcessSource(masked(address), partial(NetworkSource, address, connection), connection, secret=address)


def _open_path(path: Path, rate: float | None) -> Source:
    if path.is_dir():
        source = ImageSource(str(path), pictures_in(path), rate=rate or rate_of_folder(path))
        source.warnings += filter(None, [passed_over(path)])
        return source
    if any(character in str(path) for character in "*?[") and not path.exists():
        return ImageSource(str(path), [Path(name) for name in glob.glob(str(path))], rate=rate or FOLDER_RATE)
    if not path.exists():
        raise SourceError(
            f"no such file: {path}; a source is a video file, a folder or glob of images, an address such as "
            "rtsp://camera/stream, a camera number such as 0, or - for standard input"
        )
    check_file(path)
    if path.suffix.lower() in PICTURE_SUFFIXES and not is_animated(path):
        return ImageSource(str(path), [path], rate=rate or FOLDER_RATE)
    if path.suffix.lower() in ANIMATED_SUFFIXES:
        return AnimationSource(str(path), path)
    return FileSource(str(path))
