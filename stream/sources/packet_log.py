"""The encoded pictures of a source, noted while it is decoded."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from actionstream.frame import Frame
from actionstream.models.video import Decoder
from actionstream.packets import Packet, Track

if TYPE_CHECKING:
    import av

CODECS = (
    *("h264", "hevc", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "h263", "msmpeg4", "flv", "wmv1", "wmv2", "wmv3"),
    *("vp8", "vp9", "libdav1d", "av1", "theora"),
)
"""Decoders of compressed videos whose key frames are marked; pictures of other codecs are encoded as JPEG."""
MOST_WAITING = 1000
"""Packets without a picture: a camera may send for days what cannot be decoded."""
JPEG_QUALITY = 90
JPEG_TIME_BASE = Fraction(1, 90_000)


class PacketLog:
    """The packets that a decoder reads, from its first key frame on, with their times on the clock of the frames.

    A decoder of a codec that is not in CODECS (GIF, uncompressed video) has a JPEG of each picture instead.
    """

    def __init__(self, decoder: Decoder):
        self._stream = decoder.track
        self._step_seconds = 1 / decoder.rate
        self._time_base = decoder.track.time_base or JPEG_TIME_BASE
        self._tick_seconds = float(self._time_base)
        self._as_jpeg = decoder.track.codec_context.name not in CODECS
        self._track: Track | None = None
        self._waiting: list[tuple[Track, int | None, int | None, float | None, bool, bytes]] = []
        self._last_seconds = -self._step_seconds

    def add(self, packet: av.Packet, arrived: float | None = None) -> None:
        """Note a packet, after it is decoded: a new size of the pictures is known only then.

        arrived  the time of the packet, where the times in it mean nothing
        """
        if self._as_jpeg or not packet.size:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            self._track = None
        if self._track is None and not packet.is_keyframe:
            return
        pts, dts = (packet.pts, packet.dts) if arrived is None else (None, None)
        sent = arrived if pts is None else pts * self._tick_seconds
        self._waiting.append((self._track_now(), pts, dts, sent, packet.is_keyframe, bytes(packet)))

    def take(self, frame: Frame, origin_seconds: float | None) -> tuple[Packet, ...]:
        """The packets since the last call, which go with a frame.

        origin_seconds  the time of packets at which the clock of the frames is 0; None where their times mean nothing:
                        then they are timed by their number and the rate
        """
        if self._as_jpeg:
            return (jpeg_packet(frame.image, frame.time_seconds),)
        packets = []
        for track, pts, dts, sent, key, data in self._waiting:
            unknown = sent is None or origin_seconds is None
            seconds = self._last_seconds + self._step_seconds if unknown else sent - origin_seconds  # type: ignore[operator]
            if pts is None or unknown:
                pts = dts = round(seconds / track.time_base)
            packets.append(Packet(track, seconds, pts, pts if dts is None else dts, key, data))
            self._last_seconds = seconds
        self._waiting.clear()
        return tuple(packets)

    def _track_now(self) -> Track:
        context = self._stream.codec_context
        size = context.width, context.height
        if self._track is None or size != (self._track.width, self._track.height):
            self._track = Track(context.name, *size, bytes(context.extradata or b""), self._time_base)
        return self._track


def jpeg_packet(image: np.ndarray, time_seconds: float) -> Packet:
    """A frame as a packet: RGB uint8 (height, width, 3), encoded as JPEG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    height, width = image.shape[:2]
    pts = round(time_seconds / JPEG_TIME_BASE)
    return Packet(Track("mjpeg", width, height, b"", JPEG_TIME_BASE), time_seconds, pts, pts, True, file.getvalue())
