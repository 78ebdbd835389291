"""What a reader gives out of its pictures: images, and inputs of networks."""

from __future__ import annotations

import json
import os
from collections import deque
from multiprocessing.connection import Connection as Wire
from typing import Any

import numpy as np

from actionstream.frame import Frame
from actionstream.models.common.errors import in_a_line, is_mistake
from actionstream.models.preprocessing import Preprocessing
from actionstream.sources.shared_memory import SharedMemory
from actionstream.sources.source import reason

KEPT = 8
KEPT_BYTES = 16 << 20
"""The last frames whose pictures can be asked for: so many, and of several no more than this."""
SOONEST, LATEST = 0.75, 3.0
"""Something is expected to be asked for so many of its intervals after the last time."""


class Desk:
    """Gives out what can be made of the last frames. Everything has a number: 0 is the image, the others are inputs.

    What was asked for in a rhythm is made ahead: it goes out with the head of the frame, and costs no message of its
    own. All else is made when it is asked for, in a thread, as the source may hang.
    """

    def __init__(self, wire: Wire, memory: SharedMemory, ahead: SharedMemory, *, images: bool):
        self._wire = wire
        self._memory = memory
        self._ahead = ahead
        self._kept: deque[Frame] = deque()
        self._items: list[Preprocessing | None] = [None]
        self._rhythms = [Rhythm()]
        self._images = images

    def keep(self, frame: Frame) -> bytes:
        """The next frame; returns the numbers of what was made of it ahead, and lies in the memory in this order."""
        self._kept.append(frame)
        while len(self._kept) > KEPT or (len(self._kept) > 1 and len(self._kept) * frame.num_bytes > KEPT_BYTES):
            self._kept.popleft()
        expected = [n for n, rhythm in enumerate(self._rhythms) if rhythm.expects(frame.time_seconds)]
        if self._images and 0 not in expected:
            expected.append(0)
        self._ahead.put([self._make(frame, number) for number in expected])
        return bytes(expected)

    def asked(self, frame: Frame, numbers: bytes) -> None:
        """What was asked for of this frame, before the next one."""
        for number in numbers:
            self._rhythms[number].push(frame.time_seconds)

    def serve(self) -> None:
        """Answer requests; leave when the program closes the wire, even while a library hangs."""
        try:
            while True:
                request = json.loads(self._wire.recv_bytes())
                try:
                    answer = self._answer(request)
                except Exception as failure:  # noqa: BLE001  the program reports it
                    answer = {"error": reason(failure) if is_mistake(failure) else in_a_line(failure)}
                self._wire.send_bytes(json.dumps(answer).encode())
        finally:
            os._exit(0)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "wanted" in request:
            self._items.append(Preprocessing(**request["wanted"]))
            self._rhythms.append(Rhythm())
        kept = list(self._kept)  # at once: the source goes on
        frame = next((each for each in kept if each.index == request["frame"]), None)
        if frame is None:
            return {"gone": True}
        made = self._make(frame, request["number"])
        self._memory.put([made])
        return {"shape": made.shape}

    def _make(self, frame: Frame, number: int) -> np.ndarray:
        wanted = self._items[number]
        return frame.image if wanted is None else wanted.resize(frame.picture)


class Rhythm:
    """The mean interval in which something is asked for."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._interval: float | None = None

    def push(self, time_seconds: float) -> None:
        """It was asked for, of a frame of this time."""
        if self._last is not None and time_seconds > self._last:
            passed = time_seconds - self._last
            interval = passed if self._interval is None else self._interval
            self._interval = 0.9 * interval + 0.1 * min(passed, 2 * interval)
        self._last = time_seconds

    def expects(self, time_seconds: float) -> bool:
        """Whether it will be asked for, of a frame of this time."""
        if self._last is None or self._interval is None:
            return False
        return SOONEST <= (time_seconds - self._last) / self._interval <= LATEST
