"""A stream of a given codec and extradata, to make streams of a muxer from.

PyAV makes an output stream for packets that are there already from an input stream only. So the input is a header of
Matroska in memory, which holds the name of the codec, the size, and the extradata as they are, and no packet: nothing
is decoded.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from actionstream.packets import Track

if TYPE_CHECKING:
    import av

CODEC_IDS = {"h264": b"V_MPEG4/ISO/AVC", "hevc": b"V_MPEGH/ISO/HEVC"}
"""Names of codecs in Matroska (RFC 9559), by FFmpeg's: those whose packets are copied."""


def open_template(track: Track, extradata: bytes) -> av.container.InputContainer:
    """A container whose only video stream is like a track; close it when the output stream is made."""
    import av

    size = _element("E0", _number("B0", track.width) + _number("BA", track.height))
    codec = _element("86", CODEC_IDS[track.codec]) + _element("63A2", extradata)
    entry = _element("AE", _number("D7", 1) + _number("73C5", 1) + _number("83", 1) + codec + size)
    info = _element("1549A966", _number("2AD7B1", 1_000_000))
    empty_cluster = _element("1F43B675", _number("E7", 0))
    segment = _element("18538067", info + _element("1654AE6B", entry) + empty_cluster)
    header = _element("1A45DFA3", _element("4282", b"matroska"))
    return av.open(io.BytesIO(header + segment), "r", format="matroska")


def _element(identifier: str, data: bytes) -> bytes:
    """An element of EBML (RFC 8794): its identifier in hexadecimal, its length in eight bytes, its data."""
    return bytes.fromhex(identifier) + (len(data) | 1 << 56).to_bytes(8) + data


def _number(identifier: str, value: int) -> bytes:
    return _element(identifier, value.to_bytes(8))
