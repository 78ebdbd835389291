"""Where frames come from: video files, folders of images, standard input, cameras, networks."""

from __future__ import annotations

import glob
from pathlib import Path

from models.video import FOLDER_RATE, PICTURE_SUFFIXES, is_animated, pictures_in, rate_of_folder
from stream.connection import Connection
from stream.sources.address import SCHEMES, masked, mistyped, scheme
from stream.sources.images import AnimationSource, ImageSource
from stream.sources.process import ProcessSource
from stream.sources.source import Source, SourceError
from stream.sources.video import FileSource, PipeSource

__all__ = ["SAMPLE", "Source", "SourceError", "open_source"]

SAMPLE = Path(__file__).parents[1] / "assets" / "sample.mp4"
"""The clip that comes with the package: a hand in several movements."""


def open_source(text: str | int | Path, *, rate: float | None = None, connection: Connection | None = None) -> Source:
    """The source that a text means.

    text        a number (camera), an address (rtsp://, http://, udp:// ...), "-" (a video on standard input), a
                folder or glob of images, a video file, an image, "sample" (the clip that comes with the package)
    rate        frames a second of a folder of images; what its rate.txt says, else 30, unless given
    connection  timeouts of cameras and addresses
    """
    text = str(text).strip() if isinstance(text, str) and scheme(text.strip()) else str(text)
    connection = connection or Connection()
    if text.isdecimal() or text.startswith("/dev/video"):
        return ProcessSource("camera", text, connection)
    if known := scheme(text):
        if known not in SCHEMES:
            raise SourceError(f"{masked(text)}: no address begins with {known}://; they do with {', '.join(SCHEMES)}")
        return ProcessSource("network", text, connection)
    if meant := mistyped(text):
        raise SourceError(f"an address begins with {meant}://, as in {meant}://host/path")
    if text == "-":
        return PipeSource()
    path = Path(text)
    if text == "sample" and not path.exists():
        return FileSource(str(SAMPLE))
    if path.is_dir():
        return ImageSource(text, pictures_in(path), rate=rate or rate_of_folder(path))
    if any(character in text for character in "*?[") and not path.exists():
        return ImageSource(text, [Path(name) for name in glob.glob(text)], rate=rate or FOLDER_RATE)
    if not path.exists():
        raise SourceError(
            f"no such file: {text}; a source is a video file, a folder or glob of images, an address such as "
            "rtsp://camera/stream, a camera number such as 0, or - for standard input"
        )
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return AnimationSource(text, path) if is_animated(path) else ImageSource(text, [path], rate=rate or FOLDER_RATE)
    return FileSource(text)
