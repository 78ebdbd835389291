"""Videos for benchmarks: looped, re-encoded in another size, or played at the rate of a camera."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter, thread_time

from actionstream.frame import Frame
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.video.containers import open_container
from actionstream.sources import open_source
from actionstream.sources.source import Source
from actionstream.sources.video import FileSource


def parse_size(text: str) -> tuple[int, int]:
    """ "640x480" as (640, 480): width and height, even numbers, as H.264 has them."""
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    width, height = map(int, found.groups()) if found else (0, 0)
    if not (2 <= width <= 8192 and 2 <= height <= 8192) or width % 2 or height % 2:
        raise ActionstreamError(f"a size is WIDTHxHEIGHT, even numbers of pixels such as 640x480; this is {text!r}")
    return width, height


def loop_video(video: Path, target: Path, *, seconds: float) -> None:
    """Copy the packets of a video again and again, until the new video has about this length."""
    import av

    with open_container(video, name=str(video)) as source, av.open(str(target), "w") as sink:
        read = source.streams.video[0]
        rate, time_base = read.average_rate, read.time_base
        if rate is None or time_base is None:
            raise ActionstreamError(f"{video} does not say how many frames a second it has")
        written = sink.add_stream_from_template(read)
        packets = [(each, each.pts, each.dts) for each in source.demux(read) if each.pts is not None]
        times = [pts for _, pts, _ in packets]
        length = max(times) - min(times) + round(1 / (rate * time_base))
        for turn in range(max(1, round(seconds / float(length * time_base)))):
            for packet, pts, dts in packets:
                packet.pts, packet.dts = pts + turn * length, (pts if dts is None else dts) + turn * length
                packet.time_base, packet.stream = time_base, written
                sink.mux(packet)


def encode_film(video: str | Path, target: Path, *, width: int, height: int, num_frames: int) -> None:
    """Write the first frames of a video in another size, as H.264 in MP4 of good quality."""
    import av

    source = open_source(video)
    rate = Fraction(source.rate).limit_denominator(1001)
    with closing(source), av.open(str(target), "w") as sink:
        written = sink.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
        written.width, written.height, written.pix_fmt = width, height, "yuv420p"
        for frame in source:
            if frame.index == num_frames:
                break
            picture = av.VideoFrame.from_ndarray(frame.image, format="rgb24")
            picture = picture.reformat(width=width, height=height, format="yuv420p")
            picture.pts, picture.time_base = frame.index, 1 / rate
            sink.mux(written.encode(picture))
        sink.mux(written.encode(None))


class _AsLive(FileSource):
    """A file that is decoded with the settings of network streams."""

    threads = "SLICE"
    look_ahead = 1


class LiveFilm(Source):
    """A file that plays like a camera: `rate` frames a second, each decoded when it is due, in an endless loop.

    phase     the offset of its clock, as a share of the frame interval: cameras are not synchronous
    when_due  whether a frame is available when it is due, and not when it is decoded
    arrived   when each frame was due, time.perf_counter(); decoding begins then
    decode_cpu_seconds  CPU time of the reading thread for decoding, of all frames so far
    """

    live = True

    def __init__(self, path: Path, *, rate: float, phase: float = 0.0, when_due: bool = False):
        super().__init__(path.name)
        self.rate = rate
        self.arrived: list[float] = []
        self.decode_cpu_seconds = 0.0
        self._path = path
        self._phase = phase
        self._when_due = when_due
        self._stopped = threading.Event()
        _AsLive(str(path)).close()  # raises at once where the file is no video

    def __iter__(self) -> Iterator[Frame]:
        begin = perf_counter() + self._phase / self.rate
        while True:
            with closing(_AsLive(str(self._path))) as film:
                film.one_of_several = self.one_of_several
                frames = iter(film)
                while True:
                    index = len(self.arrived)
                    due = begin + index / self.rate
                    if self._stopped.wait(max(0.0, due - perf_counter())):
                        return
                    before = thread_time()
                    frame = next(frames, None)
                    self.decode_cpu_seconds += thread_time() - before
                    if frame is None:
                        break
                    self.arrived.append(due)
                    available = due if self._when_due else perf_counter()
                    yield replace(frame, index=index, time_seconds=index / self.rate, available=available)

    def stop(self) -> None:
        self._stopped.set()
