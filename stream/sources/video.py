"""Videos that PyAV decodes, in files and on standard input."""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from actionstream.frame import Frame
from actionstream.models.video import LOOK_AHEAD, Converter, Decoder, SourceError
from actionstream.sources.source import Source


class VideoSource(Source):
    """A video that PyAV can decode; frames are decoded one at a time, see `actionstream.models.video.Decoder`."""

    threads = "AUTO"  # of the decoder: several frames at once are faster, and come later than SLICE
    look_ahead = LOOK_AHEAD

    def __init__(self, name: str):
        super().__init__(name)
        self._decoder: Decoder | None = None
        self._start_seconds = 0.0

    def __iter__(self) -> Iterator[Frame]:
        assert self._decoder is not None
        convert, index = Converter(), -1
        timed = self._decoder.timed(look_ahead=self.look_ahead, start_seconds=self._start_seconds)
        for index, (picture, time_seconds) in enumerate(timed):
            yield Frame(stream=self.name, index=index, time_seconds=time_seconds, image=convert(picture))
        if index < 0:
            raise SourceError(f"{self.name} is not a video that can be read: {self._without_frames()}")
        self.seconds = self._decoder.end_seconds
        if cut_short := self._decoder.cut_short(self.seconds):
            raise SourceError(cut_short)

    def close(self) -> None:
        if self._decoder is not None:
            self._decoder.close()

    def _open(self, file: Any, **options: Any) -> None:
        self._decoder = decoder = Decoder(file, name=self.name, threads=self.threads, **options)
        self.warnings = decoder.warnings
        self.rate = decoder.rate
        self.seconds = decoder.declared_seconds or (decoder.container.duration or 0) / 1_000_000

    def _without_frames(self) -> str:
        """Why not one frame can be read."""
        return "not one frame of it decodes"


class FileSource(VideoSource):
    """A video file.

    start_seconds  frames before are passed over, but for those whose times have to be looked at first; SourceError
                   while iterating where the file cannot seek
    """

    def __init__(self, path: str, *, name: str | None = None, start_seconds: float = 0.0):
        super().__init__(name or Path(path).name)
        self._start_seconds = start_seconds
        self._open(f"file:{path}")


class PipeSource(VideoSource):
    """A video on standard input, opened when it is iterated, since it may be silent for long."""

    threads = "SLICE"
    look_ahead = 1

    def __init__(self) -> None:
        super().__init__("stdin")
        self._pipe = _Pipe(sys.stdin.buffer)

    def __iter__(self) -> Iterator[Frame]:
        self._open(self._pipe)
        yield from super().__iter__()

    def stop(self) -> None:
        self._pipe.stop()

    def _without_frames(self) -> str:
        return "a pipe needs one that begins with its index, such as Matroska or an MP4 made with faststart"


class _Pipe:
    """Standard input for PyAV: gives what there is at once, and ends when it is told to stop."""

    def __init__(self, buffer: Any):
        self._raw = getattr(buffer, "raw", buffer)  # a buffered read would wait until it has all it was asked for
        self._stopped = False

    def read(self, size: int) -> bytes:
        while not self._stopped:
            try:
                ready, _, _ = select.select([self._raw], [], [], 0.2)
            except (OSError, ValueError):  # not a file of the system's: its bytes are in memory
                ready = [self._raw]
            if ready:
                return self._raw.read(size) or b""
        return b""

    def stop(self) -> None:
        self._stopped = True
