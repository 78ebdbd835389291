"""Packets of any codec as H.264, for clips of cameras whose packets browsers do not play."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from actionstream.packets import Track

if TYPE_CHECKING:
    import av

RATE = 90_000
TIME_BASE = Fraction(1, RATE)
OPTIONS = {"preset": "veryfast", "crf": "20", "g": "60", "bf": "0", "rc-lookahead": "10"}


class Encoder:
    """Decodes packets of a track and encodes their pictures into an output stream; damaged packets are passed over."""

    def __init__(self, track: Track, container: av.container.OutputContainer):
        import av

        decoder = av.CodecContext.create(track.codec, "r")
        assert isinstance(decoder, av.VideoCodecContext)
        self._decoder = decoder
        self._decoder.extradata = track.extradata or None
        self._decoder.width, self._decoder.height = track.width, track.height
        self._stream: av.VideoStream = container.add_stream("libx264", rate=30)
        self._stream.width = max(track.width // 2 * 2, 2)
        self._stream.height = max(track.height // 2 * 2, 2)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = TIME_BASE
        self._stream.options = dict(OPTIONS)
        self._last = -1

    def push(self, packet: av.Packet | None) -> list[av.Packet]:
        """The packets that are ready after another one; None is the end."""
        import av

        try:
            pictures = self._decoder.decode(packet)
        except av.FFmpegError:
            pictures = []
        encoded: list[av.Packet] = []
        for picture in pictures:
            picture = picture.reformat(
                self._stream.width, self._stream.height, format="yuv420p", dst_color_range="MPEG"
            )
            self._last = max(picture.pts or 0, self._last + 1)
            picture.pts, picture.time_base = self._last, TIME_BASE
            picture.pict_type = 0
            encoded += self._stream.encode(picture)
        return encoded if packet is not None else encoded + self._stream.encode(None)
