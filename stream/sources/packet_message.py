"""Packets as a message between processes: a description for JSON, and the bytes of all packets."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from actionstream.packets import Packet, Track


class PacketSender:
    """Packs packets; a track is described with its first packet only."""

    def __init__(self) -> None:
        self._track: Track | None = None

    def __call__(self, packets: Sequence[Packet]) -> tuple[list[dict[str, Any]], bytes]:
        """The descriptions of packets, and their bytes."""
        return [self._describe(packet) for packet in packets], b"".join(packet.data for packet in packets)

    def _describe(self, packet: Packet) -> dict[str, Any]:
        described: dict[str, Any] = {name: getattr(packet, name) for name in ("time_seconds", "pts", "dts", "key")} | {
            "size": len(packet.data)
        }
        if packet.track != self._track:
            self._track = track = packet.track
            described["track"] = {
                "codec": track.codec,
                "width": track.width,
                "height": track.height,
                "extradata": base64.b64encode(track.extradata).decode(),
                "time_base": str(track.time_base),
            }
        return described


class PacketReceiver:
    """Unpacks what one `PacketSender` packed, in the same order."""

    def __init__(self) -> None:
        self._track: Track | None = None

    def __call__(self, descriptions: Sequence[dict[str, Any]], data: bytes) -> tuple[Packet, ...]:
        packets, begin = [], 0
        for described in descriptions:
            fields = dict(described)
            if track := fields.pop("track", None):
                extradata, time_base = base64.b64decode(track["extradata"]), Fraction(track["time_base"])
                self._track = Track(**{**track, "extradata": extradata, "time_base": time_base})
            assert self._track is not None
            end = begin + fields.pop("size")
            packets.append(Packet(track=self._track, data=data[begin:end], **fields))
            begin = end
        return tuple(packets)
