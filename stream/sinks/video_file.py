"""The video with the labels drawn in."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from stream.prediction import Update
from stream.sinks.overlay import Overlay

if TYPE_CHECKING:
    import av

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov")


class VideoFile:
    """Every frame of the source, and an overlay if one is wanted, as H.264 in the container that the suffix names."""

    def __init__(self, path: str | os.PathLike[str], overlay: Overlay | None):
        import av

        self._path = Path(path)
        self._overlay = overlay
        self._stream: av.VideoStream | None = None
        self._last = -1
        if self._path.suffix.lower() not in VIDEO_SUFFIXES:
            raise ValueError(f"{self._path} cannot be written: its name must end in {', '.join(VIDEO_SUFFIXES)}")
        self._is_new = not self._path.exists()
        try:
            self._path.open("ab").close()  # PyAV would find out at the first frame only
        except OSError as error:
            raise ValueError(f"{self._path} cannot be written: {error.strerror}") from error
        self._container = av.open(f"file:{self._path}", "w")

    def push(self, update: Update) -> None:
        import av

        if update.frame is None:
            return
        image = update.frame.image
        if self._overlay is not None:
            image = self._overlay(update.frame, update.prediction)
        if self._stream is None:
            self._stream = self._add_stream(image.shape[1], image.shape[0])
        picture = av.VideoFrame.from_ndarray(image, format="rgb24")
        picture = picture.reformat(self._stream.width, self._stream.height, format="yuv420p")
        picture.pts = self._last = max(self._last + 1, round(update.frame.time_seconds * 1000))
        picture.time_base = Fraction(1, 1000)
        self._container.mux(self._stream.encode(picture))

    def _add_stream(self, width: int, height: int) -> av.VideoStream:
        stream = self._container.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height = width // 2 * 2, height // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"preset": "veryfast", "crf": "20"}
        return stream

    def close(self) -> None:
        if self._stream is None:  # nothing came
            if self._is_new:
                self._path.unlink(missing_ok=True)
            return
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
