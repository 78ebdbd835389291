"""The decoder of all videos of the project, on PyAV: pictures and their presentation times."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain, dropwhile, pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from actionstream.models.common.decoders import decoder
from actionstream.models.common.limits import SETTING, max_pixels
from actionstream.models.video.containers import Trust, open_container, size_in_header
from actionstream.models.video.errors import SourceError, reason
from actionstream.models.video.hardware import hardware_options, why_not
from actionstream.models.video.limits import (
    QUEUE_BYTES,
    THREAD_BYTES,
    check_size,
    is_too_large,
    max_pixels_of_ffmpeg,
)
from actionstream.models.video.metadata import inflates

if TYPE_CHECKING:
    import av

NEAR_SECONDS = 1.0  # the largest step back in time that damage can cause
LOOK_AHEAD = 16  # pictures whose times are checked before the first one goes out
DECODER_BYTES = 32 << 20  # that a decoder may need besides pictures
MOST_THREADS = 16  # the most that FFmpeg chooses; each decodes a picture


class Decoder:
    """One video track of an open file or stream; pictures are decoded one at a time, and once.

    The track is the one that a player shows: the first default track, else the first track. Covers and thumbnails do
    not count.

    file      a path, an address, or an object with `read`
    name      what messages call it
    trust     where it comes from, see `open_container`
    threads   "AUTO": several pictures at once, which is faster and comes later than "SLICE"; "NONE": one thread
    options   those of av.open

    rate              average pictures a second, as the file says
    declared_seconds  how long the file says its track is; 0 where it does not say
    warnings          warnings about the video, each once
    damaged           packets that did not decode, so far
    concealed         pictures that are damaged in part, so far
    too_large         packets of pictures with more than `max_pixels`, which were not decoded, so far
    hides             whether an edit list hides packets, which the declared length may include
    end_seconds       the end of the last picture so far, counted from the first one
    late_seconds      the time from the start of the track to its first picture, where earlier ones were damaged
    by_index          whether pictures are timed by index / rate by now, see `timed`
    decoded           called by `pictures` with each packet after it is decoded, also where it is damaged

    Raises SourceError where it cannot be opened, has no video, or has pictures that are too large; its __cause__ is
    FFmpeg's error.
    """

    def __init__(self, file: Any, *, name: str, trust: Trust = "file", threads: str = "AUTO", **options: Any):
        self.name = name
        self.warnings: list[str] = []
        self.damaged = self.concealed = self.too_large = 0
        self.hides = self.by_index = self._awaits_key_frame = False
        self.decoded: Callable[[av.Packet], None] | None = None
        self.late_seconds = 0.0
        self._last: tuple[float, int] | None = None  # the time of the last picture, and its duration in ticks
        self._fitting = (0, 0)  # a size that is not too large: nearly all pictures have it
        self.container = self._open(file, trust, options)
        try:
            self.track = self._shown_track()
            context = self._context = self.track.codec_context
            size = context.width, context.height
            if not context.width:  # FFmpeg forgets the size of pictures that it was not allowed to decode
                size = size_in_header(file, name=name, trust=trust)
            check_size(name, *size)
        except SourceError:
            self.container.close()
            raise
        self._threads = threads, _most_threads(context, *size)
        self._set_up(context)
        self.rate = float(self.track.average_rate or self.track.guessed_rate or 30)
        self.declared_seconds = self._declared_seconds()

    def _open(self, file: Any, trust: Trust, options: dict[str, Any]) -> av.container.InputContainer:
        """Open the video for the device that decodes; for the processor, where the device cannot."""
        device = decoder()
        if device == "processor" or hasattr(file, "read"):  # what was read from a pipe cannot be read again
            return open_container(file, name=self.name, trust=trust, **options)
        failure: SourceError | None = None
        try:
            container = open_container(file, name=self.name, trust=trust, **options, **hardware_options(device))
        except SourceError as error:
            failure = error
            container = open_container(file, name=self.name, trust=trust, **options)
        tracks = container.streams.video
        if failure or not any(track.codec_context and track.codec_context.is_hwaccel for track in tracks):
            self.warnings.append(f"{self.name}: {why_not(device, failure and failure.__cause__)}")
        return container

    def _set_up(self, context: av.VideoCodecContext) -> None:
        context.options = {"max_pixels": max_pixels_of_ffmpeg()}
        context.thread_type, context.thread_count = self._threads

    def use_one_thread(self) -> None:
        """Decode with one thread: other streams have the other cores. Call it before the first picture."""
        self._threads = "NONE", 1
        self._set_up(self._context)

    def close(self) -> None:
        self.container.close()

    def timed(
        self, *, look_ahead: int = LOOK_AHEAD, start_seconds: float = 0.0
    ) -> Iterator[tuple[av.VideoFrame, float]]:
        """Pictures with their presentation times, which increase and are counted from the first picture.

        Where the times of the first pictures do not increase, or a later time does not, pictures are timed by
        index / rate from there on, and `warnings` says so.

        start_seconds  where to start: a seek, unless it lies within the first `look_ahead` pictures, which then all
                       come out; SourceError where the file cannot seek
        """
        pictures: Iterator[av.VideoFrame] = self.pictures()
        ahead = _first_of(pictures, look_ahead)
        if self.damaged:  # a picture that refers to a missing one may come out in its place
            ahead = [picture for n, picture in enumerate(ahead) if not n or _is_later(picture, ahead[n - 1])]
        times = [picture.time for picture in ahead]
        self.by_index = not increase(times)
        if self.by_index:
            self._say_timed_by_index()
        first = 0.0 if self.by_index or not ahead else float(times[0] or 0.0)
        if not self.by_index:
            self.begin_at(first)
        if not self.by_index and ahead and start_seconds > float(times[-1] or 0.0) - first:
            ahead, pictures = [], self._pictures_from(first + start_seconds)
        index, last = 0, -1.0
        for picture in chain(_taken_from(ahead), pictures):
            time_seconds = index / self.rate if self.by_index or picture.time is None else picture.time - first
            if time_seconds <= last:
                if self.damaged and not self.by_index and time_seconds > last - NEAR_SECONDS:
                    continue
                if not self.by_index:
                    self._say_timed_by_index()
                    self.by_index = True
                time_seconds = max(index / self.rate, last + 1 / self.rate)
            self._last = time_seconds, picture.duration
            yield picture, time_seconds
            index, last = index + 1, time_seconds

    @property
    def end_seconds(self) -> float:
        """The end of the last picture that came from `timed`, counted from the first one; 0 before it."""
        if self._last is None:
            return 0.0
        time_seconds, duration = self._last
        if self.by_index or not duration or self.track.time_base is None:
            return time_seconds + 1 / self.rate
        return time_seconds + float(duration * self.track.time_base)

    def begin_at(self, time_seconds: float) -> None:
        """Set the time of the first picture, on the clock of the file."""
        if self.track.start_time is not None and self.track.time_base is not None:
            self.late_seconds = max(time_seconds - float(self.track.start_time * self.track.time_base), 0.0)

    def pictures(self) -> Generator[av.VideoFrame]:
        """All pictures that decode; damaged packets are passed over and counted."""
        behind: list[int] = []  # pts of packets later than all pictures so far
        latest = -math.inf
        came = False
        try:
            for packet in self._packets():
                if packet.is_discard:
                    self.hides = True
                elif packet.size and packet.pts is not None and packet.pts > latest:
                    behind.append(packet.pts)
                came_out = self.decode(packet)
                if self.decoded is not None:
                    self.decoded(packet)
                for picture in came_out:
                    self.concealed += picture.is_corrupt
                    if picture.pts is not None and picture.pts > latest:
                        latest = picture.pts
                        behind = [pts for pts in behind if pts > latest]
                    came = True
                    yield picture
            # decoder threads do not report errors in the last packets
            if not (self.damaged or self.too_large) and latest > -math.inf:
                self.damaged = len(behind)
                if behind:
                    self._check_memory()
        finally:
            if self.damaged:
                packets = "packet, which was" if self.damaged == 1 else "packets, which were"
                self.warnings.append(f"{self.name} has {self.damaged} damaged {packets} passed over")
            if self.too_large and came:
                self.warnings.append(f"{self.too_large_pictures()}, which were passed over")
            if self.concealed:
                pictures = "picture that is" if self.concealed == 1 else "pictures that are"
                self.warnings.append(f"{self.name} has {self.concealed} {pictures} damaged in part")

    def cut_short(self, end_seconds: float) -> str | None:
        """A warning where the last picture ends (counted from the first one) before the declared end; else None."""
        if self.hides:
            return None
        declared = self.declared_seconds - self.late_seconds
        slack = 2 / self.rate + min(1.0, 0.05 * declared)  # headers of whole files count a few frames too many
        begin = self.track.start_time or 0  # some formats count the time before the first picture as well
        if end_seconds + max(float(begin * (self.track.time_base or 0)), 0.0) + slack >= declared:
            return None
        return f"{self.name} is cut short: it ends at {end_seconds:.2f} s of {declared:.2f} s"

    def decode(self, packet: av.Packet) -> list[av.VideoFrame]:
        """Decode a packet to pictures; what is damaged or too large is counted and passed over."""
        import av

        if self._context.name in ("png", "apng") and inflates(bytes(packet)):
            self.damaged += 1
            return []
        if self._awaits_key_frame and not packet.is_keyframe:
            self.damaged += packet.size > 0
            return []
        self._awaits_key_frame = False
        try:
            pictures = self._context.decode(packet)
        except av.FFmpegError as error:
            if self._context.is_hwaccel and not isinstance(error, av.InvalidDataError):
                self._leave_device(error)
                return self.decode(packet)
            self._count(error)
            return []
        fitting = [picture for picture in pictures if self._fits(picture)]
        self.too_large += len(pictures) - len(fitting)
        return fitting

    def _leave_device(self, error: Exception) -> None:
        """Let the processor go on from the next key frame: the device fails, and not the video."""
        import av

        self.warnings.append(f"{self.name}: {why_not(decoder(), error)}")
        context = cast("av.VideoCodecContext", av.CodecContext.create(self._context.name, "r"))
        context.extradata = self._context.extradata
        self._set_up(context)
        self._context, self._awaits_key_frame = context, True

    def _fits(self, picture: av.VideoFrame) -> bool:
        size = picture.width, picture.height
        if size != self._fitting and is_too_large(*size):
            return False
        self._fitting = size
        return True

    def too_large_pictures(self) -> str:
        """The message about pictures that FFmpeg refused to decode; their size is unknown."""
        return f"{self.name} has pictures of more than {max_pixels()} pixels ({SETTING})"

    def without_pictures(self, why: str = "not one frame of it decodes") -> SourceError:
        """The error for a video without a picture that decodes."""
        if self.too_large:
            return SourceError(self.too_large_pictures())
        return SourceError(f"{self.name} is not a video that can be read: {why}")

    def _count(self, error: Exception) -> None:
        """Count a packet that does not decode as damaged or as too large; MemoryError where memory ran out."""
        import av

        context = self._context
        # FFmpeg forgets a size that it refuses, and takes what follows for damaged
        forgotten = not context.width and (self.too_large > 0 or isinstance(error, av.error.ArgumentError))
        if forgotten or is_too_large(context.width, context.height) or isinstance(error, OverflowError):
            self.too_large += 1
        else:
            self._check_memory(error)
            self.damaged += 1

    def _check_memory(self, error: Exception | None = None) -> None:
        """MemoryError where memory ran out; some decoders then say that the packet is invalid, so it is tried."""
        context = self._context
        try:
            if isinstance(error, MemoryError):
                raise error
            at_work = max(context.thread_count, 1) + 2
            np.empty(at_work * _picture_bytes(context, context.width, context.height) + DECODER_BYTES, np.uint8)
        except MemoryError as short:
            size = f"{context.width} x {context.height}"
            raise MemoryError(f"{self.name} cannot be decoded, it has pictures of {size}") from short

    def _packets(self) -> Iterator[av.Packet]:
        """Packets as far as the file can be read; the last one is empty and flushes the decoder."""
        import av

        try:
            yield from self.container.demux(self.track)
        except MemoryError:  # PyAV's one is an FFmpegError, too
            raise
        except av.FFmpegError as error:
            self.warnings.append(f"{self.name} cannot be read to its end: {reason(error).lower()}")

    def _pictures_from(self, time_seconds: float) -> Iterator[av.VideoFrame]:
        """The pictures from a time on, after a seek to the key frame before it."""
        import av

        assert self.track.time_base is not None
        try:
            self.container.seek(int(time_seconds / self.track.time_base), stream=self.track)
        except av.FFmpegError as error:
            raise SourceError(f"{self.name} cannot seek: {reason(error)}") from error
        pictures: Iterator[av.VideoFrame] = self.pictures()
        key = next(pictures, None)
        if key is None or key.time is None or key.time > time_seconds:
            raise SourceError(f"{self.name} cannot seek")
        return dropwhile(lambda picture: (picture.time or 0.0) < time_seconds, chain([key], pictures))

    def _shown_track(self) -> av.VideoStream:
        from av.stream import Disposition

        no_video = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
        tracks = [track for track in self.container.streams.video if not track.disposition & no_video]
        if not tracks:
            kinds = ", ".join(sorted({stream.type for stream in self.container.streams}))
            raise SourceError(f"{self.name} has no video in it, only {kinds or 'nothing'}")
        shown = next((track for track in tracks if track.disposition & Disposition.default), tracks[0])
        if shown.codec_context is None:
            raise SourceError(f"{self.name} has a video of a codec that FFmpeg does not know; convert it, to H.264 say")
        return shown

    def _declared_seconds(self) -> float:
        if self.track.duration is not None and self.track.time_base is not None:
            # in a truncated AVI, `duration` is that of the remaining packets, and `frames` is still the header's count
            return max(float(self.track.duration * self.track.time_base), self.track.frames / self.rate)
        alone = len(self.container.streams) == 1
        return (self.container.duration or 0) / 1_000_000 if alone else 0.0

    def _say_timed_by_index(self) -> None:
        self.warnings.append(
            f"{self.name} has presentation times that do not increase; frames are timed by index / {self.rate:g}"
        )


def _most_threads(context: av.VideoCodecContext, width: int, height: int) -> int:
    """How many threads may decode a picture each; 0 lets FFmpeg choose."""
    at_once = THREAD_BYTES // max(_picture_bytes(context, width, height), 1)
    return 0 if at_once >= MOST_THREADS else max(min(at_once, os.cpu_count() or 1), 1)


def _picture_bytes(context: av.VideoCodecContext, width: int, height: int) -> int:
    bits = context.format.padded_bits_per_pixel if context.format else 32
    return width * height * bits // 8


def _first_of(pictures: Iterator[av.VideoFrame], count: int) -> list[av.VideoFrame]:
    """The first `count` pictures, or fewer where they are large."""
    first: list[av.VideoFrame] = []
    size = 0
    while len(first) < count and size < QUEUE_BYTES and (picture := next(pictures, None)):
        first.append(picture)
        size += sum(plane.buffer_size for plane in picture.planes)
    return first


def _taken_from(pictures: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """The pictures of a list, which is emptied: none is kept for the rest of the video."""
    while pictures:
        yield pictures.pop(0)


def _is_later(picture: av.VideoFrame, before: av.VideoFrame) -> bool:
    return picture.time is None or before.time is None or picture.time > before.time


def increase(times: Sequence[float | None]) -> bool:
    """Whether all times are known, and each is later than the one before."""
    return None not in times and all(a < b for a, b in pairwise(times))  # type: ignore[operator]
