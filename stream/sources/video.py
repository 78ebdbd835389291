"""Videos that PyAV decodes, in files and on standard input."""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator
from itertools import chain, dropwhile, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stream.frame import Frame
from stream.sources.source import Source, SourceError, reason

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

LOOK_AHEAD = 16  # frames whose times are checked before the first one goes out


class VideoSource(Source):
    """A video that PyAV can decode; frames are decoded one at a time.

    Times are those of the video, counted from its first frame. Where the first ones do not increase, or one
    later does not, frames are timed by index / rate from there on, which is said in `warnings`.
    """

    threads = "AUTO"  # of the decoder: several frames at once are faster, and come later than SLICE
    look_ahead = LOOK_AHEAD

    def __init__(self, name: str):
        super().__init__(name)
        self._container: InputContainer | None = None
        self._start_seconds = 0.0

    def __iter__(self) -> Iterator[Frame]:
        convert = Converter()
        index, last = -1, 0.0
        for index, (picture, time_seconds) in enumerate(self._timed()):
            last = time_seconds
            yield Frame(stream=self.name, index=index, time_seconds=time_seconds, image=convert(picture))
        if index < 0:
            raise SourceError(f"{self.name} is not a video that can be read: {self._why()}")
        declared = self._declared_seconds()
        # headers of whole files count a few frames too many
        if last + 3 / self.rate + min(1.0, 0.05 * declared) < declared:
            raise SourceError(f"{self.name} is cut short: it ends at {last:.2f} s of {declared:.2f} s")

    def close(self) -> None:
        if self._container is not None:
            self._container.close()

    def _open(self, file: Any, **options: Any) -> None:
        import av
        from av.stream import Disposition

        try:
            self._container = av.open(file, "r", metadata_errors="replace", **options)
        except (av.FFmpegError, OSError) as error:
            raise SourceError(self._cannot_open(error)) from error
        pictures = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not pictures:
            kinds = ", ".join(sorted({stream.type for stream in self._container.streams}))
            raise SourceError(f"{self.name} has no video in it, only {kinds or 'nothing'}")
        self._video = pictures[0]
        self._video.thread_type = self.threads
        self.rate = float(self._video.average_rate or self._video.guessed_rate or 30)
        self.seconds = self._declared_seconds() or (self._container.duration or 0) / 1_000_000

    def _cannot_open(self, error: Exception) -> str:
        return f"{self.name} is not a video that can be read: {self._why(error)}"

    def _why(self, error: Exception | None = None) -> str:
        """Why not one frame can be read."""
        return "not one frame of it decodes" if error is None else reason(error).lower()

    def _timed(self) -> Iterator[tuple[av.VideoFrame, float]]:
        """Pictures with times that increase."""
        pictures = self._decoded()
        ahead = list(islice(pictures, self.look_ahead))
        times = [picture.time for picture in ahead]
        by_index = None in times or any(later <= earlier for earlier, later in pairwise(times))
        if by_index:
            self._say_timed_by_index()
        first = 0.0 if by_index or not ahead else float(times[0] or 0.0)
        if not by_index and ahead and self._start_seconds > float(times[-1] or 0.0) - first:
            ahead, pictures = [], self._decoded_from(first + self._start_seconds)
        index, last = 0, -1.0
        for picture in chain(ahead, pictures):
            time_seconds = index / self.rate if by_index or picture.time is None else picture.time - first
            if time_seconds <= last:
                if not by_index:
                    self._say_timed_by_index()
                    by_index = True
                time_seconds = max(index / self.rate, last + 1 / self.rate)
            yield picture, time_seconds
            index, last = index + 1, time_seconds

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """All pictures that decode; broken packets are passed over and counted."""
        import av

        broken = 0
        for packet in self._packets():
            try:
                yield from packet.decode()
            except av.FFmpegError:
                broken += 1
        if broken:
            self.warnings.append(f"{self.name} has {broken} broken packets, which were passed over")

    def _decoded_from(self, time_seconds: float) -> Iterator[av.VideoFrame]:
        """The pictures from a time on, by way of the key frame before it; SourceError where that is not found."""
        import av

        assert self._container is not None
        assert self._video.time_base is not None
        try:
            self._container.seek(int(time_seconds / self._video.time_base), stream=self._video)
        except av.FFmpegError as error:
            raise SourceError(f"{self.name} cannot seek: {reason(error)}") from error
        pictures = self._decoded()
        key = next(pictures, None)
        if key is None or key.time is None or key.time > time_seconds:
            raise SourceError(f"{self.name} cannot seek")
        return dropwhile(lambda picture: (picture.time or 0.0) < time_seconds, chain([key], pictures))

    def _packets(self) -> Iterator[av.Packet]:
        """Packets as far as the file can be read; the last one is empty and brings out what is still decoding."""
        import av

        assert self._container is not None
        try:
            yield from self._container.demux(self._video)
        except av.FFmpegError as error:
            self.warnings.append(f"{self.name} cannot be read to its end: {reason(error).lower()}")

    def _declared_seconds(self) -> float:
        """How long the file says its video is; 0 where it does not say."""
        assert self._container is not None
        if self._video.duration is not None and self._video.time_base is not None:
            return float(self._video.duration * self._video.time_base)
        alone = len(self._container.streams) == 1
        return (self._container.duration or 0) / 1_000_000 if alone else 0.0

    def _say_timed_by_index(self) -> None:
        self.warnings.append(
            f"{self.name} has presentation times that do not increase; frames are timed by index / {self.rate:g}"
        )


class FileSource(VideoSource):
    """A video file.

    start_seconds  frames before are passed over, but for those whose times have to be looked at first; SourceError
                   while iterating where the file cannot seek
    """

    def __init__(self, path: str, *, name: str | None = None, start_seconds: float = 0.0):
        super().__init__(name or Path(path).name)
        self._path = Path(path)
        self._start_seconds = start_seconds
        self._open(f"file:{path}")

    def _why(self, error: Exception | None = None) -> str:
        return "it is empty" if self._path.stat().st_size == 0 else super()._why(error)


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

    def _why(self, error: Exception | None = None) -> str:
        return "a pipe needs one that begins with its index, such as Matroska or an MP4 made with faststart"


class Converter:
    """Pictures of a decoder to RGB arrays, upright; one reformatter serves a whole stream."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame) -> np.ndarray:
        image = self._reformatter.reformat(picture, format="rgb24").to_ndarray()
        turns = round(picture.rotation / 90) % 4 if picture.rotation else 0
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


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
