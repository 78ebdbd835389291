"""Packets as a message between processes: changes of the track for JSON, and the bytes of all packets."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from actionstream.packets import Packet, Track

HEAD = struct.Struct("<dqq?I")
"""Before the bytes of a packet: time_seconds, pts, dts, key, number of bytes. JSON would take five times as long."""
Tracks = list[tuple[int, dict[str, Any]]]
"""Tracks, each with the number of the first packet of the message that has it."""


class PacketSender:
    """Packs packets; a track is described with its first packet only."""

    def __init__(self) -> None:
        self._track: Track | None = None

    def __call__(self, packets: Sequence[Packet]) -> tuple[Tracks, list[bytes]]:
        """The new tracks, for JSON, and the parts of the message."""
        tracks: Tracks = []
        parts: list[bytes] = []
        for number, (track, time_seconds, pts, dts, key, data) in enumerate(packets):
            if track != self._track:
                self._track = track
                tracks.append((number, _described(track)))
            parts += (HEAD.pack(time_seconds, pts, dts, key, len(data)), data)
        return tracks, parts


class PacketReceiver:
    """Unpacks what one `PacketSender` packed, in the same order."""

    def __init__(self) -> None:
        self._track: Track | None = None

    def __call__(self, tracks: Tracks, message: memoryview) -> tuple[Packet, ...]:
        new = dict(tracks)
        packets: list[Packet] = []
        begin = 0
        while begin < len(message):
            if described := new.get(len(packets)):
                extradata, time_base = base64.b64decode(described["extradata"]), Fraction(described["time_base"])
                self._track = Track(**{**described, "extradata": extradata, "time_base": time_base})
            assert self._track is not None
            time_seconds, pts, dts, key, size = HEAD.unpack_from(message, begin)
            begin += HEAD.size + size
            packets.append(Packet(self._track, time_seconds, pts, dts, key, bytes(message[begin - size : begin])))
        return tuple(packets)


def _described(track: Track) -> dict[str, Any]:
    return {
        "codec": track.codec,
        "width": track.width,
        "height": track.height,
        "extradata": base64.b64encode(track.extradata).decode(),
        "time_base": str(track.time_base),
    }
