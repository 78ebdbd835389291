"""Videos from a network, through PyAV: RTSP, HTTP (files, HLS, MJPEG), RTP and UDP."""

from __future__ import annotations

import errno
import socket
import time
from collections import Counter
from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from actionstream.frame import Frame
from actionstream.models.video import Converter, Decoder, SourceError
from actionstream.models.video.containers import Trust
from actionstream.models.video.errors import reason
from actionstream.sources.address import masked
from actionstream.sources.connection import Connection
from actionstream.sources.relay import Relay
from actionstream.sources.video import VideoSource

if TYPE_CHECKING:
    import av

ANALYSIS_MICROSECONDS = 500_000  # FFmpeg would look at a stream for five seconds before it gives a frame
WITHOUT_CLOCK = ("mpjpeg", "mjpeg", "h264", "hevc")  # formats for which FFmpeg makes up times
IN_SEGMENTS = ("hls", "dash")  # formats whose address is that of a list, and not of the video
LATE_SECONDS = 1.0
MOST_WAIT_SECONDS = 0.5


class NetworkSource(VideoSource):
    """The video at an address, connected to when it is iterated.

    A file on a server, which has a length in bytes or seconds, is like a file here. Anything else is live: damaged
    frames, and those that could only come late since the decoder cannot keep up, are `lost`. Times are the sender's, or
    those of arrival where it sends none.
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
                # FFmpeg's reader of GIFs goes back in what it has not kept, unless it is told that it cannot
                options["seekable"] = "0"
                self._open(address, trust=trust, options=options, timeout=timeout)
        except SourceError as error:
            why = self._why_not_open(error.__cause__) if error.__cause__ else str(error)
            raise SourceError(f"{self.name} cannot be opened: {why}") from error
        assert self._decoder is not None
        kind = self._decoder.container.format.name
        self.live = not self._is_file(kind, self._decoder)
        yield from self._live(kind, self._decoder) if self.live else super().__iter__()

    def _is_file(self, kind: str, decoder: Decoder) -> bool:
        """Whether it has a length: in seconds, or in bytes unless they are those of a list of segments."""
        if kind == "rtsp":
            return False
        return decoder.container.duration is not None or (kind not in IN_SEGMENTS and decoder.container.size > 0)

    def _live(self, kind: str, decoder: Decoder) -> Iterator[Frame]:
        convert = Converter()
        seconds, origin, begin = -1 / self.rate, None, 0.0
        for index, picture in enumerate(self._in_time(kind, decoder)):
            image, now = convert(picture), perf_counter()
            sent = now if kind in WITHOUT_CLOCK else picture.time
            seconds += 1 / self.rate
            if sent is not None:  # the first one of RTSP has no time
                origin = sent - seconds if origin is None else origin
                seconds = sent - origin
            if kind == "hls":  # it comes in segments: what waits is shown at its time, what is late moves the rest
                begin = max(begin, now - seconds)
                time.sleep(begin + seconds - now)
                now = perf_counter()
            yield Frame(stream=self.name, index=index, time_seconds=seconds, image=image, available=now)
        raise SourceError(f"{self.name} has ended")

    def _in_time(self, kind: str, decoder: Decoder) -> Iterator[av.VideoFrame]:
        """Whole pictures; while the decoder is behind, packets are passed over up to a key frame."""
        import av

        delay = Delay()
        behind = False
        try:
            for packet, waited_seconds in _with_waits(decoder.container.demux(decoder.track)):
                if packet.dts is not None and packet.time_base is not None and kind not in ("hls", *WITHOUT_CLOCK):
                    sent_seconds = float(packet.dts * packet.time_base)
                    late = delay(perf_counter(), sent_seconds, waited_seconds) > LATE_SECONDS
                    behind = late or (behind and not packet.is_keyframe)
                if behind:
                    self.lost["late"] += 1
                    continue
                before = Counter({"damaged": decoder.damaged, "too large": decoder.too_large})
                pictures = decoder.decode(packet)
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
        # RTSP takes an answer that did not come for one that is wrong
        if perf_counter() - self._begin >= self._connection.open_seconds:
            return f"no answer for {self._connection.open_seconds:g} s"
        host = None if self._relay else urlsplit(self.name).hostname  # the relay has found it
        if getattr(error, "errno", None) == errno.EIO and host and not _is_known(host):
            return f"no host {host} is found"
        return reason(error).lower()


def _is_known(host: str) -> bool:
    """Whether the system finds the address of a host: FFmpeg takes one that is not found for an input/output error."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return True


def _with_waits(packets: Iterator[av.Packet]) -> Iterator[tuple[av.Packet, float]]:
    """Packets, and how many seconds each was waited for."""
    asked = perf_counter()
    for packet in packets:
        yield packet, perf_counter() - asked
        asked = perf_counter()


class Delay:
    """How many seconds later than usual a packet is.

    Usual is the shortest way a packet ever took; it may grow by a thousandth, which is more than two clocks
    drift apart and less than a decoder that falls behind. It may grow, too, by what a packet was waited for: the
    decoder has all that there is then, and a sender that is slower than its own stamps makes nothing late. A pause is
    no pace: of one wait MOST_WAIT_SECONDS count. A sender's clock that jumps begins anew.
    """

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._usual = 0.0

    def __call__(self, now: float, sent_seconds: float, waited_seconds: float) -> float:
        """Of a packet that is here now, was sent at that time on the sender's clock, and was waited for."""
        way = now - sent_seconds
        if self._last is None or not -1 < sent_seconds - self._last[1] < 10:
            self._usual = way
        else:
            growth = 1e-3 * (now - self._last[0]) + min(waited_seconds, MOST_WAIT_SECONDS)
            self._usual = min(way, self._usual + growth)
        self._last = now, sent_seconds
        return way - self._usual
