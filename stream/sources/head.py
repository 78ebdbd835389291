"""The head of a frame as a message between processes: everything but its picture."""

from __future__ import annotations

import json
import struct
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from actionstream.frame import Frame
from actionstream.packets import Packet
from actionstream.sources.packet_message import PacketReceiver, PacketSender
from actionstream.sources.source import Source

HEAD = struct.Struct("<qddIIBI")
"""Index, time_seconds, available, height, width, the number of what was made ahead, and the bytes of JSON. What seldom
changes is JSON, and is there where it has changed: to write and read all of it took a tenth of the time of a frame."""


@dataclass(slots=True)
class Head:
    """What is known of a frame without its picture.

    made              numbers of what was made ahead, see `Desk`
    live, rate, lost, warnings  of the source
    """

    index: int
    time_seconds: float
    available: float
    size: tuple[int, int]
    made: bytes
    live: bool
    rate: float
    lost: Counter[str]
    warnings: list[str]
    packets: tuple[Packet, ...]


class HeadSender:
    """Packs the heads of the frames of a source."""

    def __init__(self, source: Source):
        self._source = source
        self._pack = PacketSender()
        self._said: dict[str, Any] = {}

    def __call__(self, frame: Frame, made: bytes) -> bytes:
        tracks, packets = self._pack(frame.packets)
        source = self._source
        now: dict[str, Any] = {name: getattr(source, name) for name in ("live", "rate", "lost", "warnings")}
        text = b""
        if tracks or now != self._said:
            self._said = deepcopy(now)
            text = json.dumps({**now, "tracks": tracks}).encode()
        head = HEAD.pack(frame.index, frame.time_seconds, frame.available, *frame.size, len(made), len(text))
        return b"".join((head, made, text, *packets))


class HeadReceiver:
    """Unpacks what one `HeadSender` packed, in the same order."""

    def __init__(self) -> None:
        self._unpack = PacketReceiver()
        self._said: dict[str, Any] = {}

    def __call__(self, message: bytes) -> Head:
        index, time_seconds, available, height, width, num_made, num_bytes = HEAD.unpack_from(message)
        begin = HEAD.size + num_made
        end = begin + num_bytes
        tracks = []
        if num_bytes:
            self._said = json.loads(message[begin:end])
            tracks = self._said.pop("tracks")
            self._said["lost"] = Counter(self._said["lost"])
        packets = self._unpack(tracks, memoryview(message)[end:])
        made = message[HEAD.size : begin]
        return Head(index, time_seconds, available, (height, width), made, **self._said, packets=packets)
