"""The last packets of a camera, in memory."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from actionstream.packets import Packet

PACKET_BYTES = 256  # of a packet besides its data


class Ring:
    """Packets in decoding order, numbered from 0; any thread may use it.

    seconds     the packets of at least so many seconds stay, and not many more
    most_bytes  limit of the memory for them; it comes before `seconds`

    The oldest packets are dropped by whole groups of pictures, from a key frame to the next, so the first packet is
    always a key frame.
    """

    def __init__(self, seconds: float, most_bytes: float):
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._packets: deque[Packet] = deque()
        self._keys: deque[tuple[int, float]] = deque()  # numbers and times of key frames
        self._end = 0  # the number of the next packet
        self._bytes = 0

    def extend(self, packets: Sequence[Packet]) -> None:
        """Add packets; those before the first key frame are passed over."""
        with self._lock:
            for packet in packets:
                if packet.key:
                    self._keys.append((self._end, packet.time_seconds))
                elif not self._keys:
                    continue
                self._packets.append(packet)
                self._bytes += len(packet.data) + PACKET_BYTES
                self._end += 1
                while self._is_too_long(packet.time_seconds):
                    self._drop_group()

    def position(self, time_seconds: float) -> int:
        """The number of the last key frame at or before a time, else of the first packet there is."""
        with self._lock:
            for number, seconds in reversed(self._keys):
                if seconds <= time_seconds:
                    return number
            return self._end - len(self._packets)

    def since(self, number: int) -> tuple[list[Packet], int]:
        """The packets from a number on, and the number of the one after them.

        Where packets from the number on were dropped, the packets begin with the first key frame after those.
        """
        with self._lock:
            first = self._end - len(self._packets)
            return list(islice(self._packets, max(number - first, 0), None)), self._end

    @property
    def num_bytes(self) -> int:
        return self._bytes

    def _is_too_long(self, newest_seconds: float) -> bool:
        if self._bytes > self._most_bytes:
            return bool(self._keys)
        second = self._keys[1][1] if len(self._keys) > 1 else math.inf
        return second <= newest_seconds - self._seconds

    def _drop_group(self) -> None:
        number, _ = self._keys.popleft()
        end = self._keys[0][0] if self._keys else self._end
        for _ in range(end - number):
            self._bytes -= len(self._packets.popleft().data) + PACKET_BYTES
