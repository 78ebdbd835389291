"""Where frames come from: video files, folders of images, standard input, cameras, networks."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from stream.connection import Connection
from stream.sources.address import SCHEMES, masked, mistyped, scheme
from stream.sources.images import IMAGE_SUFFIXES, ImageSource
from stream.sources.process import ProcessSource
from stream.sources.source import Source, SourceError
from stream.sources.video import FileSource, PipeSource

__all__ = ["SAMPLE", "Source", "SourceError", "open_source"]

SAMPLE = Path(__file__).parents[1] / "assets" / "sample.mp4"
"""The clip that comes with the package: a hand in several movements."""


def open_source(text: str | int | Path, *, rate: float = 30.0, connection: Connection | None = None) -> Source:
    """The source that a text means.

    text        a number (camera), an address (rtsp://, http://, udp:// ...), "-" (a video on standard input), a
                folder or glob of images, a video file, an image, "sample" (the clip that comes with the package); a
                file or folder whose name is a number or "sample" comes before those. An int is a camera, a Path never.
    rate        frames a second of a folder of images, which have no clock
    connection  timeouts of cameras and addresses
    """
    if isinstance(text, str) and text.isdecimal() and os.path.exists(text):
        source = open_source(Path(text), rate=rate)
        if os.path.exists(f"/dev/video{text}"):
            source.warnings.append(f"{text} is a file or folder here, and that is read; the camera is /dev/video{text}")
        return source
    is_camera = str(text).isdecimal() and not isinstance(text, Path)
    text = str(text).strip() if isinstance(text, str) and scheme(text.strip()) else str(text)
    connection = connection or Connection()
    if is_camera or text.startswith("/dev/video"):
        return ProcessSource("camera", text, connection)
    if known := scheme(text):
        if known not in SCHEMES:
            raise SourceError(f"{masked(text)}: no address begins with {known}://; they do with {', '.join(SCHEMES)}")
        return ProcessSource("network", text, connection)
    if (meant := mistyped(text)) and not os.path.exists(text):
        raise SourceError(f"an address begins with {meant}://, as in {meant}://host/path")
    if text == "-":
        return PipeSource()
    path = Path(text)
    if text == "sample" and not path.exists():
        return FileSource(str(SAMPLE))
    if path.is_dir():
        return ImageSource(text, list(path.iterdir()), rate=rate)
    if any(character in text for character in "*?[") and not path.exists():
        return ImageSource(text, [Path(name) for name in glob.glob(text)], rate=rate)
    if not path.exists():
        raise SourceError(
            f"no such file: {text}; a source is a video file, a folder or glob of images, an address such as "
            "rtsp://camera/stream, a camera number such as 0, or - for standard input"
        )
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSource(text, [path], rate=rate)
    return FileSource(text)
