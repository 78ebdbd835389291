"""Videos that PyAV decodes, in files and on standard input."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from actionstream.frame import Frame
from actionstream.models.video import LOOK_AHEAD, Decoder, PictureMaker, SourceError
from actionstream.sources.packet_log import PacketLog
from actionstream.sources.source import Source


class VideoSource(Source):
    """A video that PyAV can decode; frames are decoded one at a time, see `actionstream.models.video.Decoder`."""

    threads = "AUTO"  # of the decoder: several frames at once; it is faster than SLICE, with more delay
    look_ahead = LOOK_AHEAD
    without_frames = "not one frame of it decodes"  # error for a video without frames

    def __init__(self, name: str):
        super().__init__(name)
        self._decoder: Decoder | None = None
        self._start_seconds = 0.0

    def __iter__(self) -> Iterator[Frame]:
        decoder = self._decoder
        assert decoder is not None
        log = PacketLog(decoder) if self.with_packets else None
        decoder.decoded = log.add if log else None
        if self.one_of_several:
            decoder.use_one_thread()
        make, index = PictureMaker(), -1
        timed = decoder.timed(look_ahead=self.look_ahead, start_seconds=self._start_seconds)
        for index, (decoded, time_seconds) in enumerate(timed):
            frame = Frame(stream=self.name, index=index, time_seconds=time_seconds, picture=make(decoded))
            if log:
                origin = None if decoder.by_index or decoded.time is None else decoded.time - time_seconds
                frame = replace(frame, packets=log.take(frame, origin))
            yield frame
        if index < 0:
            raise decoder.without_pictures(self.without_frames)
        self.seconds = decoder.end_seconds
        if cut_short := decoder.cut_short(self.seconds):
            raise SourceError(cut_short)

    def close(self) -> None:
        if self._decoder is not None:
            self._decoder.close()

    def _open(self, file: Any, **options: Any) -> None:
        self._decoder = decoder = Decoder(file, name=self.name, threads=self.threads, **options)
        self.warnings = decoder.warnings
        self.rate = decoder.rate
        self.seconds = decoder.declared_seconds or (decoder.container.duration or 0) / 1_000_000


class FileSource(VideoSource):
    """A video file.

    start_seconds  frames before this time are skipped, except a few at the begin that tell the times of the file;
                   iterating raises SourceError where the file cannot seek
    uploaded       whether the file is from a stranger: then only the usual video containers are read
    """

    def __init__(self, path: str, *, name: str | None = None, start_seconds: float = 0.0, uploaded: bool = False):
        super().__init__(name or Path(path).name)
        self._start_seconds = start_seconds
        self._open(path, trust="upload" if uploaded else "file")


class PipeSource(VideoSource):
    """A video on standard input or in a named pipe; it is opened by iterating, since its data may come late."""

    threads = "SLICE"
    look_ahead = 1
    without_frames = "a pipe needs one that begins with its index, such as Matroska or an MP4 made with faststart"

    def __init__(self, path: str | None = None) -> None:
        super().__init__("stdin" if path is None else Path(path).name)
        self._path = path
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        if self._path is None:
            if sys.stdin is None:
                raise SourceError("stdin is closed; expected a video on standard input")
            yield from self._read(sys.stdin.buffer)
            return
        # without O_NONBLOCK `open` blocks until a writer opens the pipe, and `stop` cannot end that
        with open(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as pipe:
            yield from self._read(pipe)

    def stop(self) -> None:
        self._stopped.set()

    def _read(self, pipe: Any) -> Iterator[Frame]:
        self._open(_Pipe(pipe, self._stopped))
        yield from super().__iter__()


class _Pipe:
    """A pipe for PyAV: `read` returns available bytes at once, and ends when `stopped` is set."""

    def __init__(self, buffer: Any, stopped: threading.Event):
        self._raw = getattr(buffer, "raw", buffer)  # a buffered read would wait for all `size` bytes
        self._stopped = stopped

    def read(self, size: int) -> bytes:
        while not self._stopped.is_set():
            try:
                ready, _, _ = select.select([self._raw], [], [], 0.2)
            except (OSError, ValueError):  # not a file of the system: the bytes are in memory
                ready = [self._raw]
            if ready and (data := self._raw.read(size)) is not None:
                return data
        return b""
