"""Parameter sets of H.264 and H.265: what a decoder has to know before the first picture."""

from __future__ import annotations

from actionstream.packets import Packet

START_CODE = b"\0\0\0\1"
H264_TYPES = (7, 8)  # sequence and picture, ITU-T H.264, table 7-1
HEVC_TYPES = (32, 33, 34)  # video, sequence and picture, ITU-T H.265, table 7-1


def nal_units(data: bytes) -> list[bytes]:
    """The NAL units of a byte stream with start codes (H.264 and H.265, Annex B)."""
    return [unit for piece in data.split(START_CODE[1:])[1:] if (unit := piece.rstrip(b"\0"))]


def extradata_for(key_frame: Packet) -> bytes:
    """The extradata with which a decoder can begin at a key frame.

    In a byte stream with start codes these are the parameter sets in the key frame, else those of its track; a camera
    may change its parameter sets at any key frame.
    """
    if key_frame.track.extradata[:1] == b"\1":  # avcC and hvcC: packets have lengths in place of start codes
        return key_frame.track.extradata
    sets = [unit for unit in nal_units(key_frame.data) if _is_parameter_set(unit, key_frame.track.codec)]
    return b"".join(START_CODE + unit for unit in sets) or key_frame.track.extradata


def _is_parameter_set(unit: bytes, codec: str) -> bool:
    if codec == "h264":
        return unit[0] & 0x1F in H264_TYPES
    return unit[0] >> 1 & 0x3F in HEVC_TYPES
