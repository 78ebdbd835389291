"""Videos from a network, through PyAV: RTSP, HTTP (files, HLS, MJPEG), RTP and UDP."""

from __future__ import annotations

import errno
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from actionstream.frame import Frame
from actionstream.models.video import Decoder, PictureMaker, SourceError
from actionstream.models.video.containers import Trust
from actionstream.models.video.errors import reason
from actionstream.sources.address import masked
from actionstream.sources.connection import Connection
from actionstream.sources.packet_log import PacketLog
from actionstream.sources.relay import Relay
from actionstream.sources.source import AccessRefused
from actionstream.sources.video import VideoSource

if TYPE_CHECKING:
    import av

ANALYSIS_MICROSECONDS = 500_000  # FFmpeg's default delays the first frame by five seconds
WITHOUT_CLOCK = ("mpjpeg", "mjpeg", "h264", "hevc")  # formats without times; FFmpeg invents some
IN_SEGMENTS = ("hls", "dash")  # formats with the address of a playlist instead of a video
LATE_SECONDS = 1.0
MOST_WAIT_SECONDS = 0.5


class NetworkSource(VideoSource):
    """The video at an address; each iteration connects to it.

    A source with a length in bytes or seconds is a file on a server, and is read like a local file. Any other source is
    live: damaged frames, and packets that are late because the decoder is too slow, are `lost`. The times are the
    sender's, or times of arrival where it sends none.
    """

    live = True
    threads = "SLICE"
    without_frames = (
        "a server that cannot seek needs one that begins with its index, such as an MP4 made with faststart"
    )

    def __init__(self, address: str, connection: Connection):
        super().__init__(masked(address))
        self._address = address
        self._connection = connection
        self._relay: Relay | None = None

    def close(self) -> None:
        super().close()
        if self._relay is not None:
            self._relay.close()
            self._relay = None

    def __iter__(self) -> Iterator[Frame]:
        self._begin = perf_counter()
        address, options = self._address, {"analyzeduration": str(ANALYSIS_MICROSECONDS)}
        if address.lower().startswith("rtsp"):
            options["rtsp_transport"] = self._connection.transport
        trust: Trust = "address"
        if self._connection.public:
            trust = "relay"
            self._relay = Relay(address)
            address, options = self._relay.address, options | self._relay.options
        timeout = self._connection.open_seconds, self._connection.read_seconds
        try:
            try:
                self._open(address, trust=trust, options=options, timeout=timeout)
            except SourceError as error:
                if not isinstance(error.__cause__, EOFError):
                    raise
                # FFmpeg's GIF demuxer seeks back beyond its buffer, unless the input is marked as not seekable
                options["seekable"] = "0"
                self._open(address, trust=trust, options=options, timeout=timeout)
        except SourceError as error:
            if what := _refusal(error.__cause__):
                raise AccessRefused(f"{self.name} refused {what}") from error
            why = self._why_not_open(error.__cause__) if error.__cause__ else str(error)
            raise SourceError(f"{self.name} cannot be opened: {why}") from error
        assert self._decoder is not None
        kind = self._decoder.container.format.name
        self.live = not self._is_file(kind, self._decoder)
        yield from self._live(kind, self._decoder) if self.live else super().__iter__()

    def _is_file(self, kind: str, decoder: Decoder) -> bool:
        """Whether the source has a length, in seconds or in bytes; the bytes of a playlist do not count."""
        if kind == "rtsp":
            return False
        return decoder.container.duration is not None or (kind not in IN_SEGMENTS and decoder.container.size > 0)

    def _live(self, kind: str, decoder: Decoder) -> Iterator[Frame]:
        make = PictureMaker()
        log = PacketLog(decoder) if self.with_packets else None
        if self.one_of_several:
            decoder.use_one_thread()
        seconds, origin, begin = -1 / self.rate, None, 0.0
        for index, decoded in enumerate(self._in_time(kind, decoder, log)):
            now = perf_counter()
            sent = now if kind in WITHOUT_CLOCK else decoded.time
            seconds += 1 / self.rate
            if sent is not None:  # the first frame of RTSP has no time
                origin = sent - seconds if origin is None else origin
                seconds = sent - origin
            if kind == "hls":  # segments arrive at once: wait for the time of a frame; a late frame delays all others
                begin = max(begin, now - seconds)
                time.sleep(begin + seconds - now)
                now = perf_counter()
            frame = Frame(stream=self.name, index=index, time_seconds=seconds, picture=make(decoded), available=now)
            if log and (index or origin is not None):  # where the first frame has no time, its packets wait for one
                frame = replace(frame, packets=log.take(frame, origin))
            yield frame
        raise SourceError(f"{self.name} has ended")

    def _in_time(self, kind: str, decoder: Decoder, log: PacketLog | None) -> Iterator[av.VideoFrame]:
        """Undamaged pictures; while the decoder is behind, packets are skipped up to a key frame."""
        import av

        delay = Delay()
        behind = False
        try:
            for packet, waited_seconds in _with_waits(decoder.container.demux(decoder.track)):
                if packet.dts is not None and packet.time_base is not None and kind not in ("hls", *WITHOUT_CLOCK):
                    sent_seconds = float(packet.dts * packet.time_base)
                    late = delay(perf_counter(), sent_seconds, waited_seconds) > LATE_SECONDS
                    behind = late or (behind and not packet.is_keyframe)
                arrived = perf_counter() if kind in WITHOUT_CLOCK else None
                if behind:
                    self.lost["late"] += 1
                    if log:
                        log.add(packet, arrived)
                    continue
                before = Counter({"damaged": decoder.damaged, "too large": decoder.too_large})
                pictures = decoder.decode(packet)
                if log:
                    log.add(packet, arrived)
                self.lost += Counter({"damaged": decoder.damaged, "too large": decoder.too_large}) - before
                for picture in pictures:
                    if picture.is_corrupt:
                        self.lost["damaged"] += 1
                    else:
                        yield picture
        except av.FFmpegError as error:
            silent = isinstance(error, av.ExitError)
            why = f"no data for {self._connection.read_seconds:g} s" if silent else reason(error).lower()
            raise SourceError(f"{self.name} broke off: {why}") from error

    def _why_not_open(self, error: BaseException) -> str:
        # for RTSP FFmpeg reports a missing answer as an invalid one
        if perf_counter() - self._begin >= self._connection.open_seconds:
            return f"no answer for {self._connection.open_seconds:g} s"
        host = None if self._relay else urlsplit(self.name).hostname  # the relay resolved the host already
        if getattr(error, "errno", None) == errno.EIO and host and not _is_known(host):
            return f"no host {host} is found"
        return reason(error).lower()


def _refusal(error: BaseException | None) -> str | None:
    """What a server has refused, where FFmpeg's error says that."""
    import av

    if isinstance(error, av.error.HTTPUnauthorizedError):
        return "the user name or password (401)"
    return "access (403)" if isinstance(error, av.error.HTTPForbiddenError) else None


def _is_known(host: str) -> bool:
    """Whether the system resolves a host; for an unknown host FFmpeg reports an input/output error only."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return True


def _with_waits(packets: Iterator[av.Packet]) -> Iterator[tuple[av.Packet, float]]:
    """Packets, each with the seconds that this side waited for it."""
    asked = perf_counter()
    for packet in packets:
        yield packet, perf_counter() - asked
        asked = perf_counter()


class Delay:
    """The delay of a packet, in seconds, compared with the usual transit time.

    The transit time is the time of arrival minus the sender's time stamp; the usual one is the shortest so far. It may
    grow by a thousandth of the time that passes: clocks drift apart more slowly, and a decoder that falls behind is
    faster. It may also grow by the time that this side waited for a packet: during a wait the decoder has no backlog,
    and the sender is slower than its own time stamps. A pause must not count fully, so a wait counts MOST_WAIT_SECONDS
    at most. When the sender's clock jumps, the usual transit time starts again.
    """

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._usual = 0.0

    def __call__(self, now: float, sent_seconds: float, waited_seconds: float) -> float:
        """The delay of a packet, from its arrival, its time on the sender's clock, and the wait for it."""
        way = now - sent_seconds
        if self._last is None or not -1 < sent_seconds - self._last[1] < 10:
            self._usual = way
        else:
            growth = 1e-3 * (now - self._last[0]) + min(waited_seconds, MOST_WAIT_SECONDS)
            self._usual = min(way, self._usual + growth)
        self._last = now, sent_seconds
        return way - self._usual
